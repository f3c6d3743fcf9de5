"""The Pruner over several devices and over several worker processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

HEAD = """
import sys
import numpy as np
from mcuprune.sparsity.runtime import require_tensorflow
require_tensorflow("test")
import keras
import tensorflow as tf
from mcuprune import sparsity
from mcuprune.sparsity import PolynomialDecay, Pruner, prunable_weights

rng = np.random.default_rng(3)
x = rng.normal(size=(48, 12)).astype(np.float32)
y = rng.integers(0, 3, 48)


def build():
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(8, "relu", name="first"), keras.layers.Dense(3, name="last")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    return model


class Watch(keras.callbacks.Callback):
    seen = []

    def on_train_batch_end(self, batch, logs=None):
        values = prunable_weights(self.model)[0].variable.value.values
        Watch.seen.append([int((value.numpy() == 0).sum()) for value in values])


def loop(strategy, pruner, samples_of, steps):
    '''Prune in a loop of one's own; the model.'''
    with strategy.scope():
        model = build()
        model.optimizer.build(model.trainable_variables)
        pruner.attach(model)

        @tf.function
        def update(values):
            def replica(samples):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(model(samples, training=True))) / 2
                model.optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

            strategy.run(replica, args=(values,))

        for step in range(steps):
            pruner.step(step)
            update(strategy.experimental_distribute_values_from_function(lambda c: samples_of(step, c)))
            copies = strategy.experimental_local_results(model.layers[0].kernel.value)
            Watch.seen.append([int((copy.numpy() == 0).sum()) for copy in copies])
        pruner.finish()
    return model
"""

MIRRORED = (
    HEAD
    + """
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = build()
schedule = PolynomialDecay(0, 0.5, 0, 6, frequency=2)
pruner = Pruner(0.75, schedule=schedule)
model.fit(x, y, batch_size=12, epochs=2, verbose=0, callbacks=[pruner, Watch()])
kernel = model.layers[0].kernel
copies = [value.numpy() for value in kernel.value.values]
assert len(copies) == 2 and (copies[0] == copies[1]).all()
asked = [round(96 * schedule.sparsity_at(schedule.last_update(step), 0.75)) for step in range(8)]
assert Watch.seen == [[count, count] for count in asked], Watch.seen
assert (copies[0] == 0).sum() == 72 and kernel.constraint is None

Watch.seen.clear()
model = loop(strategy, pruner := Pruner(0.75, schedule=PolynomialDecay(0.5, 0.9, 0, 2, frequency=1)),
             lambda step, c: x[step * 12 + c.replica_id_in_sync_group : step * 12 + 12 : 2], 4)
assert Watch.seen == [[40, 40], [68, 68], [72, 72], [72, 72]], Watch.seen

# the familiar API
Watch.seen.clear()
schedule = PolynomialDecay(0, 0.75, 0, 6, frequency=2)
with strategy.scope():
    pruned = sparsity.prune_low_magnitude(build(), schedule)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    pruned.compile("adam", loss, jit_compile=False)
pruned.fit(x, y, batch_size=12, epochs=2, verbose=0, callbacks=[sparsity.UpdatePruningStep(), Watch()])
asked = [round(96 * schedule.sparsity_at(schedule.last_update(step))) for step in range(8)]
assert Watch.seen == [[count, count] for count in asked], Watch.seen
assert pruned.layers[0].pruning_step == 8
assert (sparsity.strip_pruning(pruned).layers[0].kernel.numpy() == 0).sum() == 72
print("equal")
"""
)

WORKER = (
    HEAD
    + """
strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
schedule = PolynomialDecay(0, 0.5, 0, 6, frequency=2)
pruner = Pruner(0.75, schedule=schedule)
model = loop(strategy, pruner, lambda step, c: x[step * 6 + c.replica_id_in_sync_group : step * 6 + 6 : 2], 8)
assert Watch.seen == [[round(96 * schedule.sparsity_at(schedule.last_update(step), 0.75))] for step in range(8)]
np.savez(sys.argv[1], keep=pruner.masked[0].keep, kernel=model.layers[0].kernel.numpy())
"""
)


def environment() -> dict[str, str]:
    """This process's, in which the package is found and nothing is said."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"}


def test_mirrored_on_two_devices() -> None:
    """Both copies have the exact zeros after each update, by fit() with either API and in a loop of one's own."""
    found = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, env=environment())
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.strip() == "equal"


@pytest.mark.full
def test_two_worker_processes(tmp_path: Path) -> None:
    """Workers that talk over loopback choose equal masks, with the exact count, and have equal weights.

    In a loop of one's own: fit() of Keras 3.15 fails with this strategy, inside its own trainer.
    """
    ports = _free_ports(2)
    workers = []
    for index in range(2):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        command = [sys.executable, "-c", WORKER, str(tmp_path / f"{index}.npz")]
        log = (tmp_path / f"{index}.log").open("w")
        workers.append(
            subprocess.Popen(command, env={**environment(), "TF_CONFIG": config}, stdout=log, stderr=subprocess.STDOUT)
        )
        log.close()
    try:
        codes = [worker.wait(timeout=280) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert codes == [0, 0], (tmp_path / "0.log").read_text()[-3000:]
    results: list[Any] = [np.load(tmp_path / f"{index}.npz") for index in range(2)]
    assert (results[0]["keep"] == results[1]["keep"]).all() and (~results[0]["keep"]).sum() == 72
    assert (results[0]["kernel"] == results[1]["kernel"]).all() and (results[0]["kernel"] == 0).sum() == 72


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports
