"""What sparsity costs DS-CNN-L on Speech Commands: patterns by float and int8, written to docs/study-dscnn.md.

    python examples/speech-commands/study_dscnn.py BUILD_FOLDER

Every run starts from the published float model (`ds_cnn_l_float.keras` of the shared folder) and has the same recipe
and epochs, the dense one too. Finished runs of an earlier call in the same folder are kept, so it can be stopped and
taken up again. `make study-dscnn` runs it (hours on two cores).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import speech_commands

EPOCHS = 4
SEEDS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern of the pointwise layers, and the sparsity of conv_1, which stays unstructured (0: dense)."""

    pattern: str
    sparsity: float
    conv_1: float
    seeds: int = 1

    @property
    def name(self) -> str:
        return f"{self.pattern.replace(':', '_')}-{self.sparsity:.0%}".replace("%", "")


ROWS = (
    Row("dense", 0.0, 0.0, SEEDS),
    Row("2:4", 0.5, 0.5, SEEDS),
    Row("unstructured", 0.8, 0.5, SEEDS),
    Row("block:2x2", 0.8, 0.5),
    Row("block:2x2", 0.9, 0.8),
    Row("unstructured", 0.5, 0.5),
    Row("unstructured", 0.9, 0.8),
    Row("block:2x2", 0.5, 0.5),
    Row("2:4x2", 0.5, 0.5),
    Row("block:1x2", 0.8, 0.5),
    Row("block:1x16", 0.8, 0.5),
)


def trained(row: Row, seed: int, folder: Path) -> Path:
    """The float model of a row; trained where it is not there yet."""
    target = folder / f"{row.name}-seed{seed}.keras"
    if not target.exists():
        from mcuprune import sparsity
        from mcuprune.masks import parse_pattern, parse_rule

        model = sparsity.load_model(shared() / "models" / "ds_cnn_l_float.keras")
        x, y, _, _ = speech_commands.load()
        xv, yv = speech_commands.validation()
        options = sparsity.TrainOptions(epochs=EPOCHS, seed=seed)
        progress = printer(target.stem)
        if row.sparsity:
            implied = row.pattern[0].isdigit()  # N:M says how many zeros there are
            rules = [parse_rule(f"conv_1={row.conv_1},unstructured")]
            result = sparsity.prune(
                model, x, y, xv, yv, sparsity=None if implied else row.sparsity, pattern=parse_pattern(row.pattern),
                rules=rules, options=options, progress=progress,
            )  # fmt: skip
        else:
            result = sparsity.fine_tune(model, x, y, xv, yv, options=options, progress=progress)
        told = {"row": asdict(row), "seed": seed, "accuracy": result.val_after, "samples": result.val_samples}
        told["seconds"] = result.seconds
        target.with_suffix(".json").write_text(json.dumps(told))
        sparsity.save_model(model, target)
    return target


def printer(name: str) -> Any:
    """One line an epoch."""
    from mcuprune.sparsity.train import Progress

    def show(report: Any) -> None:
        print(f"{name}: epoch {report.epoch}, {report.val_accuracy:.2%}, {report.seconds:.0f} s", flush=True)

    return Progress(on_epoch=show)


def shared() -> Path:
    """The folder of real models and data."""
    return speech_commands.find_data().parents[1]


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(1, SEEDS + 1):
        for row in ROWS:
            if seed <= row.seeds:
                trained(row, seed, folder)


if __name__ == "__main__":
    main()
