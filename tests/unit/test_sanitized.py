"""Whole models on the host under AddressSanitizer and UBSan, in every encoding."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mcuprune.bench.objects import ObjectStore
from mcuprune.boards import load_board
from mcuprune.build.folder import open_folder
from mcuprune.check.verify import verify
from mcuprune.emit.project import write_project
from mcuprune.flash.power import board_opener
from mcuprune.generate import generate
from mcuprune.inputs import random_inputs
from mcuprune.masks import parse_pattern
from mcuprune.pruning import prune_one_shot
from tests.models import every_operator

OBJECTS = ObjectStore()
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -Wno-error=maybe-uninitialized"


def sanitized_verify(model: Path, folder_path: Path, encodings: tuple[str, ...] = ()) -> None:
    """Generate for the host, build with sanitizers, compare every layer."""
    made = generate(model, load_board("host"), encodings=encodings)
    write_project(made.files, folder_path)
    folder = open_folder(folder_path)
    OBJECTS.lend(folder)
    make = [
        "make",
        "-C",
        str(folder_path),
        "-j2",
        f"EXTRA_CFLAGS={FLAGS}",
        "EXTRA_LDFLAGS=-fsanitize=address,undefined",
    ]
    done = subprocess.run([*make, "OPT=-O1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    OBJECTS.keep(folder)
    graph = made.project.graph
    result = verify(graph, model, board_opener(folder), random_inputs(graph, 5, 1))
    assert result.equal, result.first_difference


@pytest.mark.parametrize(
    "encoding", ["dense", "bitmap", "gap", "block2x2", "block2x1", "block1x2", "block4x1", "block1x4", "block1x16"]
)
def test_every_operator_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """No access out of bounds, no undefined behaviour, equal bytes."""
    pruned = prune_one_shot(every_operator(), "m.tflite", sparsity=0.6, pattern=parse_pattern("unstructured"), rules=())
    model = tmp_path / "m.tflite"
    model.write_bytes(pruned.content)
    sanitized_verify(model, tmp_path / "out", tuple(f"{layer}={encoding}" for layer in (2, 5, 13)))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["kws_ref_model_int8", "ds_cnn_s_int8"])
def test_real_models(shared: Path, tmp_path: Path, name: str) -> None:
    """The same for real models as published."""
    sanitized_verify(shared / "models" / f"{name}.tflite", tmp_path / "out")
