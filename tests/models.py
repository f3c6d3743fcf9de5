"""Small seeded .tflite models for tests that need a file."""

from __future__ import annotations

import numpy as np

from tests.tflite_builder import RELU, Builder, random_bias, random_int8

CLASSES = 5
INPUT = (1, 9, 7, 3)


def every_operator(*, float_io: bool = True, seed: int = 3) -> bytes:
    """A model with every supported operator: quantized inside, a residual ADD, ADD of a constant, PAD, both means."""
    rng = np.random.default_rng(seed)
    b = Builder()

    def layer(rows: int, zero_point: int, scale: float, axis_size: int) -> dict[str, object]:
        scales = rng.uniform(0.002, 0.02, axis_size).astype(np.float32).tolist()
        return {"bias": random_bias(rng, rows), "weight_scales": scales, "scale": scale, "zero_point": zero_point}

    x = b.quantize(b.input(INPUT, dtype=np.float32), 0.05, -7) if float_io else b.input(INPUT, 0.05, -7)
    x = b.pad(x, [(0, 0), (1, 0), (0, 1), (0, 0)])
    x = b.conv_2d(x, random_int8(rng, (8, 3, 3, 3)), activation=RELU, stride=(2, 1), **layer(8, -128, 0.05, 8))
    y = b.depthwise_conv_2d(x, random_int8(rng, (1, 3, 3, 8)), dilation=(2, 1), **layer(8, 4, 0.06, 8))
    y = b.relu(y, 0.05, -128, "RELU6")
    y = b.conv_2d(y, random_int8(rng, (8, 1, 1, 8)), **layer(8, 9, 0.07, 8))
    x = b.add(x, y, 0.08, -3)
    x = b.add(x, b.tensor((8,), np.int8, 0.02, 1, data=random_int8(rng, (8,))), 0.09, 2)
    x = b.relu(x, 0.08, -100, "RELU")
    x = b.average_pool_2d(x, (2, 2))
    x = b.mean(x, (1, 2), 0.04, 1)
    x = b.reshape(x, (1, 8))
    x = b.quantize(x, 0.05, -2)
    x = b.fully_connected(x, random_int8(rng, (CLASSES, 8)), **layer(CLASSES, 3, 0.1, CLASSES))
    x = b.softmax(x)
    return b.build([b.dequantize(x) if float_io else x])
