"""mcuprune report"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcuprune.cli.common import json_option, kilo, out, port_option, print_json, progress, say
from mcuprune.errors import DataError, UsageError

if TYPE_CHECKING:
    from mcuprune.build.folder import Folder


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE.html", help="[default: report.html in DIR/build]"
)
@click.option(
    "--profile", "profile_file", type=click.Path(path_type=Path), metavar="FILE", help="What `profile --json` printed."
)
@click.option("--no-profile", is_flag=True, help="Leave out what layers cost; else QEMU boards are profiled for it.")
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="FILE", help="Baselines (JSON), as `profile --against`."
)
@click.option(
    "--check", "check_file", type=click.Path(path_type=Path), metavar="FILE", help="What `check --json` printed."
)
@click.option(
    "--data", help="Labelled samples to check the flashed board with: FILE.npz[:x=NAME,y=NAME] or module:function."
)
@click.option("--samples", type=click.IntRange(1), help="Check only the first so many.  [default: all]")
@port_option
@json_option
def command(
    folder: Path,
    output: Path | None,
    profile_file: Path | None,
    no_profile: bool,
    against: Path | None,
    check_file: Path | None,
    data: str | None,
    samples: int | None,
    port: str | None,
    as_json: bool,
) -> None:
    """Write one self-contained HTML file about a built folder.

    Layers with what they cost, why each has its encoding, flash and arena as pictures with tables behind them, board
    and hashes; accuracy where --check or --data gives it. The page needs no network and prints well.
    """
    from mcuprune.build.folder import open_folder
    from mcuprune.build.sizes import measure
    from mcuprune.files import write_file_atomic
    from mcuprune.report.given import require_given
    from mcuprune.report.html import render
    from mcuprune.report.view import report_view

    if check_file is not None and data is not None:
        raise UsageError("--check and --data say the same", hint="give the result, or the samples to check with")
    if profile_file is not None and (no_profile or against is not None):
        raise UsageError("--profile has its figures already", hint="leave --no-profile and --against out")
    opened = open_folder(folder)
    sizes = measure(opened)
    profile = _read(profile_file, "--profile") if profile_file is not None else None
    check = _read(check_file, "--check") if check_file is not None else None
    require_given(opened, sizes, profile, check)
    if profile is None and not no_profile and opened.board.runner.kind == "qemu":
        profile = _profile(opened, against)
    if data is not None:
        check = _check(opened, data, samples, port)
    page = render(report_view(opened, sizes, profile, check)).encode()
    target = output or opened.path / "build" / "report.html"
    write_file_atomic(target, page)
    if as_json:
        print_json(
            {
                "output": str(target),
                "bytes": len(page),
                "board": opened.board.name,
                "model_sha256": opened.model_sha256,
                "build_id": sizes.build_id,
                "profile": profile is not None,
                "check": check is not None,
            }
        )
        return
    out.print(f"written to {target} ({kilo(len(page))}); open it in a browser")


def _read(path: Path, option: str) -> dict[str, Any]:
    """A JSON object that another verb printed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DataError(f"the file cannot be read: {fault.strerror}", where=f"{option} {path}") from None
    except ValueError as fault:
        raise DataError(f"the file is no JSON: {fault}", where=f"{option} {path}") from None
    if not isinstance(found, dict):
        raise DataError("the file holds no JSON object", where=f"{option} {path}")
    return found


def _profile(folder: Folder, against: Path | None) -> dict[str, Any]:
    from mcuprune.importers.tflite import import_tflite
    from mcuprune.inputs import random_inputs
    from mcuprune.profile.against import compare
    from mcuprune.profile.measure import profile_emulated

    say(f"counting one inference on {folder.board.name}")
    graph = import_tflite(folder.model_path, folder.signature)
    result = profile_emulated(folder, random_inputs(graph, 1, 1)[0].tobytes())
    if against is not None:
        result = compare(result, graph, against)
    return result.to_json()


def _check(folder: Folder, data: str, samples: int | None, port: str | None) -> dict[str, Any]:
    from mcuprune.check.score import check
    from mcuprune.check.session import SessionOptions
    from mcuprune.data import load_dataset
    from mcuprune.flash.power import board_opener, image_build_id

    dataset = load_dataset(data)
    total = min(len(dataset), samples or len(dataset))
    say(f"checking {total} samples on {port or folder.board.name}")
    with progress("on the board", total) as update:
        result = check(
            folder.graph(),
            folder.model_path,
            board_opener(folder, port),
            dataset,
            samples=samples,
            options=SessionOptions(build_id=image_build_id(folder.need_elf())),
            progress=lambda done, _: update(done),
        )
    return result.to_json()
