"""What sparsity costs DS-CNN-L on Speech Commands: patterns by float and int8, written to docs/study-dscnn.md.

    python examples/speech-commands/study_dscnn.py BUILD_FOLDER [--table]

Every run starts from the published float model (`ds_cnn_l_float.keras` of the shared folder) and has the same recipe
and epochs, the dense one too; quantization-aware training adds its own. Finished parts of an earlier call in the same
folder are kept, so it can be stopped and taken up again; --table writes the table of what is there. `make study-dscnn`
runs it (hours on two cores).
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import speech_commands
from rows import compress, flash_and_check, int8_accuracy

from mcuprune.files import write_file_atomic

EPOCHS, QAT_EPOCHS, SEEDS = 4, 1, 3
HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "study-dscnn.md"
BEGIN, END = "<!-- table: study_dscnn.py -->\n", "<!-- end of table -->\n"
T_975 = {2: 12.71, 3: 4.30}  # Student's t for a two-sided 95% interval, by the number of seeds


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern of the pointwise layers, and the sparsity of conv_1, which stays unstructured (0: dense).

    kept: its int8 model by quantization-aware training is kept in models/.
    """

    pattern: str
    sparsity: float
    conv_1: float
    seeds: int = 1
    kept: bool = False
    board: str = "mps2-an386"

    @property
    def name(self) -> str:
        return f"{self.pattern.replace(':', '_')}-{self.sparsity:.0%}".replace("%", "")


ROWS = (
    Row("dense", 0.0, 0.0, SEEDS, kept=True),
    Row("2:4", 0.5, 0.5, SEEDS, kept=True),
    Row("unstructured", 0.8, 0.5, SEEDS, kept=True),
    Row("block:2x2", 0.8, 0.5, kept=True),
    Row("block:2x2", 0.9, 0.8, kept=True),
    Row("unstructured", 0.5, 0.5, kept=True),
    Row("unstructured", 0.9, 0.8),
    Row("2:4x2", 0.5, 0.5),
    Row("block:2x2", 0.5, 0.5),
    Row("block:1x2", 0.8, 0.5),
    Row("block:1x16", 0.8, 0.5, board="mps3-an547"),
)
MAIN = ROWS[:7]


