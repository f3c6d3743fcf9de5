"""The benchmark's machinery: its cases, its tables, its seeded model, the objects it lends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcuprune.bench.autoencoder import SIZES, autoencoder
from mcuprune.bench.cases import BOARDS, GOALS, MODELS, ROWS, Case, cases
from mcuprune.bench.objects import ObjectStore
from mcuprune.bench.run import Measured
from mcuprune.bench.tables import Setting, missed, to_json, to_markdown
from mcuprune.boards import load_board
from mcuprune.build.compile import compile_folder
from mcuprune.build.folder import open_folder
from mcuprune.emit.project import write_project
from mcuprune.generate import generate
from mcuprune.importers.tflite import import_bytes
from mcuprune.inputs import random_inputs
from mcuprune.ir.interpreter import run as interpret
from mcuprune.profile.result import Baseline, LayerProfile, Memory, Profile

SETTING = Setting("make bench", "0123456789ab", "0.1.0", "7.2", "CMSIS-NN 99f7")


def measured(case: Case, cost: int) -> Measured:
    """A result of one layer."""
    layer = LayerProfile(0, "CONV_2D", "c", 100, 50, cost, cost * 2, "gap", "mp_k", 40, 8, Baseline(3000, 5000))
    memory = Memory(40, 500, 2000, 900, 300)
    profile = Profile(case.board, "cortex-m4f", "modelled", (layer,), (), memory, "CMSIS-NN", Baseline(3000, 5000))
    return Measured(case, profile, 40, "GCC 12.2.1")


def test_cases_are_the_table() -> None:
    """Each model on each board has a dense row first; goals name rows that exist; globs take what they say."""
    every = list(cases())
    assert len({case.key for case in every}) == len(every)
    for model in MODELS:
        for board in BOARDS:
            rows = [case.row for case in every if (case.model, case.board) == (model, board)]
            assert [row.own for row in rows] == [True] + [False] * (len(rows) - 1)
    known = {(case.model.key, case.board, case.row.key) for case in every}
    assert set(GOALS) <= known
    some = [case.key for case in cases(("kws/*386/80*",))]
    assert some == ["kws/mps2-an386/dense", "kws/mps2-an386/80% unstructured", "kws/mps2-an386/80% 2x2"]
    assert [case.key for case in cases(("nothing",))] == []
    assert all(load_board(board) for board in BOARDS) and len(ROWS) == len({row.key for row in ROWS})


def test_tables_say_what_was_measured() -> None:
    """Ratios to the baseline and to our dense row, missed goals in bold; equal results give equal text."""
    todo = [case for case in cases(("dscnn_l/mps2-an386",)) if case.row.key in ("dense", "50% unstructured")]
    found = [measured(todo[0], 2000), measured(todo[1], 500)]
    text = to_markdown(found, SETTING)
    assert "| dense | 0.00 | 1.25 | 1.00 | 0.00 | 1.50 | 1.00 | 0.0 | 0.0 | 0.5 | 0.3 |" in text
    assert "| 50% unstructured | 0.00 | 5.00 | 4.00 | 0.00 | 6.00 | 4.00 |" in text
    assert "**1.25**" in text and "2.1x, 2.4x, 5.00" in text
    assert [line.split(":")[0] for line in missed(found)] == ["dscnn_l/mps2-an386/dense"] * 2
    assert text == to_markdown(list(found), SETTING)
    rows = json.loads(json.dumps(to_json(found, SETTING)))["rows"]
    assert rows[1]["against_dense"] == {"instructions_ratio": 4.0, "cycles_ratio": 4.0}
    assert rows[0]["against"] == {"instructions_ratio": 1.5, "cycles_ratio": 1.25}
    bare = replace(found[1], profile=replace(found[1].profile, baseline=None, against=""))
    assert "| 50% unstructured | 0.00 | - | - | 0.00 | - | - |" in to_markdown([bare], replace(SETTING, baseline=""))


def test_autoencoder_is_seeded_and_alive() -> None:
    """The same bytes every time, ten layers of the published shapes, and outputs that depend on the input."""
    content = autoencoder()
    assert content == autoencoder()
    graph = import_bytes(content, "ad.tflite")
    assert [op.kind for op in graph.ops] == ["FULLY_CONNECTED"] * 10
    assert tuple(graph.tensor(op.outputs[0]).shape[-1] for op in graph.ops) == SIZES[1:]
    outputs = []
    for row in random_inputs(graph, 2, 3):
        values = interpret(graph, [row.view(np.int8).reshape(1, SIZES[0])])
        for op in graph.ops:
            assert np.unique(values[op.outputs[0]]).size > 2, op.name
        outputs.append(values[graph.outputs[0]])
    assert not np.array_equal(outputs[0], outputs[1])


def test_lent_objects_are_of_the_same_sources(tmp_path: Path) -> None:
    """A second build takes the first one's kernels and gives the same image; a changed header is compiled again."""
    model = tmp_path / "ad.tflite"
    model.write_bytes(autoencoder())
    made = generate(model, load_board("host"))
    store = ObjectStore()
    folders = []
    for name in ("a", "b", "c"):
        write_project(made.files, tmp_path / name)
        folders.append(open_folder(tmp_path / name))
    compile_folder(folders[0])
    store.keep(folders[0])
    store.lend(folders[1])
    lent = list((tmp_path / "b" / "build").rglob("*.o"))
    assert lent and not any(p.parent.name == "model" for p in lent)
    compile_folder(folders[1])
    assert folders[0].elf.read_bytes() == folders[1].elf.read_bytes()
    header = tmp_path / "c" / "mcuprune" / "include" / "mcuprune_nn.h"
    header.write_text(header.read_text() + "\n/* changed */\n")
    store.lend(folders[2])
    kernels = tmp_path / "c" / "build" / "traced" / "mcuprune" / "kernels"
    assert not kernels.exists() or not list(kernels.glob("fully_connected*.o"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_rows_say_how_they_are_pruned(row: object) -> None:
    """Every row has words for what `prune --one-shot` does."""
    assert row.about() and (row.pattern == "") == ("--" not in row.about())  # type: ignore[attr-defined]
