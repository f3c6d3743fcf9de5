"""Three operators that stand for a dilated convolution are read as one; where they do not, they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.cli import run
from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.attributes import ConvAttrs, Padding
from tests.grid.families.dilation import line_model
from tests.tflite_builder import SAME, VALID, Builder, random_int8


def _model(
    rng: np.random.Generator,
    crops: tuple[int, int] = (0, 0),
    padding: int = VALID,
    shown: bool = False,
    scale: float = 0.1,
    block: int = 2,
) -> bytes:
    """A convolution 3x3 over (1, 8, 8, 2) in blocks of 2, padded by 2 at each side."""
    model = Builder()
    x = model.input((1, 8, 8, 2), 0.1, 3)
    split = model.tensor((4, 6, 6, 2), np.int8, scale, 3)
    pads = [model.constant([2, 2]), model.constant([(2, 2), (2, 2)])]
    model.op("SPACE_TO_BATCH_ND", [x, *pads], [split], s.SpaceToBatchNDOptionsT(), 2)
    y = model.conv_2d(split, random_int8(rng, (2, 3, 3, 2)), padding=padding, scale=0.2)
    size = model.shape(y)[1]
    merged = model.tensor((1, size * block - sum(crops), size * block - sum(crops), 2), np.int8, 0.2, 0)
    cuts = [model.constant([block, block]), model.constant([crops, crops])]
    model.op("BATCH_TO_SPACE_ND", [y, *cuts], [merged], s.BatchToSpaceNDOptionsT(), 2)
    return model.build([merged, y] if shown else [merged])


def test_one_convolution_is_left(rng):
    """Padding that SAME gives, and the block as dilation."""
    graph = import_bytes(_model(rng), "test.tflite")
    (op,) = graph.ops
    assert isinstance(op.attrs, ConvAttrs)
    assert (op.kind, op.attrs.dilation, op.attrs.padding) == ("CONV_2D", (2, 2), Padding.SAME)
    assert graph.output_of(op).shape == (1, 8, 8, 2)


@pytest.mark.parametrize(
    "case",
    [{"crops": (0, 1)}, {"padding": SAME}, {"shown": True}, {"scale": 0.3}, {"block": 1}],
    ids=["padding", "SAME inside", "the middle is an output", "another scale", "another block"],
)
def test_others_are_refused(case, rng):
    """Pads that no rule gives, batches that are shown or scaled, blocks that differ: no dilated convolution."""
    with pytest.raises(ModelError, match="around a convolution of stride 1") as error:
        import_bytes(_model(rng, **case), "test.tflite")
    assert "SPACE_TO_BATCH_ND" in str(error.value.where) and "1-D convolution" in str(error.value.hint)


def test_over_a_line(tmp_path: Path) -> None:
    """What Conv1D becomes: the tensors on both sides of the convolution, which the file lacks, are compared, too."""
    model, out = line_model(7, 3, 2, same=True, depthwise=False)
    content = model.build([out])
    graph = import_bytes(content, "line.tflite")
    assert [op.kind for op in graph.ops] == ["RESHAPE", "CONV_2D", "RESHAPE"]
    assert graph.ops[1].attrs.dilation == (1, 3)  # type: ignore[attr-defined]
    assert [op.index for op in graph.ops] == [1, 2, 3]
    path = tmp_path / "line.tflite"
    path.write_bytes(content)
    assert run(["verify", str(path), "--random", "5"]) == 0


def test_a_line_of_another_length_is_refused() -> None:
    """The inner RESHAPE says how long the batches are; where that is not what they are, LiteRT refuses the file."""
    model, out = line_model(6, 3, 2, same=True, depthwise=False)
    flat = model.graph.operators[3].inputs[1]
    number = model.graph.tensors[flat].buffer
    shape = np.frombuffer(bytes(model.model.buffers[number].data), np.int32) + np.array([0, 1, 0], np.int32)
    model.model.buffers[number].data = np.frombuffer(shape.tobytes(), np.uint8)
    with pytest.raises(ModelError, match="around a convolution of stride 1"):
        import_bytes(model.build([out]), "line.tflite")


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("field", ["zeroPoint", "type"])
def test_a_line_whose_tensors_differ_is_refused(place: int, field: str) -> None:
    """What moves values must not change what they mean: the reference refuses it, too."""
    model, _ = line_model(7, 3, 2, same=True, depthwise=False)
    tensor = model.graph.tensors[model.graph.operators[place].outputs[0]]
    if field == "type":
        tensor.type = s.TensorType.INT16
    else:
        tensor.quantization.zeroPoint = [77]
    with pytest.raises(ModelError):
        import_bytes(model.build([model.graph.operators[-1].outputs[0]]), "line.tflite")
