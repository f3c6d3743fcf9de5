"""InceptionV3 of keras.applications at 50, 75, 87.5% and 2:4: exact zeros, and the same zeros as int8.

The published line (ImageNet, top-1; TensorFlow Model Optimization): dense 78.1%, 50% 78.0%, 75% 76.1%, 87.5% 74.6%,
2:4 75.8%. Without ImageNet only the structure can be shown: with random weights, each kernel gets exactly the zeros
that were asked for, and the int8 file has every one of them.

    python examples/keras/inception_v3.py [--quick]

With weights of your own, train with `callbacks=[sparsity.Pruner(0.75)]` in place of prune_at_once().
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from mcuprune.sparsity.runtime import require_tensorflow

require_tensorflow("run this example")

import keras  # noqa: E402 - TensorFlow and Keras, without their chatter

from mcuprune import quantization, sparsity  # noqa: E402

SIDE = 75  # pixels, the least that InceptionV3 takes; published: 299
ROWS: tuple[tuple[str, dict[str, object]], ...] = (
    ("50%", {"rules": ["*=0.5"]}),
    ("75%", {"rules": ["*=0.75"]}),
    ("87.5%", {"rules": ["*=0.875"]}),
    ("2:4", {"rules": ["*=2:4", "0=0"]}),  # 27 weights of an RGB pixel's 3x3 do not part into fours: kernel 0 is dense
)


def settle(model: keras.Model, images: np.ndarray) -> None:
    """Take the statistics of batch norm from images: untrained ones would let all activations fade to nothing."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)


def prune_at_once(model: keras.Model, pruner: sparsity.Pruner) -> None:
    """Prune without training: one update of a schedule that asks for everything at once."""
    pruner.attach(model, sparsity.ConstantSparsity(0.5, begin_step=0))
    pruner.step(0)
    pruner.finish()  # counts the zeros again


def main(arguments: list[str] | None = None) -> dict[str, quantization.TFLiteFile]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="87.5% and 2:4 of the model up to its first inception block"
    )
    args = parser.parse_args(arguments)
    keras.utils.set_random_seed(1)
    model = keras.applications.InceptionV3(weights=None, input_shape=(SIDE, SIDE, 3))
    if args.quick:
        model = keras.Model(model.input, model.get_layer("mixed0").output, name="inception_v3_start")
    images = np.random.default_rng(1).random((4, SIDE, SIDE, 3), dtype=np.float32)
    settle(model, images)
    weights = model.get_weights()
    files = {}
    for name, settings in ROWS[2:] if args.quick else ROWS:
        started = time.monotonic()
        model.set_weights(weights)
        prune_at_once(model, sparsity.Pruner(**settings))
        files[name] = int8 = quantization.quantize_for_tflite(model, images, int8_io=False)
        zeros, kept, size = (sum(getattr(w, k) for w in int8.layers) for k in ("keras_zeros", "zeros", "size"))
        seconds = time.monotonic() - started
        print(f"{name}: {zeros} zeros of {size} in {len(int8.layers)} kernels, {kept} as int8 ({seconds:.0f} s)")
    return files


if __name__ == "__main__":
    main()
