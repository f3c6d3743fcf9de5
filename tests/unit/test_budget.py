"""--max-flash: the least effort within a budget of weights, parameters and code, exactly; beside the entropy bound."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_choose import sparse_graph

from mcuprune.boards import CORES, load_board
from mcuprune.cli import run
from mcuprune.encodings import ENCODINGS
from mcuprune.encodings.bound import bound_bytes
from mcuprune.errors import EncodingError, FitError
from mcuprune.generate import generate
from mcuprune.kernels.budget import Limits, Option, Solution, choose_within, option_of, solve
from mcuprune.kernels.choose import Choice, choose_fast, code_bytes, eligible
from mcuprune.kernels.lowering import lower
from tests.models import every_operator


def brute_force(layers: list[list[Option]], code: dict[str, int], limit: int) -> tuple[float, int] | None:
    """Effort and bytes of the best of all combinations."""
    best = None
    for options in itertools.product(*layers):
        files = frozenset().union(*(option.files for option in options))
        size = sum(option.bytes for option in options) + sum(code[file] for file in files)
        effort = sum(option.effort for option in options)
        if size <= limit and (best is None or (effort, size) < best):
            best = (effort, size)
    return best


def random_layers(rng: np.random.Generator) -> tuple[list[list[Option]], dict[str, int]]:
    """Up to five layers of two families that share files within and between them, in any order; some without code."""
    code = {file: int(rng.integers(0, 60)) for file in "abcdefgh"}
    layers: list[list[Option]] = []
    for _ in range(int(rng.integers(1, 6))):
        family = list("abcde") if rng.random() < 0.6 else list("efgh")
        count = int(rng.integers(1, 6))
        layers.append(
            [
                Option(
                    frozenset(rng.choice(family, int(rng.integers(1, 4))).tolist()),
                    int(rng.integers(1, 90)),
                    float(rng.integers(1, 40)),
                )
                for _ in range(count)
            ]
        )
    layers.insert(int(rng.integers(len(layers) + 1)), [Option(frozenset(), 0, 0.0)])
    return layers, code


@pytest.mark.parametrize("seed", range(60))
def test_solution_is_the_best_of_all(seed: int) -> None:
    """On small problems the search finds what trying every combination finds, at budgets from too small to ample."""
    rng = np.random.default_rng(seed)
    layers, code = random_layers(rng)
    for limit in (0, *rng.integers(20, 500, 6).tolist(), 10_000):
        found = solve(layers, code, Limits(limit))
        assert _pair(found) == brute_force(layers, code, limit)
        if found is not None:
            picked = [options[at] for options, at in zip(layers, found.picks, strict=True)]
            files = frozenset().union(*(option.files for option in picked))
            assert found.bytes == sum(option.bytes for option in picked) + sum(code[file] for file in files)


def _pair(found: Solution | None) -> tuple[float, int] | None:
    return None if found is None else (found.effort, found.bytes)


def test_many_layers_stay_near_the_best() -> None:
    """Forty layers with ten candidates: within 1% of the bound that a relaxed budget gives, and within the budget."""
    rng = np.random.default_rng(5)
    kernels = [frozenset(file) for file in "abcde"]
    code = dict.fromkeys("abcde", 100)
    layers = []
    for _ in range(40):
        size = rng.integers(1000, 40_000, 10)
        layers.append([Option(kernels[i % 5], int(s), 4e10 / s + float(rng.random())) for i, s in enumerate(size)])
    found = solve(layers, code, Limits(600_000))
    assert found is not None and found.bytes <= 600_000
    bounds = []
    for price in np.geomspace(1, 1e5, 400):  # a Lagrangian bound with the code for nothing
        least = sum(min(o.effort + price * o.bytes for o in options) for options in layers)
        bounds.append(least - price * 600_000)
    assert found.effort <= 1.01 * max(bounds)


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4f"])
@pytest.mark.parametrize("density", [0.05, 0.4, 1.0])
def test_budgets_of_a_model(core: str, density: float) -> None:
    """Every budget is kept, more flash is never slower, an ample one is as fast as `speed`."""
    graph = sparse_graph(density)
    layers = [(op, lower(graph, op)) for op in graph.ops]
    with pytest.raises(FitError, match="1 are allowed") as refused:
        choose_within(layers, CORES[core], 1, {}, "tiny.tflite")
    least = int(str(refused.value.hint).split(",")[0].removeprefix("--max-flash "))
    efforts = []
    for budget in (least, least + 200, least + 1000, least + 5000, 10**6):
        choices, report = choose_within(layers, CORES[core], budget, {})
        kernels = {c.kernel for c in choices if c.kernel is not None}
        size = sum(c.table_bytes for c in choices) + code_bytes(kernels, CORES[core])
        assert report.reached_bytes == size <= budget and report.smallest_bytes == least
        efforts.append(effort_of(choices, core))
    fastest = effort_of(choose_fast(layers, CORES[core], {}), core)
    assert efforts == sorted(efforts, reverse=True)
    assert efforts[-1] == pytest.approx(fastest)


def effort_of(choices: Sequence[Choice], core: str) -> float:
    """What solve() minimises."""
    return sum(option_of(c, eligible(c.found, CORES[core], None)[0], CORES[core]).effort for c in choices if c.found)


def test_forced_encodings_stay(tmp_path: Path) -> None:
    """--encoding is respected within a budget; where it cannot serve, the error is as without one."""
    graph = sparse_graph(0.3)
    layers = [(op, lower(graph, op)) for op in graph.ops]
    core = CORES["cortex-m3"]
    choices, _ = choose_within(layers, core, 10**6, {0: "bitmap", 4: "gap"})
    assert choices[0].encoding == "bitmap" and choices[0].why == "forced: bitmap"
    with pytest.raises(EncodingError, match="cannot serve"):
        choose_within(layers, core, 10**6, {1: "gap"})


def test_manifest_tells_budget_candidates_and_bound(tmp_path: Path) -> None:
    """The folder's manifest says what the budget was, what rivals each layer had, and how near the bound it is."""
    model = tmp_path / "m.tflite"
    model.write_bytes(every_operator())
    made = generate(model, load_board("mps2-an386"), max_flash=100_000)
    manifest = json.loads(made.files["mcuprune.json"])
    assert manifest["optimize"] == "max-flash"
    assert manifest["budget"]["max_flash_bytes"] == 100_000
    assert manifest["budget"]["smallest_bytes"] <= manifest["budget"]["reached_bytes"] <= 100_000
    for layer in manifest["layers"]:
        chosen = [c for c in layer["candidates"] if c["chosen"]]
        assert len(chosen) == (layer["kernel"] != "-")
        assert all((c["kernel"], c["flash_bytes"]) == (layer["kernel"], layer["flash_bytes"]) for c in chosen)
        assert (layer["bound_bytes"] is None) == (layer["weights"] == 0)
        if layer["weights"]:
            assert layer["stream_bytes"] < layer["flash_bytes"]
            assert layer["bytes_per_nonzero"] == round(layer["flash_bytes"] / layer["nnz"], 4)
    assert max(b["offset"] + b["bytes"] for b in manifest["buffers"]) == manifest["totals"]["arena_bytes"]
    assert json.loads(generate(model, load_board("host")).files["mcuprune.json"])["budget"] is None


