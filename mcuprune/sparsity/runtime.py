"""TensorFlow and Keras, imported once, without their chatter, or one error that says how to get them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mcuprune.errors import ToolMissingError

INSTALL_HINT = "pip install 'mcuprune[train]'"

_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # C++ side: errors only
    "TF_ENABLE_ONEDNN_OPTS": "0",  # other orders of summation by thread count: seeds would not repeat
    "KERAS_BACKEND": "tensorflow",
    "GRPC_VERBOSITY": "ERROR",
}


def require_keras(purpose: str) -> None:
    """Import Keras 3 with its backend, TensorFlow unless KERAS_BACKEND or Keras's own settings name another.

    Raises:
        ToolMissingError: Keras or its backend is missing or broken, or Keras is older than 3.
    """
    if "keras" not in sys.modules and _backend() == "tensorflow":
        require_tensorflow(purpose)
    _import_keras(purpose)


def require_tensorflow(purpose: str) -> None:
    """Import TensorFlow and Keras 3, quietly; what they print while they are imported is dropped.

    Settings that the environment already has stay.

    Raises:
        ToolMissingError: one of them is missing, broken, or Keras is older than 3; Keras runs on another backend.
    """
    for name in ("tensorflow", "keras"):
        _require(name, purpose)
    backend = sys.modules["keras"].backend.backend() if "keras" in sys.modules else _backend()
    if backend != "tensorflow":
        raise ToolMissingError(
            f"Keras runs on {backend}, TensorFlow is needed to {purpose}",
            hint="save the model, and run this with KERAS_BACKEND=tensorflow",
        )
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        if "tensorflow" not in sys.modules:
            with captured_output(), held_interrupts():
                import absl.logging
                import tensorflow as tf

                absl.logging.set_verbosity(absl.logging.ERROR)
                tf.get_logger().setLevel("ERROR")
                tf.config.list_physical_devices()  # a missing GPU is complained about here
    except ImportError as error:
        raise ToolMissingError(f"TensorFlow cannot be imported: {error}", hint=INSTALL_HINT) from error
    _import_keras(purpose)


def _import_keras(purpose: str) -> None:
    _require("keras", purpose)
    try:
        with held_interrupts():
            import keras
    except ImportError as error:
        raise ToolMissingError(f"Keras cannot be imported: {error}", hint=INSTALL_HINT) from error
    if int(keras.__version__.split(".")[0]) < 3:
        raise ToolMissingError(f"Keras {keras.__version__} is installed, Keras 3 is needed", hint=INSTALL_HINT)


@contextlib.contextmanager
def held_interrupts() -> Iterator[None]:
    """Put Ctrl-C off until the end: while C++ modules are initialised it makes them fail, or crash the process."""
    if threading.current_thread() is not threading.main_thread():
        yield  # interrupts reach the main thread alone
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if came:
            signal.raise_signal(signal.SIGINT)


def _require(name: str, purpose: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise ToolMissingError(f"{name} is not installed; needed to {purpose}", hint=INSTALL_HINT)


def _backend() -> str:
    """The backend that Keras will take: of the environment, else of its file of settings, else TensorFlow."""
    if "KERAS_BACKEND" in os.environ:
        return os.environ["KERAS_BACKEND"]
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


@contextlib.contextmanager
def captured_output() -> Iterator[IO[bytes]]:
    """Send file descriptors 1 and 2 into a file for a while; yields that file.

    C++ libraries write there without asking Python. Python's own streams follow, as they write to the same descriptors.
    """
    with tempfile.TemporaryFile() as log:
        _flush()
        saved = [os.dup(1), os.dup(2)]
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield log
        finally:
            _flush()
            for descriptor, old in zip((1, 2), saved, strict=True):
                os.dup2(old, descriptor)
                os.close(old)


def last_lines(log: IO[bytes], count: int = 8) -> str:
    """The last lines of what was captured."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def make_repeatable(seed: int) -> None:
    """Seed Python, numpy and TensorFlow, and have TensorFlow use kernels that give equal results for equal input."""
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
