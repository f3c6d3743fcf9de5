"""What patterns of zeros cost and give: accuracy against cycles and flash, written to docs/patterns.md.

    python examples/spoken-words/study_patterns.py BUILD_FOLDER

Every row but the dense one trains from the same dense model with the same data, epochs and seed, quantizes, and is
checked on the emulated board. Finished stages of an earlier run in the same folder are kept. `make study-patterns` runs
it (about an hour on two cores).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "patterns.md"
BEGIN, END = "<!-- table: study_patterns.py -->\n", "<!-- end of table -->\n"
EPOCHS, SAMPLES = 4, 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern of the pointwise layers; conv_1 stays unstructured. No sparsity: the dense model as it is."""

    pattern: str
    sparsity: float
    conv_1: float
    board: str = "mps2-an386"

    @property
    def name(self) -> str:
        return f"{self.pattern.replace(':', '_')}-{self.sparsity:.0%}".replace("%", "")


ROWS = (
    Row("dense", 0.0, 0.0),
    Row("2:4", 0.5, 0.0),
    Row("2:4x2", 0.5, 0.0),
    Row("unstructured", 0.5, 0.0),
    Row("block:1x2", 0.5, 0.0),
    Row("block:2x2", 0.5, 0.0),
    Row("unstructured", 0.8, 0.5),
    Row("block:1x2", 0.8, 0.5),
    Row("block:2x1", 0.8, 0.5),
    Row("block:2x2", 0.8, 0.5),
    Row("block:1x16", 0.8, 0.5, "mps3-an547"),
    Row("unstructured", 0.9, 0.8),
    Row("block:2x2", 0.9, 0.8),
)


def verb(*arguments: str | Path) -> dict[str, object]:
    """One verb of the tool, as JSON."""
    command = [sys.executable, "-m", "mcuprune", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    result: dict[str, object] = json.loads(done.stdout)
    return result


def train(row: Row, folder: Path) -> Path:
    """The row's int8 model."""
    keras, int8 = folder / f"{row.name}.keras", folder / f"{row.name}.tflite"
    if not row.sparsity:
        keras = HERE / "dense.keras"
    if not keras.exists():
        options = ["--layer", f"conv_1={row.conv_1},unstructured", "--pattern", row.pattern, "--epochs", str(EPOCHS)]
        if row.pattern[0] not in "123456789":  # N:M says how many zeros there are
            options += ["--sparsity", str(row.sparsity)]
        verb("prune", "dense.keras", "--data", "words:load", *options, "-o", keras)
    if not int8.exists():
        verb("quantize", keras, "--data", "words:load", "--samples", "500", "-o", int8)
    return int8


def measure(row: Row, model: Path, folder: Path) -> tuple[float, int, int, int]:
    """Accuracy on the board, cycles (0 where they are not modelled), instructions, bytes of weights."""
    project = folder / row.name
    verb("generate", model, "--board", row.board, "--name", "words", "--optimize", "speed", "-o", project)
    verb("build", project)
    verb("flash", project, "--port", f"study-{row.name}")
    data = ("--data", "words:test", "--samples", str(SAMPLES), "--port", f"study-{row.name}")
    checked = verb("check", project, *data)
    totals = verb("profile", project)["totals"]
    accuracy = checked["results"]["accuracy"]  # type: ignore[index]
    return accuracy, *(totals[k] or 0 for k in ("modelled_cycles", "instructions", "weight_flash_bytes"))  # type: ignore[index]


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["| pattern | sparsity | board | accuracy | cycles (M, modelled) | instructions (M) | weights |"]
    lines += ["|---|---:|---|---:|---:|---:|---:|"]
    for row in ROWS:
        model = train(row, folder)
        if "--train" in sys.argv:
            continue
        accuracy, cycles, instructions, flash = measure(row, model, folder)
        shown = f"{cycles / 1e6:.2f}" if cycles else ""
        lines.append(
            f"| {row.pattern} | {row.sparsity:.0%} | {row.board} | {accuracy:.1%} | {shown} | {instructions / 1e6:.2f} "
            f"| {flash / 1000:.0f} kB |"
        )
        print(lines[-1], flush=True)
    if "--train" not in sys.argv:
        text = TABLE.read_text(encoding="utf-8")
        head, rest = text.split(BEGIN)
        table = "\n".join(lines) + "\n"
        TABLE.write_text(head + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