def test_the_verb_prints_budget_and_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`generate --max-flash` says what was allowed and reached; too little is one clear error with what would do."""
    model = tmp_path / "m.tflite"
    model.write_bytes(every_operator())
    arguments = ["generate", str(model), "--board", "host", "-o", str(tmp_path / "out"), "--max-flash"]
    assert run([*arguments, "20000"]) == 0
    shown = capsys.readouterr().out
    assert "flash budget 20.0 kB: weights, parameters and kernels' code take" in shown
    assert "their bound, entropy" in shown and "over bound" in shown
    assert run([*arguments, "100"]) == 4
    hint = capsys.readouterr().err.splitlines()[-1]
    least = hint.split("--max-flash ")[1].split(",")[0]
    assert run([*arguments, least]) == 0
    capsys.readouterr()
    assert run([*arguments, least, "--optimize", "speed"]) == 2
    assert "--optimize and --max-flash exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_bound(density: float, rng: np.random.Generator) -> None:
    """No encoding of a free mask is below H(mask) + 8 bits a nonzero; a bitmap at half density is at it."""
    rows = np.where(rng.random((64, 256)) < density, rng.integers(1, 100, (64, 256)), 0).astype(np.int8)
    bound = bound_bytes(rows)
    assert bound == (rows.size if density == 1.0 else 0 if density == 0.0 else bound)
    for encoding in ENCODINGS.values():
        with contextlib.suppress(EncodingError):  # N:M cannot hold these rows
            assert encoding.encode(rows).flash_bytes >= 0.999 * bound
    if density == 0.5:
        assert ENCODINGS["bitmap"].encode(rows).flash_bytes == pytest.approx(bound, rel=0.01)
