"""MobileNetV1 and V2 of keras.applications at 50% and 2:4: exact zeros, as int8, and what they take on a board.

The published lines (ImageNet, top-1; TensorFlow Model Optimization): V1 dense 71.04%, 50% 70.84%, 2:4 67.35%; V2 dense
71.77%, 50% 69.64%, 2:4 66.75%. Without ImageNet only the structure can be shown, with random weights. All kernels but
the depthwise ones are pruned, as there.

    python examples/keras/mobilenet.py [--quick]

With weights of your own, train with `callbacks=[sparsity.Pruner(pattern="2:4")]` in place of prune_at_once(); the file
that quantize() gives is one for `mcuprune generate`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from mcuprune.sparsity.runtime import require_tensorflow

require_tensorflow("run this example")

import keras  # noqa: E402 - TensorFlow and Keras, without their chatter

from mcuprune import quantization, sparsity  # noqa: E402

SIDE = 96  # pixels; published: 224
MODELS = {
    "MobileNetV1": (keras.applications.MobileNet, "conv_pw_2_relu"),
    "MobileNetV2": (keras.applications.MobileNetV2, "block_2_add"),
}  # and the layer after which a quick run ends
QUICK = {"MobileNetV1": "50%", "MobileNetV2": "2:4"}  # what a quick run shows of each


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


def start_of(model: keras.Model, layer: str) -> keras.Model:
    """The model up to a layer, with a small classifier."""
    x = keras.layers.GlobalAveragePooling2D()(model.get_layer(layer).output)
    outputs = keras.layers.Dense(12, activation="softmax", name="predictions")(x)
    return keras.Model(model.input, outputs, name=f"{model.name}_start")


def pruners(model: keras.Model) -> dict[str, sparsity.Pruner]:
    """50% and 2:4 of everything but depthwise kernels; the last layer is named, or it would be left dense."""
    first, *_, last = (weight.name for weight in sparsity.prunable_weights(model))
    return {
        "50%": sparsity.Pruner(0.5, rules=[f"{last}=0.5"]),
        "2:4": sparsity.Pruner(pattern="2:4", rules=[f"{last}=2:4", f"{first}=0"]),  # 27 weights are no fours
    }


def main(arguments: list[str] | None = None) -> dict[tuple[str, str], quantization.Quantized]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the first blocks alone, small images")
    args = parser.parse_args(arguments)
    keras.utils.set_random_seed(1)
    side = 32 if args.quick else SIDE
    images = np.random.default_rng(1).random((4, side, side, 3), dtype=np.float32)
    files = {}
    for model_name, (make, early) in MODELS.items():
        model = make(weights=None, input_shape=(side, side, 3))
        if args.quick:
            model = start_of(model, early)
        settle(model, images)
        weights = model.get_weights()
        for name, pruner in pruners(model).items():
            if args.quick and name != QUICK[model_name]:
                continue
            started = time.monotonic()
            model.set_weights(weights)
            prune_at_once(model, pruner)
            files[model_name, name] = int8 = quantization.quantize(model, images)
            zeros, kept, size = (sum(getattr(w, k) for w in int8.layers) for k in ("keras_zeros", "zeros", "size"))
            seconds = time.monotonic() - started
            print(f"{model_name} {name}: {zeros} zeros of {size}, {kept} as int8, depthwise too ({seconds:.0f} s)")
    return files


if __name__ == "__main__":
    main()
