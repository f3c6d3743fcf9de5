"""What is measured: models, boards, rows. One table each, read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

AUTOENCODER = "ad"
DSCNN = "dscnn_l"


@dataclass(frozen=True, slots=True)
class Model:
    """A model. file: below the folder of shared models; "" for the one that is made here."""

    key: str
    title: str
    file: str


MODELS = (
    Model(DSCNN, "Arm DS-CNN-L, keyword spotting", "ds_cnn_l_int8.tflite"),
    Model("kws", "MLPerf Tiny keyword spotting (DS-CNN, 64 channels)", "kws_ref_model_int8.tflite"),
    Model("ic", "MLPerf Tiny image classification (ResNet-8)", "pretrainedResnet_quant.tflite"),
    Model("vww", "MLPerf Tiny visual wake words (MobileNetV1 x0.25)", "vww_96_int8.tflite"),
    Model(AUTOENCODER, "MLPerf Tiny anomaly detection: the autoencoder's shapes, seeded weights", ""),
)

BOARDS = ("mps2-an386", "mps2-an385-m0", "mps2-an385", "mps2-an500", "mps2-an505", "mps3-an547")
"""The one with a timing model first."""


@dataclass(frozen=True, slots=True)
class Row:
    """How a model is pruned, and what its kernels are chosen for.

    sparsity: of every layer that `prune --one-shot` takes; None where the pattern says it, or nothing is pruned.
    pattern: "" leaves the weights as they are. first: of the first convolution, unstructured; 0 leaves it dense.
    own: every layer forced to dense and no pass: what the others are held against.
    models, boards: globs of where the row is measured.
    """

    key: str
    pattern: str = ""
    sparsity: float | None = None
    first: float = 0.0
    optimize: str = "speed"
    own: bool = False
    models: str = "*"
    boards: str = "*"

    def about(self) -> str:
        """The row as options of `prune --one-shot`."""
        if not self.pattern:
            return "every layer dense, no passes" if self.own else "as published"
        parts = [f"--pattern {self.pattern}"] if self.pattern != "unstructured" else []
        parts += [f"--sparsity {self.sparsity:g}"] if self.sparsity is not None else []
        parts.append(f"--layer CONV_1={self.first:g}" + (",unstructured" if self.first else ""))
        return " ".join(parts)


ROWS = (
    Row("dense", own=True),
    Row("as published", models="[!d]*"),
    Row("50% unstructured", "unstructured", 0.5),
    Row("50% unstructured, flash", "unstructured", 0.5, optimize="flash", models=DSCNN),
    Row("2:4 per row", "2:4", models=DSCNN),
    Row("2:4 by row pairs", "2:4x2"),
    Row("50% 2x2", "block:2x2", 0.5),
    Row("80% unstructured", "unstructured", 0.8, 0.5),
    Row("80% unstructured, flash", "unstructured", 0.8, 0.5, optimize="flash", models=DSCNN),
    Row("80% unstructured, balanced", "unstructured", 0.8, 0.5, optimize="balanced", models=DSCNN),
    Row("80% 2x2", "block:2x2", 0.8, 0.5),
    Row("90% unstructured", "unstructured", 0.9, 0.8, models=DSCNN),
    Row("90% unstructured, flash", "unstructured", 0.9, 0.8, optimize="flash", models=DSCNN),
    Row("90% 2x2", "block:2x2", 0.9, 0.8, models=DSCNN),
    Row("50% 1x16", "block:1x16", 0.5, models=DSCNN, boards="mps3-an547"),
    Row("80% 1x16", "block:1x16", 0.8, 0.5, models=DSCNN, boards="mps3-an547"),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row is to reach: times CMSIS-NN's dense cycles (at least, and the aim) and instructions; flash in bytes.

    millions: modelled cycles at most, and the aim, where no ratio is asked for. flash_of: whose bytes they are.
    code_bytes: kernels and model code. arena_bytes: at most, and the aim.
    """

    cycles: tuple[float, float] | None = None
    instructions: float | None = None
    flash_bytes: int | None = None
    millions: tuple[float, float] | None = None
    flash_of: str = "pointwise layers"
    code_bytes: int | None = None
    arena_bytes: tuple[int, int] | None = None