class Study:
    """What is in the folder, and the parts that are missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, row: Row, seed: int, suffix: str) -> Path:
        return self.folder / f"{row.name}-seed{seed}{suffix}"

    def found(self, row: Row, seed: int, suffix: str) -> dict[str, Any] | None:
        """What a finished part wrote down; None where it is missing."""
        path = self.path(row, seed, suffix)
        return json.loads(path.read_text()) if path.exists() else None

    def train(self, row: Row, seed: int) -> None:
        """The float model."""
        if self.found(row, seed, ".json"):
            return
        from mcuprune import sparsity
        from mcuprune.masks import parse_pattern, parse_rule

        model = sparsity.load_model(speech_commands.find_data().parents[1] / "models" / "ds_cnn_l_float.keras")
        data = (*speech_commands.load()[:2], *speech_commands.validation())
        options = sparsity.TrainOptions(epochs=EPOCHS, seed=seed)
        how: dict[str, Any] = {"options": options, "progress": lines(self.path(row, seed, "").name)}
        if row.sparsity:
            pattern = parse_pattern(row.pattern)
            goal = None if row.pattern[0].isdigit() else row.sparsity  # N:M says how many zeros there are
            rules = [parse_rule(f"conv_1={row.conv_1},unstructured")]
            result = sparsity.prune(model, *data, sparsity=goal, pattern=pattern, rules=rules, **how)
        else:
            result = sparsity.fine_tune(model, *data, **how)
        sparsity.save_model(model, self.path(row, seed, ".keras"))
        self._write(row, seed, ".json", accuracy=result.val_after, samples=result.val_samples, seconds=result.seconds)

    def quantize(self, row: Row, seed: int, how: str) -> None:
        """The int8 model, by `ptq` or `pqat`, and its accuracy as the generated C computes it on this computer."""
        if self.found(row, seed, f"-{how}.json"):
            return
        from mcuprune import quantization, sparsity

        model = sparsity.load_model(self.path(row, seed, ".keras"))
        x, y, *_ = speech_commands.load()
        xv, yv = speech_commands.validation()
        if how == "ptq":
            content = quantization.quantize(model, x, seed=seed).content
        else:
            options = quantization.QatOptions(epochs=QAT_EPOCHS, seed=seed)
            progress = lines(self.path(row, seed, "-pqat").name)
            content = quantization.qat(model, x, y, xv, yv, options=options, progress=progress).quantized.content
        target = self.path(row, seed, f"-{how}.tflite")
        write_file_atomic(target, content)
        self._write(row, seed, f"-{how}.json", accuracy=int8_accuracy(target, xv, yv), samples=len(yv))
        print(f"{target.stem}: {self.found(row, seed, f'-{how}.json')}", flush=True)

    def measure(self, row: Row, how: str) -> None:
        """Seed 1 on the emulated board: real clips bit for bit, instructions, cycles, weights."""
        if not self.found(row, 1, f"-{how}-board.json"):
            told = flash_and_check(self.path(row, 1, f"-{how}.tflite"), row.board, self.folder)
            self._write(row, 1, f"-{how}-board.json", **told)
            print(f"{row.name} {how} on {row.board}: {told}", flush=True)

    def keep(self, row: Row) -> None:
        """The row's int8 model, compressed, into models/."""
        models = HERE / "models"
        models.mkdir(exist_ok=True)
        compress(self.path(row, 1, "-pqat.tflite"), models / f"ds_cnn_l_{row.name.replace('-', '_')}.tflite.xz")

    def _write(self, row: Row, seed: int, suffix: str, **told: Any) -> None:
        write_file_atomic(self.path(row, seed, suffix), json.dumps(told).encode())

    # the table

    def table(self) -> str:
        columns = (
            "pattern",
            "zeros",
            "float",
            "int8 PTQ",
            "int8 PQAT",
            "real clips",
            "cycles",
            "instructions",
            "weights",
        )
        lines = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
        return "\n".join(lines + [self._line(row) for row in ROWS if self.found(row, 1, ".json")]) + "\n"

    def _line(self, row: Row) -> str:
        cells = [row.pattern, f"{row.sparsity:.0%}"]
        cells += [self._difference(row, suffix) for suffix in (".json", "-ptq.json", "-pqat.json")]
        board = self.found(row, 1, "-pqat-board.json") or self.found(row, 1, "-ptq-board.json")
        if board:
            cycles = f"{board['cycles'] / 1e6:.1f} M" if board["cycles"] else ""
            cells += [f"{board['correct']} of {board['samples']}", cycles, f"{board['instructions'] / 1e6:.1f} M"]
            cells += [f"{board['weight_bytes'] / 1000:.0f} kB"]
        return f"| {' | '.join(cells + [''] * (9 - len(cells)))} |"

    def _difference(self, row: Row, suffix: str) -> str:
        """Points above the dense float model of the same seed; its accuracy for that model itself."""
        pairs = []
        for seed in range(1, row.seeds + 1):
            this, dense = self.found(row, seed, suffix), self.found(ROWS[0], seed, ".json")
            if this and dense:
                pairs.append((this["accuracy"], dense["accuracy"]))
        if not pairs:
            return ""
        values = np.array([a if a == d and suffix == ".json" and not row.sparsity else a - d for a, d in pairs]) * 100
        own = suffix == ".json" and not row.sparsity
        text = f"{values.mean():.2f}%" if own else f"{values.mean():+.2f}"
        if len(pairs) > 1:
            text += f" ± {T_975[len(pairs)] * values.std(ddof=1) / math.sqrt(len(pairs)):.2f}"
        return text


def lines(name: str) -> Any:
    """One line an epoch."""
    from mcuprune.sparsity.training import Progress

    def show(report: Any) -> None:
        print(f"{name}: epoch {report.epoch}, {report.val_accuracy:.2%}, {report.seconds:.0f} s", flush=True)

    return Progress(on_epoch=show)


def main() -> None:
    study = Study(Path(sys.argv[1]).resolve())
    if "--table" not in sys.argv:
        for row in MAIN:
            study.train(row, 1)
        for how in ("ptq", "pqat"):
            for row in MAIN:
                study.quantize(row, 1, how)
        for row in MAIN:
            study.measure(row, "pqat")
        for seed in range(2, SEEDS + 1):
            for row in (r for r in ROWS if r.seeds >= seed):
                study.train(row, seed)
        for row in ROWS[len(MAIN) :]:
            study.train(row, 1)
        for how in ("ptq", "pqat"):
            for seed in range(1, SEEDS + 1):
                for row in (r for r in ROWS if r.seeds >= seed):
                    study.quantize(row, seed, how)
        for row in ROWS[len(MAIN) :]:
            study.measure(row, "pqat")
        for row in (r for r in ROWS if r.kept):
            study.keep(row)
    text = TABLE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    write_file_atomic(TABLE, (head + BEGIN + study.table() + END + rest.split(END)[1]).encode())


if __name__ == "__main__":
    main()
