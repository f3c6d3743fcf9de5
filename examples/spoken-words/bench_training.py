"""What pruning costs while training: seconds a step beside the unpruned model, memory of an update of the masks.

Run `make bench-training`; it writes docs/training-cost.md. Each model is trained three times in one process, without
pruning, with a Pruner, and wrapped by prune_low_magnitude(), in turns of some steps, so that what else the machine does
meets all of them.
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
from mcuprune.sparsity import PolynomialDecay, Pruner, UpdatePruningStep, prune_low_magnitude

TABLE = Path(__file__).parents[2] / "docs" / "training-cost.md"
MODELS = {"DS-CNN-S": (64, 4, 120, 8), "DS-CNN-L": (276, 5, 80, 3)}  # filters, blocks, turns, steps in a turn
RAMP = 4  # one turn of so many belongs to the ramp, and every step of it computes the masks again
FREQUENCY = PolynomialDecay.frequency
WAYS = {"unpruned": "none", "native": "`Pruner(0.8)`", "familiar": "`prune_low_magnitude`"}
BATCH = 100
SIDE = 10_000


class Training:
    """A model and its train function, driven as fit() does, pruned in one of WAYS."""

    def __init__(self, filters: int, blocks: int, steps: int, way: str) -> None:
        keras.utils.set_random_seed(1)
        self.model = dscnn.build(filters, blocks, 12, "model")
        schedule = PolynomialDecay(0, 0.8, 0, steps // RAMP, frequency=1)
        callbacks: list[keras.callbacks.Callback] = []
        if way == "native":
            callbacks.append(Pruner(0.8, schedule=schedule))
        elif way == "familiar":
            self.model = prune_low_magnitude(self.model, pruning_schedule=schedule)
            callbacks.append(UpdatePruningStep())
        self.model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
        rng = np.random.default_rng(1)
        x = rng.normal(size=(4 * BATCH, 49, 10, 1)).astype(np.float32)
        data = tf.data.Dataset.from_tensor_slices((x, rng.integers(0, 12, len(x)))).batch(BATCH).cache().repeat()
        self.batches = iter(data.prefetch(2))
        self.model.make_train_function()
        self.callbacks = keras.callbacks.CallbackList(
            callbacks,
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


def measured(name: str) -> np.ndarray:
    """Seconds of each way (way, turn, by the clock or of the processor) on a model."""
    filters, blocks, turns, length = MODELS[name]
    trainings = [Training(filters, blocks, turns * length + 2, way) for way in WAYS]
    for training in trainings:
        training.turn(2)  # traced
    found: list[list[tuple[float, float]]] = [[] for _ in trainings]
    for number in range(turns):
        for i in np.roll(range(len(trainings)), number):
            found[i].append(trainings[i].turn(length))
        print(f"{name}: {[f'{turn[-1][0]:.4f}' for turn in found]} s", file=sys.stderr)
    return np.array(found)


def rows(name: str) -> list[str]:
    """The table's rows for a model: a step's median, what masks cost between their updates, and what one update takes.

    Turns of one round stand side by side, and the median of their ratios is the cost: what the machine does for a
    moment meets some turns, not all.
    """
    times = measured(name)
    ramp = times.shape[1] // RAMP
    made = []
    for way, its in zip(WAYS.values(), times, strict=True):
        cells = [f"{np.median(its[ramp:, 0]) * 1e3:.1f}", f"{np.median(its[ramp:, 1]) * 1e3:.1f}"]
        if way == WAYS["unpruned"]:
            cells += [""] * 6
        else:
            ratios = its / times[0] - 1
            low, held, high = np.quantile(ratios[ramp:], (0.25, 0.5, 0.75), axis=0)
            update = np.median(ratios[:ramp], axis=0) - held
            milliseconds = update * np.median(times[0, ramp:], axis=0) * 1e3
            for i in (0, 1):
                spread = f" ({low[i]:+.1%} to {high[i]:+.1%})"
                cells += [
                    f"{held[i]:+.1%}{spread}",
                    f"{milliseconds[i]:.1f}",
                    f"{held[i] + update[i] / FREQUENCY:+.1%}",
                ]
        made.append(f"| {name} | {way} | {' | '.join(cells)} |")
    return made


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
    table = [row for name in MODELS for row in rows(name)]
    found = subprocess.run([sys.executable, __file__, "memory"], stdout=subprocess.PIPE, text=True, check=True)
    seconds, extra = found.stdout.split()
    text = f"""# What pruning costs while training

`make bench-training` writes this page: TensorFlow {tf.__version__}, Keras {keras.__version__}, {_cores()},
batches of {BATCH}. The model is trained without pruning, with the native API, and with the API that users of
TensorFlow Model Optimization know, all in one process, in turns of some steps, as fit() does it. Times are medians of
the turns; a cost is the median over pairs of turns side by side (half of the pairs lay between the numbers in brackets:
where these are far apart, the median says little), by the clock, and of the processor, all its threads together. In the
first quarter of {_lengths()} steps every step computes the masks again: that gives the time of one update. Schedules
update every {FREQUENCY} steps by default; "cost" is with these. The first three such columns are by the clock, the last
three of the processor.

| model | pruning | ms a step | of the processor | between updates | an update, ms | cost | between | an update | cost |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
{chr(10).join(table)}

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
