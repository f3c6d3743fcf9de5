"""int8 for TFLite's interpreter: recurrent layers, embeddings, several-dimensional outputs; zeros found in the file."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.errors import ModelError, TrainingError, UsageError
from mcuprune.quantization import quantize, quantize_for_tflite
from mcuprune.quantization.file_zeros import constants, file_zeros
from mcuprune.sparsity import ConstantSparsity, Pruner, prunable_weights

pytestmark = pytest.mark.train

layers = keras.layers
STEPS = 3


def prune(model: Any, rule: str = "*=0.6") -> Any:
    """Prune all weights at once."""
    pruner = Pruner(rules=[rule])
    pruner.attach(model, ConstantSparsity(0.6, 0))
    pruner.step(0)
    pruner.finish()
    return model


@pytest.fixture(scope="module")
def tokens() -> np.ndarray:
    """60 sequences of 3 of 300 tokens."""
    return np.random.default_rng(4).integers(0, 300, (60, STEPS))


@pytest.fixture
def reader() -> Any:
    """Embedding, two kinds of recurrent layers, a score for each step; 60% zeros in each of the 8 kernels."""
    keras.utils.set_random_seed(3)
    return prune(
        keras.Sequential(
            [
                keras.Input((STEPS,), dtype="int32"),
                layers.Embedding(300, 16),
                layers.Bidirectional(layers.LSTM(12, return_sequences=True)),
                layers.GRU(10, return_sequences=True),
                layers.Dense(4, activation="softmax"),
            ]
        )
    )


def test_recurrent_model(reader: Any, tokens: np.ndarray) -> None:
    """All zeros of all kernels are in the file, answers are those of the model, and the layers stay as they were."""
    file = quantize_for_tflite(reader, tokens)
    assert file.unchecked == () and file.samples == 60 and len(file.layers) == 8
    for layer, weight in zip(file.layers, prunable_weights(reader), strict=True):
        assert layer.keras_name == weight.name and layer.keras_zeros == round(0.6 * weight.size) <= layer.zeros
    answers = file.predict(tokens)
    assert answers.shape == (60, STEPS, 4) and np.abs(answers - reader.predict(tokens, verbose=0)).max() < 0.06
    assert not any(layer.unroll for layer in reader._flatten_layers() if isinstance(layer, layers.RNN))


def test_table_with_a_zero_point(reader: Any, tokens: np.ndarray) -> None:
    """Zeros of a table are codes that equal its zero point; one that is not is found."""
    table = prunable_weights(reader)[0]
    table.variable.assign(np.where(table.value() == 0, 0, np.abs(table.value()) + 0.02))  # all on one side of zero
    file = quantize_for_tflite(reader, tokens, samples=10)
    stored = next(constant for constant in constants(file.content, "m") if constant.op == "GATHER")
    raw = (stored.codes + np.int16(-128)).astype(np.int8)  # the range begins at zero, the lowest code
    assert raw.tobytes() in file.content and file.layers[0].zeros >= file.layers[0].keras_zeros == 2880
    where = np.flatnonzero(table.rows() == 0)[0]
    broken = raw.copy()
    broken.flat[where] += 1
    content = file.content.replace(raw.tobytes(), broken.tobytes())
    with pytest.raises(TrainingError, match="1 zeros were lost") as caught:
        file_zeros(prunable_weights(reader), content, "model")
    assert "GATHER" in str(caught.value)


def test_table_beyond_its_samples(reader: Any, tokens: np.ndarray) -> None:
    """A token that no sample has may have larger values: they are cut, told, and its zeros stay."""
    table = prunable_weights(reader)[0]
    values = table.value().copy()
    values[299] *= 10
    table.variable.assign(values)
    file = quantize_for_tflite(reader, np.where(tokens == 299, 0, tokens), samples=20)
    cut = int((np.abs(values[299]) > np.abs(values[:299]).max() * 1.01).sum())
    assert cut and file.unchecked == ()
    said = int(file.layers[0].note.split()[0])
    assert cut <= said <= np.count_nonzero(values[299]) and "beyond those of the samples" in file.layers[0].note


def test_weights_of_another_model(model: Any, samples: tuple[np.ndarray, np.ndarray]) -> None:
    """What the file does not hold is named, not passed over; depthwise kernels are found, batch norm folded or not."""
    file = quantize_for_tflite(prune(model, "*=0.5"), samples[0], samples=20)
    assert file.unchecked == () and [layer.op for layer in file.layers][1] == "DEPTHWISE_CONV_2D"
    x = samples[0][:50]
    assert (file.predict(x).argmax(1) == model.predict(x, verbose=0).argmax(1)).mean() > 0.9
    conv = prunable_weights(model)[0]
    conv.variable.assign(conv.value()[::-1])
    found = file_zeros(prunable_weights(model), file.content, "model")
    assert [layer.index is None for layer in found] == [True, False, False, False]
    assert "not checked" in found[0].note


def test_quantize_names_what_it_does_not_take() -> None:
    """A recurrent model calibrated on zeros alone has scales that no fixed point holds: one error, and its layer."""
    model = keras.Sequential([keras.Input((STEPS, 2)), layers.LSTM(4), layers.Dense(3, activation="softmax")])
    with pytest.raises(ModelError, match=r"cannot be used: softmax .* has no fixed-point form(.|\n)*'softmax'"):
        quantize(model, np.zeros((4, STEPS, 2), np.float32))


def test_models_that_are_refused() -> None:
    """Two inputs, an open length, no built model, no samples: one error each."""
    a, b = keras.Input((4,)), keras.Input((4,))
    two = keras.Model([a, b], layers.Dense(2)(layers.Add()([a, b])))
    open_length = keras.Sequential([keras.Input((None, 2)), layers.LSTM(3)])
    x = np.zeros((2, 4), np.float32)
    for wrong, said in ((two, "2 inputs"), (open_length, "not fixed"), (keras.Sequential([layers.Dense(2)]), "built")):
        with pytest.raises(ModelError, match=said):
            quantize_for_tflite(wrong, x)
    with pytest.raises(UsageError, match="too few"):
        quantize_for_tflite(keras.Sequential([keras.Input((4,)), layers.Dense(2)]), x, samples=0)
