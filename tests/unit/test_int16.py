"""int16 activations: what is refused, as TFLite's reference kernels refuse it or because they are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import McupruneError
from mcuprune.importers.tflite import import_bytes
from mcuprune.numerics.functions16 import sigmoid16_multiplier, sigmoid_table
from tests.tflite_builder import Builder

UNIT = 2.0**-15


def model(
    kind: str,
    scales: tuple[float, ...] = (1e-3, 1e-3, 1e-3),
    options: Any = None,
    zero_points: tuple[int, ...] = (0, 0, 0),
    shapes: tuple[tuple[int, ...], ...] = ((1, 4), (1, 4), (1, 4)),
    out: Any = np.int16,
    axes: Any = None,
) -> bytes:
    """One operator on int16 inputs and an output, the last of the scales."""
    made = Builder()
    ends = list(zip(shapes, scales, zero_points, strict=True))
    inputs = [made.input(shape, scale, zero, np.int16) for shape, scale, zero in ends[:-1]]
    inputs += [] if axes is None else [made.constant(axes)]
    shape, scale, zero = ends[-1]
    made.op(kind, inputs, [made.tensor(shape, out, scale if out is np.int16 else None, zero)], options)
    return made.build([made.graph.operators[-1].outputs[0]])


def softmax_options() -> Any:
    """SOFTMAX of beta 1."""
    made = s.SoftmaxOptionsT()
    made.beta = 1.0
    return made


ONE = ((1, 4), (1, 4))
POT = (2.0**-12, 2.0**-13, 2.0**-12)
REFUSED = [
    (model("ADD", zero_points=(0, 3, 0), options=s.AddOptionsT()), "zero point 0"),
    (model("RESHAPE", (1e-3, 1e-3), s.ReshapeOptionsT(), (0, 1), ONE, axes=[1, 4]), "zero point 0"),
    (model("ADD", (2.0**-12, 2.0**-13, 2.0**-11), s.AddOptionsT()), "one input must have the output's scale"),
    (model("SUB", (2.0**-12, 2.0**-28, 2.0**-12), s.SubOptionsT()), "more than 15 bits"),
    (model("ADD", POT, s.AddOptionsT(), shapes=((1, 4), (1, 1), (1, 4))), "by shifts"),
    (model("MUL", (1.0, 1.0, 0.5), s.MulOptionsT()), "int32 overflows"),
    (model("SQUARED_DIFFERENCE"), "only int8"),
    (model("GREATER", out=np.bool_), "GREATER of int16"),
    (model("SUM", (1e-3, 1e-3), s.ReducerOptionsT(), (0, 0), ((1, 4), (1,)), axes=[1]), "wrong in TFLite's own"),
    (model("RELU_N1_TO_1", (1e-3, 1e-3), None, (0, 0), ONE), "RELU_N1_TO_1 of int16"),
    (model("HARD_SWISH", (1e-3, 1e-3), s.HardSwishOptionsT(), (0, 0), ONE), "HARD_SWISH of int16"),
    (model("TANH", (1e-3, 1e-3), None, (0, 0), ONE), "output scale 2"),
    (model("LOGISTIC", (6.0, UNIT), None, (0, 0), ONE), "out of the range"),
    (model("SOFTMAX", (1e-3, 1.0 / 256), softmax_options(), (0, 0), ONE), "1/32768"),
]


@pytest.mark.parametrize(("content", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_refused(content: bytes, words: str) -> None:
    """Zero points, scales and operators that the reference does not take."""
    with pytest.raises(McupruneError, match=words):
        import_bytes(content, "toy.tflite")


def test_int16_without_a_scale_moves() -> None:
    """Plain numbers have no zero point to ask for."""
    made = Builder()
    x, y = made.input((1, 4), dtype=np.int16), made.tensor((1, 2, 2), np.int16)
    made.op("RESHAPE", [x, made.constant([1, 2, 2])], [y], s.ReshapeOptionsT())
    assert import_bytes(made.build([y]), "toy.tflite").tensor(y).quant is None


def test_sigmoid_table_rises() -> None:
    """Entries of 16 bits, half at zero, one at the end."""
    table = sigmoid_table().astype(int)
    assert table[0] == 2**15 and table[-1] == 2**16 - 1 and (np.diff(table) >= 0).all()


@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 2.0**-13, 1e-3, 3e-9, 5.3])
@pytest.mark.parametrize("tanh", [False, True])
def test_sigmoid_multiplier_is_the_scale(scale: float, tanh: bool) -> None:
    """mult / 2**right is 12288 times the scale, and no input overflows."""
    mult, right = sigmoid16_multiplier(scale, tanh)
    assert mult / 2**right == pytest.approx(scale * 12288, rel=1e-4)
    assert 2**15 * mult + 2 ** max(right - 1, 0) < 2**31
