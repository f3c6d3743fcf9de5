"""What pruning costs while training: seconds a step beside the unpruned model, memory of an update of the masks.

Run `make bench-training`; it writes docs/training-cost.md. Each model is trained twice in one process, with and without
a Pruner, in turns of some steps, so that what else the machine does meets both.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import dscnn
import keras
import numpy as np
import tensorflow as tf

from mcuprune.files import write_file_atomic
from mcuprune.sparsity import PolynomialDecay, Pruner

TABLE = Path(__file__).parents[2] / "docs" / "training-cost.md"
MODELS = {"DS-CNN-S": (64, 4, 60, 8), "DS-CNN-L": (276, 5, 16, 3)}  # filters, blocks, turns, steps in a turn
BATCH = 100
UPDATES = 50  # of the masks, over half of the turns: a training as short as this one has more of them than others
SIDE = 10_000


class Training:
    """A model and its train function, driven as fit() does, with a pruner or without."""

    def __init__(self, filters: int, blocks: int, steps: int, pruned: bool) -> None:
        keras.utils.set_random_seed(1)
        self.model = dscnn.build(filters, blocks, 12, "model")
        self.model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
        rng = np.random.default_rng(1)
        x = rng.normal(size=(4 * BATCH, 49, 10, 1)).astype(np.float32)
        data = tf.data.Dataset.from_tensor_slices((x, rng.integers(0, 12, len(x)))).batch(BATCH).cache().repeat()
        self.batches = iter(data.prefetch(2))
        self.model.make_train_function()
        self.callbacks = keras.callbacks.CallbackList(
            [Pruner(0.8, schedule=PolynomialDecay(0, 0.8, 0, steps // 2, frequency=None))] if pruned else [],
            model=self.model,
            steps=steps,
            epochs=1,
        )
        self.callbacks.on_train_begin()
        self.callbacks.on_epoch_begin(0)
        self.done = 0

    def turn(self, steps: int) -> tuple[float, float]:
        """Train some steps; seconds for each, and seconds of the processor (of all threads)."""
        start, used = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self.callbacks.on_train_batch_begin(self.done)
            logs = self.model.train_function(self.batches)
            self.callbacks.on_train_batch_end(self.done, logs)
            self.done += 1
        return (time.perf_counter() - start) / steps, (time.process_time() - used) / steps


def steps(name: str) -> str:
    """A row of the table for a model."""
    filters, blocks, turns, length = MODELS[name]
    total = turns * length + 2
    both = [Training(filters, blocks, total, pruned) for pruned in (False, True)]
    for training in both:
        training.turn(2)  # traced
    found: list[list[tuple[float, float]]] = [[], []]
    for number in range(turns):
        for i in (0, 1) if number % 2 == 0 else (1, 0):
            found[i].append(both[i].turn(length))
        print(f"{name}: {found[0][-1]} {found[1][-1]} s", file=sys.stderr)
    times = np.array(found)  # (model, turn, by the clock or of the processor)
    used = [f"{value * 1e3:.1f}" for value in times[:, :, 1].mean(axis=1)]
    half = turns // 2
    costs = [f"{part[1].sum() / part[0].sum() - 1:+.1%}" for part in (times[:, :half, 1], times[:, half:, 1])]
    return f"| {name} | {' | '.join((*used, *costs))} |"


def memory() -> str:
    """What an update of the masks of 100 million weights takes, in a process of its own."""
    dense = keras.layers.Dense(SIDE, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((SIDE,)), dense, keras.layers.Dense(2)])
    rng = np.random.default_rng(1)
    for start in range(0, SIDE, 500):  # in place: whole temporaries would stay with the allocator, and hide others
        dense.kernel.value[start : start + 500].assign(rng.normal(size=(500, SIDE)).astype(np.float32))
    pruner = Pruner(0.8, schedule=PolynomialDecay(0.4, 0.8, 0, 1))
    pruner.attach(model)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with Peak() as peak:
        began = time.perf_counter()
        pruner.step(0)
        seconds = time.perf_counter() - began
    return f"{seconds:.1f} {peak.most - peak.before:.0f}"


def main() -> None:
    """Measure, and write the table."""
    rows = [steps(name) for name in MODELS]
    found = subprocess.run([sys.executable, __file__, "memory"], stdout=subprocess.PIPE, text=True, check=True)
    seconds, extra = found.stdout.split()
    text = f"""# What pruning costs while training

`make bench-training` writes this page: TensorFlow {tf.__version__}, Keras {keras.__version__}, {_cores()},
batches of {BATCH}. Model and pruned model are trained in one process, in turns of some steps, as fit() does it. What
counts is the processor's time, which other work on the machine disturbs least. The ramp has up to {UPDATES} updates of
the masks over half of {_lengths()} steps, which is short: in longer trainings its cost comes near the one after it.

| model | processor's ms a step, unpruned | with `Pruner(0.8)` | cost within the ramp | cost after it |
|---|---:|---:|---:|---:|
{chr(10).join(rows)}

One update of the masks of a dense kernel of {SIDE**2 // 10**6} million weights (400 MB) took {seconds} s and {extra} MB
beyond what was there before: one temporary copy of the kernel (400 MB), the mask here and on its way into its variable
(100 MB each), and parts of some MB.
"""
    write_file_atomic(TABLE, text.encode())
    print(text)


def _lengths() -> str:
    return " and ".join(str(turns * length) for _, _, turns, length in MODELS.values())


def _cores() -> str:
    return f"{len(tf.config.list_logical_devices('CPU'))} CPU device of {platform.machine()}"


class Peak:
    """The most memory that this process has, in MB, looked at each millisecond while it is entered."""

    def __enter__(self) -> Peak:
        self.before = self.most = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.001):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> float:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        print(memory())
    else:
        main()
