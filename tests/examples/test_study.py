"""The int8 models of the study of DS-CNN-L: as many zeros as their rows say, in the pattern that they say."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from mcuprune.importers.tflite import import_bytes
from mcuprune.masks import mask, parse_pattern
from mcuprune.pruning import weight_rows

MODELS = Path(__file__).parents[2] / "examples" / "speech-commands" / "models"
ROWS = {
    "dense_0": ("unstructured", 0.0, 0.0),
    "2_4_50": ("2:4", 0.5, 0.5),
    "unstructured_50": ("unstructured", 0.5, 0.5),
    "unstructured_80": ("unstructured", 0.8, 0.5),
    "block_2x2_80": ("block:2x2", 0.8, 0.5),
    "block_2x2_90": ("block:2x2", 0.9, 0.8),
}


@pytest.mark.parametrize("row", ROWS)
def test_zeros_of_the_kept_models(row: str) -> None:
    """Each pointwise layer has the row's zeros in the row's pattern, conv_1 its own; more come by rounding alone."""
    pattern, sparsity, conv_1 = ROWS[row]
    graph = import_bytes(lzma.decompress((MODELS / f"ds_cnn_l_{row}.tflite.xz").read_bytes()), row)
    convolutions = [op for op in graph.ops if op.kind == "CONV_2D"]
    assert len(convolutions) == 6
    for op in convolutions:
        data = graph.tensor(op.inputs[1]).data
        assert data is not None
        rows = weight_rows(op, data)
        first = op is convolutions[0]
        asked = parse_pattern("unstructured" if first else pattern)
        keep = mask(np.abs(rows.astype(np.int16)), asked, conv_1 if first else sparsity)
        assert not rows[~keep].any()
        share = (rows == 0).mean()
        wanted = conv_1 if first else sparsity
        assert wanted <= share + 1e-4 and share < wanted + 0.1
