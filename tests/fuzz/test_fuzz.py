"""Mutants of model files, 500 of the 10 000 of `make fuzz`; and whether the judge would see a fault."""

from __future__ import annotations

import copy
import os
from collections import Counter

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from tests.fuzz import campaign as campaigns
from tests.fuzz import judge
from tests.fuzz.__main__ import main
from tests.fuzz.bases import base
from tests.fuzz.campaign import campaign
from tests.fuzz.judge import EQUAL, EQUAL_IN_C, FAILED, NO_REFERENCE, REFUSED, Verdict
from tests.fuzz.mutate import Mutant, base_of, mutant
from tests.tflite_builder import Builder


def judged(seeds: range, every_c: int = 0, mutant_of=mutant) -> dict[int, Verdict]:
    """Verdicts by seed."""
    verdicts: dict[int, Verdict] = {}
    campaign(seeds, jobs=2, every_c=every_c, done=verdicts.__setitem__, mutant_of=mutant_of)
    return verdicts


def test_mutants():
    """Each is one clear error, or a model that equals LiteRT in every layer and makes C; some of their C runs, too."""
    verdicts = judged(range(500), every_c=15)
    failed = [f"{v.what}\n  again: python -m tests.fuzz --seed {s}" for s, v in verdicts.items() if v.kind == FAILED]
    assert not failed, "\n".join(failed)
    counted = Counter(verdict.kind for verdict in verdicts.values())
    assert counted[REFUSED] > 200 and counted[EQUAL] > 60 and counted[EQUAL_IN_C] >= 3, counted


def test_seeds():
    """One number makes one mutant, each number another."""
    first, again = mutant(11), mutant(11)
    assert (first.content, first.edits, first.base) == (again.content, again.edits, again.base)
    assert len({mutant(seed).content for seed in range(50)}) == 50


def _loop(*_: object) -> None:
    while True:
        pass


def _abort(*_: object) -> None:
    os.abort()


def _fail(*_: object) -> None:
    raise KeyError("tensor 3")


def _unclear(*_: object) -> None:
    raise ModelError("wrong")


def _unnamed(*_: object) -> None:
    raise ModelError("wrong", where=judge.SOURCE, hint="try again")


def _helpless(*_: object) -> None:
    raise ModelError("tensor 3 is wrong", where=judge.SOURCE)


def _hoard(*_: object) -> None:
    np.ones(judge.MEMORY_BYTES + 10**8, np.uint8)


def _mask(*_: object) -> None:
    try:
        _hoard()
    except MemoryError:
        raise ModelError("the file is broken", where=judge.SOURCE, hint="try again") from None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_loop, "import took more than 1 s"),
        (_abort, "import died of signal 6"),
        (_fail, "KeyError"),
        (_hoard, "MemoryError"),
        (_mask, "bytes of memory"),
        (_unclear, "does not say where"),
        (_helpless, "does not say what to do"),
        (_unnamed, "does not name what it is about"),
    ],
)
def test_judge_of_imports(monkeypatch, fault, words):
    """A hang, a crash, a foreign exception, more memory than is allowed and an error that says nothing are failures."""
    monkeypatch.setattr(judge, "SECONDS", 1)
    monkeypatch.setattr(campaigns, "SECONDS", 1)
    monkeypatch.setattr(judge, "import_bytes", fault)
    (verdict,) = judged(range(1)).values()
    assert verdict.kind == FAILED and words in verdict.what


def sound(seed: int) -> Mutant:
    """A model that is as it should be."""
    return Mutant(seed, "residual", (), base("residual"))


def test_judge_of_results(monkeypatch):
    """A layer that differs from LiteRT is a failure; nothing is where nothing differs."""
    (verdict,) = judged(range(1), 1, sound).values()
    assert verdict.kind == EQUAL_IN_C
    run = judge.run
    monkeypatch.setattr(judge, "run", lambda graph, inputs: {i: x ^ (i == 5) for i, x in run(graph, inputs).items()})
    (verdict,) = judged(range(1), 0, sound).values()
    assert verdict.kind == FAILED and " differs at 0: " in verdict.what


def test_judge_of_functions_that_are_not_run():
    """What LiteRT refuses a file for in a function that is not run does not count: the file without it does."""

    def beside(seed: int) -> Mutant:
        model = generated.ModelT.InitFromPackedBuf(base("fully-connected"), 0)
        model.subgraphs.append(copy.deepcopy(model.subgraphs[0]))
        model.subgraphs[1].operators[0].builtinOptions.weightsFormat = 9
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        return Mutant(seed, "fully-connected", (), bytes(builder.Output()))

    (verdict,) = judged(range(1), 1, beside).values()
    assert verdict.kind == EQUAL_IN_C


def test_judge_of_what_is_mended():
    """Scales along no dimension are read with a note: LiteRT refuses the file, and gets one in which that is right."""

    def odd(seed: int) -> Mutant:
        model = generated.ModelT.InitFromPackedBuf(base("conv"), 0)
        model.subgraphs[0].tensors[0].quantization.quantizedDimension = 9
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        return Mutant(seed, "conv", (), bytes(builder.Output()))

    (verdict,) = judged(range(1), 1, odd).values()
    assert verdict.kind == EQUAL_IN_C


def test_judge_without_a_reference(monkeypatch):
    """LSTM on int16 is held against its C alone."""

    def recurrent(seed: int) -> Mutant:
        return Mutant(seed, "lstm16", (), base("lstm16"))

    (verdict,) = judged(range(1), 1, recurrent).values()
    assert (verdict.kind, verdict.what) == (NO_REFERENCE, "its C runs")
    monkeypatch.setattr(judge, "run", _fail)
    (verdict,) = judged(range(1), 0, recurrent).values()
    assert verdict.kind == FAILED and "KeyError" in verdict.what


def test_a_choice_of_bases(monkeypatch, capsys):
    """Seeds whose models have other names are passed over."""
    assert all(base_of(seed) == mutant(seed).base for seed in range(20))
    monkeypatch.setattr("sys.argv", ["fuzz", "--count", "3", "--base", "relu?", "--jobs", "1", "--every-c", "0"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("3 mutants in ")


def test_judge_of_sums(monkeypatch):
    """SUM is held against the reference in uint8, negative values and all."""
    builder = Builder()
    content = builder.build([builder.mean(builder.input((1, 4, 3, 5), 0.1, 7), (1, 2), 0.5, -9, kind="SUM")])
    (verdict,) = judged(range(1), 0, lambda seed: Mutant(seed, "sum", (), content)).values()
    assert verdict.kind == EQUAL
    run = judge.run
    monkeypatch.setattr(judge, "run", lambda graph, inputs: {i: x ^ (i == 1) for i, x in run(graph, inputs).items()})
    (verdict,) = judged(range(1), 0, lambda seed: Mutant(seed, "sum", (), content)).values()
    assert verdict.kind == FAILED and "SUM differs at 0: " in verdict.what


def hungry(seed: int) -> Mutant:
    """The same; making it took 1 GiB for a moment."""
    assert b"\1" * 2**30
    return sound(seed)


def test_judge_of_memory(monkeypatch):
    """More memory than is allowed is a failure, whatever this process holds."""
    monkeypatch.setattr(campaigns, "MEMORY_BYTES", 2**29)
    (verdict,) = judged(range(1), 0, sound).values()
    assert verdict.kind == EQUAL
    (verdict,) = judged(range(1), 0, hungry).values()
    assert verdict.kind == FAILED and "MiB of memory" in verdict.what
