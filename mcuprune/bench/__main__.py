"""`python -m mcuprune.bench`: measure, and write docs/benchmarks.md and docs/benchmarks.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mcuprune import __version__
from mcuprune.bench.cases import cases
from mcuprune.bench.run import Failed, Measured, run_cases
from mcuprune.bench.tables import Setting, missed, to_json, to_markdown
from mcuprune.errors import McupruneError
from mcuprune.files import write_file_atomic
from mcuprune.profile.plugin import qemu_version

ROOT = Path(__file__).parents[2]
COMMAND = "make bench"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only", multiple=True, metavar="MODEL[/BOARD[/ROW]]", help="Measure only these (globs); print, write nothing."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder to write.  [default: docs, without --only]"
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    help="Folder of models/ and baselines/.  [default: MCUPRUNE_SHARED, ../shared]",
)
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True, help="Cases at a time.")
def main(only: tuple[str, ...], output: Path | None, shared: Path | None, jobs: int) -> None:
    """Measure models by boards by sparsities; figures are deterministic."""
    folder = shared or Path(os.environ.get("MCUPRUNE_SHARED", ROOT.parent / "shared"))
    baseline = folder / "baselines" / "cmsis_nn.json"
    found = _measure(only, folder, baseline if baseline.is_file() else None, jobs)
    good = [one for one in found if isinstance(one, Measured)]
    setting = Setting(COMMAND, _commit(), __version__, ".".join(map(str, qemu_version())), _baseline_name(baseline))
    text = to_markdown(good, setting)
    target = output or (None if only else ROOT / "docs")
    if target is None:
        sys.stdout.write(text)
    else:
        write_file_atomic(target / "benchmarks.md", text.encode())
        write_file_atomic(target / "benchmarks.json", (json.dumps(to_json(good, setting), indent=1) + "\n").encode())
    for line in missed(good):
        print(f"goal missed: {line}", file=sys.stderr)
    for one in found:
        if isinstance(one, Failed):
            print(f"{one.case.key} failed\n{one.error}", file=sys.stderr)
    sys.exit(0 if len(good) == len(found) else 1)


def _measure(only: tuple[str, ...], shared: Path, baseline: Path | None, jobs: int) -> list[Measured | Failed]:
    """Every case, with a bar on a terminal and a line for each elsewhere."""
    todo = list(cases(only))
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("measuring", total=len(todo))

        def done(one: Measured | Failed) -> None:
            bar.update(task, advance=1, description=one.case.key)
            if not console.is_terminal:
                cost = "failed" if isinstance(one, Failed) else f"{one.profile.cost:,}"
                console.print(f"{one.case.key}: {cost}")

        return run_cases(todo, shared, baseline, jobs, done)


def _commit() -> str:
    """The commit that is checked out, and whether files differ from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + (
            " with changes"
            if _git("status", "--porcelain", "--", "mcuprune", "firmware", "templates", "boards")
            else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def _baseline_name(path: Path) -> str:
    """CMSIS-NN and its commit."""
    if not path.is_file():
        return ""
    commit = json.loads(path.read_text(encoding="utf-8")).get("cmsis_nn", {}).get("commit", "")
    return f"CMSIS-NN {commit[:12]}".strip()


if __name__ == "__main__":
    try:
        main()
    except McupruneError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
