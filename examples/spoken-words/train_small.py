"""Train a small DS-CNN on the spoken words and write small_int8.tflite and small_test.npz, which the tests run."""

from __future__ import annotations

import io
import sys
import tempfile

import dscnn
import keras
import numpy as np
import words

from mcuprune.files import write_file_atomic

FILTERS, BLOCKS = 48, 4
EPOCHS = 20
CALIBRATION = 300  # training clips
SAMPLES = 100  # test clips that the repository carries


def to_int8(model: keras.Model, x: dscnn.Array) -> bytes:
    """The model as TFLite with int8 weights, activations, input and output; `x` tells the ranges."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch:
        model.export(scratch, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[None]] for sample in x)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def int8_accuracy(tflite: bytes, x: dscnn.Array, y: dscnn.Array) -> float:
    """Share of right answers by the reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = entry["quantization"]
    codes = np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)
    right = 0
    for sample, label in zip(codes, y, strict=True):
        interpreter.set_tensor(entry["index"], sample[None])
        interpreter.invoke()
        right += int(np.argmax(interpreter.get_tensor(result["index"])) == label)
    return right / len(y)


def main() -> int:
    keras.utils.set_random_seed(1)
    data = words.load()
    model = dscnn.build(FILTERS, BLOCKS, len(words.class_names), "small")
    dscnn.train(model, data, EPOCHS)
    tflite = to_int8(model, data[0][:CALIBRATION])
    write_file_atomic(dscnn.HERE / "small_int8.tflite", tflite)

    x, y = words.test()
    stream = io.BytesIO()
    halves = x[:SAMPLES].astype(np.float16).astype(np.float32)  # half the bits are zero and cost nothing
    np.savez_compressed(stream, x=halves, y=y[:SAMPLES].astype(np.int32), class_names=np.array(words.class_names))
    write_file_atomic(dscnn.HERE / "small_test.npz", stream.getvalue())

    exact, first = int8_accuracy(tflite, x, y), int8_accuracy(tflite, halves, y[:SAMPLES])
    floats = dscnn.accuracy(model, x, y)
    print(f"small_int8.tflite: {len(tflite)} bytes, int8 {exact:.1%} (float {floats:.1%}) of {len(y)} clips")
    print(f"small_test.npz: {len(stream.getvalue())} bytes, int8 {first:.1%} of {SAMPLES} clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
