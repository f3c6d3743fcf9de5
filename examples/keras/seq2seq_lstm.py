"""An LSTM encoder-decoder at 80, 85 and 90% zeros: it reads "27+45" and writes "72".

The published line, of a translation model (GNMT, English to German, BLEU; TensorFlow Model Optimization): dense 26.77,
80% 26.86, 85% 26.52, 90% 26.19. The shape here is the same, one LSTM reads and one writes; the task fits a desk.

    python examples/keras/seq2seq_lstm.py [--quick]

All kernels and recurrent kernels are pruned, and every zero is found again in an int8 file. As the TFLite converter has
no int8 for loops, both LSTMs lie there unrolled; `mcuprune generate` makes C of them.
"""

from __future__ import annotations

import argparse

import numpy as np

from mcuprune.sparsity.runtime import require_tensorflow

require_tensorflow("run this example")

import keras  # noqa: E402 - TensorFlow and Keras, without their chatter

from mcuprune import quantization, sparsity  # noqa: E402

CHARACTERS = "0123456789+ "
QUESTION, ANSWER = 5, 2  # characters


def sums(limit: int) -> tuple[np.ndarray, np.ndarray]:
    """All sums of two numbers below the limit, in a seeded order: one-hot (n, 5, 12), characters int64 (n, 2)."""
    pairs = [(a, b) for a in range(limit) for b in range(limit)]
    questions = [f"{a}+{b}".rjust(QUESTION) for a, b in pairs]
    answers = [f"{a + b}".rjust(ANSWER) for a, b in pairs]
    x, y = (np.array([[CHARACTERS.index(c) for c in text] for text in texts]) for texts in (questions, answers))
    order = np.random.default_rng(1).permutation(len(x))
    return np.eye(len(CHARACTERS), dtype=np.float32)[x[order]], y[order]


def encoder_decoder(units: int = 128) -> keras.Model:
    """One LSTM reads the question, its last output is what the other one begins to write from."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((QUESTION, len(CHARACTERS))),
        layers.LSTM(units, name="encoder"),
        layers.Reshape((1, units)),
        layers.ZeroPadding1D((0, ANSWER - 1)),  # LiteRT's reference kernels have no int8 RepeatVector
        layers.LSTM(units, return_sequences=True, name="decoder"),
        layers.Dense(len(CHARACTERS), activation="softmax", name="letters"),
    ])  # fmt: skip


def whole(scores: np.ndarray, y: np.ndarray) -> float:
    """The share of answers without a wrong character."""
    return float((scores.argmax(-1) == y).all(axis=1).mean())


def main(arguments: list[str] | None = None) -> dict[float, quantization.TFLiteFile]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="90% in few steps: the structure, not the accuracy")
    args = parser.parse_args(arguments)
    keras.utils.set_random_seed(1)
    x, y = sums(12 if args.quick else 50)
    split, epochs = len(x) * 9 // 10, 1 if args.quick else 60
    model = encoder_decoder(32 if args.quick else 128)

    def train(*callbacks: keras.callbacks.Callback) -> None:
        rate = keras.optimizers.schedules.CosineDecay(4e-3, epochs * -(-split // 64))
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        model.fit(x[:split], y[:split], batch_size=64, epochs=epochs, verbose=0, callbacks=list(callbacks))

    train()
    dense = model.get_weights()
    print(f"dense: {whole(model.predict(x[split:], verbose=0), y[split:]):.2%} of {len(x) - split} new sums right")
    files = {}
    for share in (0.9,) if args.quick else (0.8, 0.85, 0.9):
        model.set_weights(dense)
        train(sparsity.Pruner(share))  # all but the last layer
        right = whole(model.predict(x[split:], verbose=0), y[split:])
        files[share] = int8 = quantization.quantize_for_tflite(model, x[:split], samples=100)
        assert not int8.unchecked
        as_int8 = whole(int8.predict(x[split:]), y[split:])
        zeros, kept = (sum(getattr(w, key) for w in int8.layers) for key in ("keras_zeros", "zeros"))
        print(f"{share:.0%}: {right:.2%}, as int8 {as_int8:.2%}; {zeros} zeros, {kept} in the int8 file")
    return files


if __name__ == "__main__":
    main()
