"""LSTM on int16 activations with int8 weights, calls in a row: what TensorFlow Lite Micro gives, stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.grid.cases import Case, case
from tests.recurrent import lstm16
from tests.tflite_builder import Builder

CALLS = 3
STORED = Path(__file__).parents[1] / "stored" / "lstm16.json"


def models() -> Iterator[Case]:
    """All cell scales, sums that saturate and that are small, biases beyond int32, a clip, time first, one of each."""
    rng = np.random.default_rng(21)
    for number in range(14):
        steps, inputs, cells = ((3, 4, 5), (1, 1, 1), (2, 7, 3), (1, 3, 9))[number % 4]
        model = Builder()
        time_major, wide = number % 5 == 3, number % 6 == 5
        x = model.input((1, steps, inputs), (1 / 32768, 3e-4, 1e-5)[number % 3], 0, np.int16)
        if time_major:
            seen = model.tensor((steps, 1, inputs), np.int16, (1 / 32768, 3e-4, 1e-5)[number % 3])
            x = model.op("RESHAPE", [x, model.constant((steps, 1, inputs))], [seen])
        y = lstm16(
            model,
            x,
            rng,
            cells,
            time_major=time_major,
            clip=(0.0, 0.3)[number % 7 == 2],
            weight_scale=1e-6 if wide else (0.002, 0.01, 0.05)[number % 3],
            out_scale=(1 / 32768, 3.7e-5, 2.3e-5)[number % 3],
            cell_bits=number % 7,
            bias=2**35 if wide else (4000, 300, 2**20)[number % 3],
        )
        yield case(f"lstm16_{number}", model, [y], number, CALLS)


def cases() -> Iterator[Case]:
    """The models with their stored outputs, by the hash of model and inputs."""
    stored = json.loads(STORED.read_text("utf-8"))
    for made in models():
        yield replace(made, stored=tuple(np.array(values, np.int16) for values in stored[made.name][key_of(made)]))


def key_of(made: Case) -> str:
    """What the stored outputs are of."""
    inputs = b"".join(array.tobytes() for sample in made.samples for array in sample)
    return hashlib.sha256(made.content + inputs).hexdigest()[:16]
