"""A streaming model as TensorFlow's converter writes it: int8 variables, initialized by CALL_ONCE."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.importers.tflite import import_tflite

pytestmark = pytest.mark.train


def converted(folder: Path) -> bytes:
    """A running mean of its inputs, and scores of it."""
    import tensorflow as tf

    rng = np.random.default_rng(0)

    class Streaming(tf.Module):
        def __init__(self) -> None:
            self.kept = tf.Variable(tf.zeros((1, 6)), trainable=False)
            self.weights = tf.constant(rng.standard_normal((6, 3)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec((1, 6), tf.float32, name="x")])
        def __call__(self, x):
            total = self.kept + x
            self.kept.assign(0.5 * total)
            return tf.nn.softmax(tf.matmul(total, self.weights))

    model = Streaming()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.__call__})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.experimental_enable_resource_variables = True
    converter._experimental_variable_quantization = True
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.standard_normal((1, 6)).astype(np.float32)] for _ in range(20))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def test_converted_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The variable is state with the converter's first value; calls in a row equal LiteRT's."""
    path = tmp_path / "streaming.tflite"
    path.write_bytes(converted(tmp_path / "saved"))
    (state,) = import_tflite(path).states
    assert state.initial.dtype == np.int8 and state.initial.shape == (1, 6)
    capsys.readouterr()
    assert run(["verify", str(path), "--random", "12", "--sequence", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]
