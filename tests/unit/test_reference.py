"""LiteRT's reference interpreter in its child process: answers, crashes, ends."""

from __future__ import annotations

import os
import signal
import time
import zlib

import numpy as np
import pytest

from mcuprune.errors import ModelError
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.tflite_builder import Builder, random_bias, random_int8


@pytest.fixture
def content(rng):
    """A convolution and a softmax."""
    model = Builder()
    x = model.input((1, 4, 4, 3), 0.1, 3)
    y = model.conv_2d(x, random_int8(rng, (5, 1, 1, 3)), random_bias(rng, 5), scale=0.2)
    return model.build([model.softmax(model.reshape(y, (1, 80)))])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_answers_agree(content, rng):
    """Outputs, layers and CRCs tell of the same run."""
    sample = random_int8(rng, (1, 4, 4, 3))
    with ReferenceInterpreter(content) as reference:
        (output,) = reference.run([sample])
        layers = reference.run_layers([sample])
        crcs = reference.layer_crcs([sample])
    assert list(layers.values())[-1].tobytes() == output.tobytes()
    assert crcs == [zlib.crc32(a.tobytes()) for a in layers.values()]
    assert len(crcs) == 3


def test_stream_keeps_the_order(content, rng):
    """A stream answers every sample in order, and an abandoned one leaves nothing behind."""
    samples = [[random_int8(rng, (1, 4, 4, 3))] for _ in range(40)]
    with ReferenceInterpreter(content) as reference:
        expected = [reference.run(sample)[0].tobytes() for sample in samples]
        replies = list(reference.stream(samples))
        assert [r.outputs[0].tobytes() for r in replies] == expected
        assert all(len(r.crcs) == 3 for r in replies)
        stream = reference.stream(samples, want="crcs")
        assert next(stream).outputs == []
        stream.close()
        assert reference.run(samples[5])[0].tobytes() == expected[5]


def test_refusal_is_an_error(rng):
    """What LiteRT says of a model that it cannot prepare reaches the user."""
    model = Builder()
    x = model.input((1, 4, 4, 3), 0.1, 3)
    content = model.build([model.conv_2d(x, random_int8(rng, (5, 1, 1, 3)), None)])
    with pytest.raises(ModelError, match=r"LiteRT refuses the model.*has_bias"):
        ReferenceInterpreter(content, "nobias.tflite")


def test_crash_is_an_error(content, rng):
    """A child that is killed in the middle becomes a ModelError that names the signal, also on the next call."""
    with ReferenceInterpreter(content) as reference:
        os.kill(reference._child.pid, signal.SIGSEGV)
        for _ in range(2):
            with pytest.raises(ModelError, match=r"died on this model .signal SIGSEGV"):
                reference.run([random_int8(rng, (1, 4, 4, 3))])


def test_abort_in_a_kernel_is_an_error():
    """A softmax whose exponentials sum to 512 and more aborts LiteRT: the child dies, we do not."""
    model = Builder()
    content = model.build([model.softmax(model.input((1, 600), 0.1))])
    with ReferenceInterpreter(content) as reference, pytest.raises(ModelError, match="died on this model"):
        reference.run([np.zeros((1, 600), np.int8)])


def test_child_ends_with_the_context_and_ignores_interrupts(content):
    """Ctrl-C does not reach the child; leaving the context ends it."""
    with ReferenceInterpreter(content) as reference:
        pid = reference._child.pid
        os.kill(pid, signal.SIGINT)
        time.sleep(0.05)
        assert reference._child.poll() is None
    assert not alive(pid)
