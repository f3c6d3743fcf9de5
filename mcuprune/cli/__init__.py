"""The command line: `mcuprune VERB ...`. Each verb has a module of its own, imported when it is called."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mcuprune import __version__
from mcuprune.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, McupruneError, UsageError

VERBS = {
    "data": "Turn a public data set into an .npz to train on.",
    "sensitivity": "Say how much each layer of a Keras model minds being pruned.",
    "prune": "Set the least important weights of a model to zero.",
    "shrink": "Take empty channels out of a Keras model.",
    "quantize": "Turn a Keras model into an int8 .tflite whose zeros stay.",
    "sparsity": "Say which weights of a model are zero, and in which pattern.",
    "size": "Compare model files: bytes, zipped bytes, nonzero parameters.",
    "generate": "Turn an int8 .tflite into a C project for a board.",
    "memory": "Show the arena of a generated folder over time.",
    "build": "Compile a generated folder and show what it costs.",
    "flash": "Put the built image on the board and check that it runs.",
    "check": "Run data through the board and compare with the reference.",
    "profile": "Say what each layer costs: instructions, cycles, flash.",
    "report": "Write one HTML file about a built folder.",
    "verify": "Compare every layer with TFLite's reference kernels.",
    "run": "Walk the whole road that a recipe describes.",
    "ops": "List the operators that are supported.",
    "boards": "List the boards that are supported.",
    "doctor": "Say what is missing on this machine and how to get it.",
}
"""The verbs in the order of the road, with their line in --help."""


class _Verbs(click.Group):
    """Loads the module of a verb when the verb is used, so that --help and short verbs start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"mcuprune.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs, in the order of the road"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mcuprune")
def cli() -> None:
    """From a trained Keras model to a checked Cortex-M board.

    \b
    The road:
      mcuprune prune model.keras --data data.npz --sparsity 0.8 -o pruned.keras
      mcuprune quantize pruned.keras --data data.npz -o model.tflite
      mcuprune generate model.tflite --board mps2-an386 -o out
      mcuprune build out
      mcuprune flash out
      mcuprune check out --data data.npz

    Exit codes: 0 done; 1 a check missed its floor or bytes differ; 2 usage or data; 3 model; 4 build, a tool
    missing, or it does not fit; 5 board, QEMU or link; 6 training; 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; the exit itself is no longer interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # __main__ had its own until the imports were done
    _open_closed_streams()
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code == EXIT_INTERRUPTED:
        # CPython remembers a KeyboardInterrupt that passed through exec() (dataclasses are made so) and ends by SIGINT
        # instead of with our code, although it was handled. Everything of ours is closed by now.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code. Errors are shown without a traceback, as JSON under --json."""
    as_json, streams = "--json" in arguments, (sys.stdout, sys.stderr)
    try:
        result = cli.main(arguments, prog_name="mcuprune", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else EXIT_OK
    except McupruneError as error:
        return _fail(error, as_json)
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        if as_json:
            context = getattr(error, "ctx", None)
            where = context.command_path if context is not None else None
            _print_error(error.format_message(), where, f"{where or 'mcuprune'} --help")
        error.show()
        return EXIT_USAGE
    except (BrokenPipeError, SystemExit):
        sys.stdout, sys.stderr = streams  # click wraps them and exits with 1 where a pipe is broken; we never exit here
        _drop_output()  # the reader of our output has left (`| head`): nothing is wrong with us
        return EXIT_OK
    except OSError as error:
        where = None if error.filename is None else str(error.filename)
        hint = "is the place there, may you use it, and has the disk room?"
        code = _fail(UsageError(error.strerror or str(error), where=where, hint=hint), as_json)
        _flush_or_drop()
        return code


def _fail(error: McupruneError, as_json: bool) -> int:
    if as_json:
        _print_error(error.what, error.where, error.hint)
    with contextlib.suppress(OSError):
        print(error, file=sys.stderr)
    return error.exit_code


def _print_error(what: str, where: str | None, hint: str | None) -> None:
    with contextlib.suppress(OSError):
        print(json.dumps({"error": {"what": what, "where": where, "hint": hint}}, indent=1))
    _flush_or_drop()


def _flush_or_drop() -> None:
    """Write what is still in the buffer, where that is possible."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """What is still in the buffers goes nowhere, or Python would complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _open_closed_streams() -> None:
    """Streams that the shell closed (`>&-`) lead nowhere; else the next file opened would take their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w" if number else "r", encoding="utf-8"))  # noqa: SIM115
