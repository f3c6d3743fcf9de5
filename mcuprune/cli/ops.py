"""mcuprune ops"""

from __future__ import annotations

import click

from mcuprune.cli.common import json_option, out, print_json, table


@click.command()
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as it stands in docs/operators.md.")
@json_option
def command(as_markdown: bool, as_json: bool) -> None:
    """List the operators of a .tflite that are supported, with element types and instruction-set levels.

    Levels: ref is portable C11, which every core runs; armv6m (Cortex-M0), armv7m (M3 and up), dsp (M4, M7, M33) and
    mve (M55) are faster where they exist. Encodings: how sparse weights may lie in flash.
    """
    from mcuprune.importers.operators import PARSERS
    from mcuprune.kernels.support import markdown, supported

    rows = supported({name: parser.kind or name for name, parser in PARSERS.items()})
    if as_json:
        print_json({"operators": [row.to_json() for row in rows]})
        return
    if as_markdown:
        out.file.write(markdown(rows))
        return
    shown = table(None, "operator", "elements", "kernel", "levels", "encodings")
    for row in rows:
        kernel = f"mp_{row.kernel}" if row.kernel else "no code"
        shown.add_row(row.operator, row.types, kernel, ", ".join(row.isas), ", ".join(row.encodings))
    out.print(shown)