M4, M3, M0, M55 = "mps2-an386", "mps2-an385", "mps2-an385-m0", "mps3-an547"
GOALS: Mapping[tuple[str, str, str], Goal] = {
    (DSCNN, M4, "dense"): Goal((1.85, 2.1), 1.8, 405_000, arena_bytes=(90_000, 40_000)),
    (DSCNN, M4, "50% unstructured"): Goal((2.1, 2.4), 2.6),
    (DSCNN, M4, "50% unstructured, flash"): Goal((1.9, 1.9), None, 260_000),
    (DSCNN, M4, "2:4 per row"): Goal((2.2, 2.5), 2.7),
    (DSCNN, M4, "2:4 by row pairs"): Goal((2.7, 3.1), 2.7, 270_000),
    (DSCNN, M4, "50% 2x2"): Goal((2.7, 3.1), 2.7, 270_000),
    (DSCNN, M4, "80% unstructured"): Goal((3.8, 4.6), 4.7, 195_000, code_bytes=32_000),
    (DSCNN, M4, "80% unstructured, flash"): Goal(None, None, 140_000),
    (DSCNN, M4, "80% unstructured, balanced"): Goal(code_bytes=16_000),
    (DSCNN, M4, "80% 2x2"): Goal((4.6, 5.6), 4.8, 125_000, code_bytes=32_000),
    (DSCNN, M4, "90% unstructured"): Goal((5.5, 6.7), 6.5, 115_000),
    (DSCNN, M4, "90% unstructured, flash"): Goal(None, None, 85_000),
    (DSCNN, M4, "90% 2x2"): Goal((6.6, 8.0), 6.8, 78_000),
    (DSCNN, M3, "50% unstructured"): Goal(None, 1.5),
    (DSCNN, M3, "80% unstructured"): Goal(None, 3.0),
    (DSCNN, M0, "50% unstructured"): Goal(None, 2.0),
    (DSCNN, M0, "80% unstructured"): Goal(None, 4.0),
    (DSCNN, M55, "50% 1x16"): Goal(None, 1.5),
    (DSCNN, M55, "80% 1x16"): Goal(None, 2.2),
    ("kws", M4, "as published"): Goal(millions=(4.4, 4.0)),
    ("ic", M4, "as published"): Goal(millions=(20.0, 17.5)),
    ("vww", M4, "as published"): Goal(millions=(7.5, 6.0), flash_bytes=55_000, flash_of="weights"),
    (AUTOENCODER, M4, "as published"): Goal(millions=(0.55, 0.42)),
}
"""By model, board and row."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    model: Model
    board: str
    row: Row

    @property
    def key(self) -> str:
        return f"{self.model.key}/{self.board}/{self.row.key}"


def cases(only: tuple[str, ...] = ()) -> Iterator[Case]:
    """Everything that is measured, in the order of the tables.

    Args:
        only: globs of MODEL/BOARD/ROW; missing parts are all. The dense row that others need comes along.
    """
    globs = [(*glob.split("/"), "*", "*")[:3] for glob in only] or [("*", "*", "*")]
    for model in MODELS:
        for board in BOARDS:
            rows = [r for r in ROWS if fnmatchcase(model.key, r.models) and fnmatchcase(board, r.boards)]
            wanted = [
                row
                for row in rows
                if any(
                    fnmatchcase(model.key, m) and fnmatchcase(board, b) and fnmatchcase(row.key, r) for m, b, r in globs
                )
            ]
            yield from (Case(model, board, row) for row in rows if row in wanted or (row.own and wanted))
