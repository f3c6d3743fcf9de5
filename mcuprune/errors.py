"""Errors that a user sees, and the exit codes of the command line.

Every failure that can be met in use is a McupruneError: what was wrong, where, and what to do. The command line prints
the three lines and leaves with the class's exit code; a traceback is a bug of ours.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_CHECK = 1
EXIT_USAGE = 2
EXIT_MODEL = 3
EXIT_BUILD = 4
EXIT_BOARD = 5
EXIT_TRAINING = 6
EXIT_INTERRUPTED = 130


class McupruneError(Exception):
    """Something a user can act on.

    Args:
        what: the fault in one sentence, with the values that decided it.
        where: file, operator, option or port; None where `what` says it all.
        hint: what to do about it; None where nothing can be said.
    """

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"error: {self.what}"]
        if self.where:
            lines.append(f"   at: {self.where}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


class CheckError(McupruneError):
    """A check missed its floor, or bytes differ."""

    exit_code = EXIT_CHECK


class UsageError(McupruneError, ValueError):
    """An option or argument is wrong."""


class DataError(McupruneError, ValueError):
    """A data set is missing, unreadable, or does not fit the model."""


class ModelError(McupruneError, ValueError):
    """A model file is broken, unsupported, or of the wrong kind."""

    exit_code = EXIT_MODEL


class QuantError(ModelError):
    """A quantization parameter is not usable."""


class EncodingError(ModelError):
    """Weights cannot be written in the encoding that was asked for."""


class BoardFileError(McupruneError):
    """A board's TOML file is wrong, or no board has that name."""


class BuildError(McupruneError):
    """The compiler failed, or the generated folder is not what it should be."""

    exit_code = EXIT_BUILD


class ToolMissingError(BuildError):
    """A program that a step needs is not installed."""


class FitError(BuildError):
    """The image is larger than the board's memory."""


class BoardError(McupruneError):
    """The board, its emulator or its flash tool failed."""

    exit_code = EXIT_BOARD


class LinkError(BoardError):
    """The serial link is silent, broken, or speaks to another build."""


class TrainingError(McupruneError):
    """Pruning, fine-tuning or quantization failed."""

    exit_code = EXIT_TRAINING
