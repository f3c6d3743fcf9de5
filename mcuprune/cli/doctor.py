"""mcuprune doctor"""

from __future__ import annotations

import importlib.util
import shutil
import sys

import click

from mcuprune.cli.common import json_option, out, print_json, table
from mcuprune.errors import EXIT_BUILD, EXIT_OK


@click.command()
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Say which programs and packages are here, what they are for, and how to get what is missing.

    Exit code 0 when the road from a .tflite to a QEMU board is open, 4 when something for it is missing.
    """
    from mcuprune.doctor import examine

    findings = examine(shutil.which, importlib.util.find_spec, sys.version_info[:2])
    if as_json:
        print_json({"ready": all(f.ok for f in findings if f.required), "findings": [f.to_json() for f in findings]})
    else:
        rows = table(None, "", "what", "for", "found", "how to get it")
        for f in findings:
            rows.add_row(
                "ok" if f.ok else ("MISSING" if f.required else "absent"),
                f.name,
                f.purpose,
                f.found,
                "" if f.ok else f.hint,
            )
        out.print(rows)
    return EXIT_OK if all(f.ok for f in findings if f.required) else EXIT_BUILD
