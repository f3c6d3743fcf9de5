"""An IMDB-shaped LSTM: embedding, kernel and recurrent kernel pruned to 70%, and the zeros found again as int8.

The published example (imdb_lstm.py of TensorFlow Model Optimization): 20,000 tokens in 128 dimensions, LSTM of 128,
pruned from 30% to 70%. There, recurrent weights came out wrong after stripping (its issues 374 and 403); here nothing
is wrapped, so nothing is stripped.

    python examples/keras/imdb_lstm.py [--quick] [-o FOLDER]

Reviews are drawn by a seed: tokens are as frequent as words, a tenth of them speaks for a film and a tenth against it.
The TFLite converter has no int8 for loops, so that the file holds one copy of a step for each of the 40 tokens (and the
weights once). `mcuprune generate` makes C of it, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mcuprune.sparsity.runtime import require_tensorflow

require_tensorflow("run this example")

import keras  # noqa: E402 - TensorFlow and Keras, without their chatter

from mcuprune import quantization, sparsity  # noqa: E402

TOKENS, LENGTH = 20_000, 40


def reviews(count: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int32 (count, length), and whether more of them praise than blame, int64 (count,)."""
    rng = np.random.default_rng(seed)
    frequency = (np.arange(TOKENS) + 5.0) ** -1.3
    x = rng.choice(TOKENS, (count, length), p=frequency / frequency.sum())
    said = (x % 10 == 3).sum(axis=1) - (x % 10 == 7).sum(axis=1)
    return x.astype(np.int32), (said > 0).astype(np.int64)


def lstm(length: int) -> keras.Model:
    """Embedding, LSTM, one sigmoid: 2.7 M weights."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((length,), dtype="int32"),
        layers.Embedding(TOKENS, 128, name="embedding"),
        layers.LSTM(128, name="lstm"),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid", name="classifier"),
    ])  # fmt: skip


def main(arguments: list[str] | None = None) -> quantization.TFLiteFile:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few samples and steps: the structure, not the accuracy")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/imdb-lstm"))
    args = parser.parse_args(arguments)
    keras.utils.set_random_seed(1)
    count, length, epochs = (128, 8, 1) if args.quick else (4000, LENGTH, 3)
    (x, y), (xv, yv) = reviews(count, length, 1), reviews(count // 4, length, 2)
    model = lstm(length)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=epochs, verbose=2)
    dense = model.evaluate(xv, yv, verbose=0)[1]

    steps = int(model.optimizer.iterations)  # the schedule counts the optimizer's updates, which go on
    end = steps + max(1, steps // 2)
    schedule = sparsity.PolynomialDecay(0.3, 0.7, begin_step=steps, end_step=end, frequency=10)
    pruner = sparsity.Pruner(schedule=schedule, rules=["*=0.7"])  # every kernel, the classifier's too
    model.fit(x, y, epochs=epochs, verbose=2, callbacks=[pruner])
    pruned = model.evaluate(xv, yv, verbose=0)[1]
    args.output.mkdir(parents=True, exist_ok=True)
    model.save(args.output / "pruned.keras")  # a plain Keras model

    int8 = quantization.quantize_for_tflite(model, x, samples=100)
    assert not int8.unchecked
    (args.output / "pruned_int8.tflite").write_bytes(int8.content)
    some = slice(8) if args.quick else slice(200)
    right = (int8.predict(xv[some])[:, 0] > 0.5) == yv[some]
    print(f"accuracy: dense {dense:.2%}, 70% zeros {pruned:.2%}, the same as int8 {right.mean():.2%} of {len(right)}")
    for weight in int8.layers:
        zeros = f"{weight.keras_zeros:>8} zeros of {weight.size}, {weight.zeros} as int8"
        print(f"  {weight.keras_name:30} {zeros}{weight.note and '; ' + weight.note}")
    return int8


if __name__ == "__main__":
    main()
