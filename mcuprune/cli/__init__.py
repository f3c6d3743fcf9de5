"""The command line: `mcuprune VERB ...`. Each verb has a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence

import click

from mcuprune import __version__
from mcuprune.errors import EXIT_INTERRUPTED, EXIT_USAGE, McupruneError

VERBS = {
    "prune": "Set the least important weights of a model to zero.",
    "quantize": "Turn a Keras model into an int8 .tflite whose zeros stay.",
    "generate": "Turn an int8 .tflite into a C project for a board.",
    "build": "Compile a generated folder and show what it costs.",
    "flash": "Put the built image on the board and check that it runs.",
    "check": "Run data through the board and compare with the reference.",
    "verify": "Compare every layer with TFLite's reference kernels.",
    "run": "Walk the whole road that a recipe describes.",
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
    try:
        result = cli.main(arguments, prog_name="mcuprune", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except McupruneError as error:
        if "--json" in arguments:
            print(json.dumps({"error": {"what": error.what, "where": error.where, "hint": error.hint}}, indent=1))
        print(error, file=sys.stderr)
        return error.exit_code
    except click.exceptions.Abort:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left; nothing is wrong with us
        return 0
