"""TensorFlow and Keras, imported once, without their chatter, or one error that says how to get them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from mcuprune.errors import ToolMissingError

INSTALL_HINT = "pip install 'mcuprune[train]'"

_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # C++ side: errors only
    "TF_ENABLE_ONEDNN_OPTS": "0",  # other orders of summation by thread count: seeds would not repeat
    "KERAS_BACKEND": "tensorflow",
    "GRPC_VERBOSITY": "ERROR",
}


def require_tensorflow(purpose: str) -> None:
    """Import TensorFlow and Keras 3, quietly; what they print while they are imported is dropped.

    Settings that the environment already has stay.

    Raises:
        ToolMissingError: one of them is missing, broken, or Keras is older than 3.
    """
    missing = [name for name in ("tensorflow", "keras") if importlib.util.find_spec(name) is None]
    if missing:
        raise ToolMissingError(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed; needed to {purpose}",
            hint=INSTALL_HINT,
        )
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        if "tensorflow" not in sys.modules:
            with captured_output():
                import absl.logging
                import tensorflow as tf

                absl.logging.set_verbosity(absl.logging.ERROR)
                tf.get_logger().setLevel("ERROR")
                tf.config.list_physical_devices()  # a missing GPU is complained about here
        import keras
    except ImportError as error:
        raise ToolMissingError(f"TensorFlow cannot be imported: {error}", hint=INSTALL_HINT) from error
    if int(keras.__version__.split(".")[0]) < 3:
        raise ToolMissingError(f"Keras {keras.__version__} is installed, Keras 3 is needed", hint=INSTALL_HINT)


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
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
