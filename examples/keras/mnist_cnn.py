"""An MNIST-shaped CNN of 3.27 M parameters, pruned to 90% and quantized: bytes raw and zipped.

The published line (TensorFlow Model Optimization, of MNIST): 12 MB, 2 MB zipped at 90% zeros, 0.5 MB as int8.

    python examples/keras/mnist_cnn.py [--quick] [-o FOLDER]

The digits are drawn here, by a seed, and nothing is downloaded; `--mnist` takes MNIST where Keras keeps it already.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mcuprune.sparsity.runtime import require_tensorflow

require_tensorflow("run this example")

import keras  # noqa: E402 - TensorFlow and Keras, without their chatter

from mcuprune import quantization, sparsity  # noqa: E402
from mcuprune.cli import run  # noqa: E402

MNIST = Path.home() / ".keras" / "datasets" / "mnist.npz"
GLYPHS = """
.###...#...###.#####...#.#####..##.#####.###..###.
#...#.##..#...#...#...##.#.....#.......##...##...#
#..##..#......#..#...#.#.####.#.......#.#...##...#
#.#.#..#.....#....#.#..#.....#####...#...###..####
##..#..#....#......######....##...#.#...#...#....#
#...#..#...#...#...#...#.#...##...#.#...#...#...#.
.###..###.#####.###....#..###..###..#....###..##..
"""  # ten digits, each 7 rows of 5


def digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits in any size, slant, place and stroke over noise: float32 (count, 28, 28, 1) in 0..1, labels (count,)."""
    rng = np.random.default_rng(seed)
    lines = GLYPHS.split()
    glyphs = np.array([[[line[5 * d + c] == "#" for c in range(5)] for line in lines] for d in range(10)], np.float32)
    glyphs = np.pad(glyphs, ((0, 0), (2, 2), (2, 2)))  # (10, 11, 9)
    y = rng.integers(0, 10, count)
    size, slant = rng.uniform(0.28, 0.42, (count, 1, 1)), rng.uniform(-0.3, 0.3, (count, 1, 1))
    down, right = rng.uniform(-3, 3, (2, count, 1, 1))
    i, j = np.mgrid[:28, :28] - 13.5
    row = (i - down) * size
    col = (j - right) * size * 0.8 + slant * row
    row, col = np.clip(row + 5, 0, 9.99), np.clip(col + 4, 0, 7.99)
    top, left = row.astype(int), col.astype(int)
    v, h, which = row - top, col - left, y[:, None, None]
    ink = (1 - v) * ((1 - h) * glyphs[which, top, left] + h * glyphs[which, top, left + 1])
    ink += v * ((1 - h) * glyphs[which, top + 1, left] + h * glyphs[which, top + 1, left + 1])
    ink = np.clip(ink * rng.uniform(1.2, 2.5, (count, 1, 1)) + rng.normal(0, 0.08, ink.shape), 0, 1)
    return ink[..., None].astype(np.float32), y


def mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """MNIST as Keras keeps it on this machine; it is not fetched."""
    with np.load(MNIST) as data:
        x, xv = (data[key][..., None].astype(np.float32) / 255 for key in ("x_train", "x_test"))
        return x, data["y_train"].astype(np.int64), xv, data["y_test"].astype(np.int64)


def cnn() -> keras.Model:
    """Two convolutions and a wide dense layer: 3,274,634 weights, and batch norm."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 5, padding="same", activation="relu", name="conv_1"),
        layers.MaxPooling2D(2, padding="same"),
        layers.BatchNormalization(momentum=0.9),
        layers.Conv2D(64, 5, padding="same", activation="relu", name="conv_2"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Flatten(),
        layers.Dense(1024, activation="relu", name="dense"),
        layers.Dropout(0.4),
        layers.Dense(10, activation="softmax", name="classifier"),
    ])  # fmt: skip


def save(model: keras.Model, x: np.ndarray, base: Path) -> quantization.TFLiteFile:
    """BASE.keras without the optimizer's state, and BASE_int8.tflite, which must have every zero."""
    keras.Model(model.inputs, model.outputs).save(f"{base}.keras")
    int8 = quantization.quantize_for_tflite(model, x, samples=100)
    assert not int8.unchecked
    Path(f"{base}_int8.tflite").write_bytes(int8.content)
    return int8


def main(arguments: list[str] | None = None) -> dict[str, quantization.TFLiteFile]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few samples and steps: the structure, not the accuracy")
    parser.add_argument("--mnist", action="store_true", help="MNIST that is on this machine, in place of drawn digits")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/mnist-cnn"))
    args = parser.parse_args(arguments)
    if args.mnist and not MNIST.is_file():
        parser.error(f"there is no {MNIST}; without --mnist digits are drawn")
    keras.utils.set_random_seed(1)
    count, epochs = (128, 1) if args.quick else (6000, 2)
    x, y, xv, yv = mnist() if args.mnist else (*digits(count, 1), *digits(count // 4, 2))
    args.output.mkdir(parents=True, exist_ok=True)
    model = cnn()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    files = {}
    for name, callbacks in (("dense", []), ("pruned", [sparsity.Pruner(rules=["*=0.9"])])):  # the classifier, too
        model.fit(x, y, batch_size=64, epochs=epochs, verbose=2, callbacks=callbacks)
        files[name] = int8 = save(model, x, args.output / name)
        some = slice(8) if args.quick else slice(200)
        right = int8.predict(xv[some]).argmax(axis=1) == yv[some]
        accuracy = model.evaluate(xv, yv, verbose=0)[1]
        print(f"{name}: accuracy {accuracy:.2%}, as int8 {right.mean():.2%} of {len(right)}")
    run(["size", *(str(args.output / f"{name}{kind}") for name in files for kind in (".keras", "_int8.tflite"))])
    return files


if __name__ == "__main__":
    main()
