"""Make lstm16.json anew: outputs of TensorFlow Lite Micro's portable kernels; LiteRT has no LSTM on int16.

pip install tflite-micro
python -m tests.grid.stored.make_lstm16
"""

from __future__ import annotations

import json

from tflite_micro.python.tflite_micro import runtime  # type: ignore[import-not-found]

from tests.grid.cases import Case
from tests.grid.families.lstm16 import STORED, key_of, models

ARENA_BYTES = 100_000


def outputs(made: Case) -> list[object]:
    """The output of each call, one after the other."""
    interpreter = runtime.Interpreter.from_bytes(made.content, arena_size=ARENA_BYTES)
    found = []
    for sample in made.samples:
        for place, array in enumerate(sample):
            interpreter.set_input(array, place)
        interpreter.invoke()
        found.append(interpreter.get_output(0).tolist())
    return found


if __name__ == "__main__":
    STORED.write_text(json.dumps({made.name: {key_of(made): outputs(made)} for made in models()}) + "\n", "utf-8")
