"""Choices keep their promises: never slower, never larger than dense; what is forced is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_graph

from mcuprune.boards import CORES
from mcuprune.errors import EncodingError, UsageError
from mcuprune.generate import forced_encodings
from mcuprune.ir.graph import Graph
from mcuprune.kernels.budget import choose_weighed, choose_within
from mcuprune.kernels.choose import Choice, candidates, choose, choose_fast, code_bytes, dense_of
from mcuprune.kernels.cost import NO_COST, predict
from mcuprune.kernels.lowering import lower


def sparse_graph(density: float) -> Graph:
    """The tiny model with most weights zeroed."""
    graph = tiny_graph()
    rng = np.random.default_rng(7)
    tensors = tuple(
        replace(t, data=np.where(rng.random(t.shape) < density, t.data, 0).astype(np.int8))
        if t.data is not None and t.data.dtype == np.int8
        else t
        for t in graph.tensors
    )
    return replace(graph, tensors=tensors)


def chosen(density: float, core: str) -> list[tuple[Choice, Choice]]:
    """For each layer with encoded weights, what `speed` chose and the dense candidate."""
    graph, found = sparse_graph(density), []
    for op in graph.ops:
        params = lower(graph, op)
        if params is None or params.rows is None:
            continue
        found.append((choose(op, params, CORES[core]), dense_of(candidates(op, params, CORES[core]))))
    return found


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55"])
@pytest.mark.parametrize("density", [0.05, 0.3, 0.6, 1.0])
def test_promises(core: str, density: float) -> None:
    """speed is never slower than dense by the measured costs, flash never larger, balanced neither."""
    for choice, dense in chosen(density, core):
        assert choice.cost.effort <= dense.cost.effort
    layers = [(op, lower(graph, op)) for graph in [sparse_graph(density)] for op in graph.ops]
    fast = choose_fast(layers, CORES[core], {})
    small, both = (choose_weighed(layers, CORES[core], {}, objective) for objective in ("flash", "balanced"))
    dense_ones = [dense_of(c.found) if c.encoding else c for c in fast]
    assert max(whole(small, core), whole(both, core)) <= whole(dense_ones, core)
    assert effort(both) <= effort(dense_ones)
    assert whole(small, core) <= whole(both, core)


def effort(choices: Iterable[Choice]) -> float:
    """Predicted, of a whole model."""
    return sum(choice.cost.effort for choice in choices)


def whole(choices: Iterable[Choice], core: str) -> int:
    """Flash of tables and of the kernels' code."""
    choices = list(choices)
    kernels = {c.kernel for c in choices if c.kernel is not None}
    return sum(c.table_bytes for c in choices) + code_bytes(kernels, CORES[core])


def test_zeros_are_used() -> None:
    """At 95% zeros no convolution stays dense, and the reason names the runner-up."""
    for choice, dense in chosen(0.05, "cortex-m4f"):
        if choice.params.family == "conv2d_s8":
            assert choice.encoding != "dense"
            assert choice.flash_bytes < dense.flash_bytes
            assert "; next " in choice.why


def test_kernels_need_their_bounds() -> None:
    """A layer whose doubled accumulators could leave 32 bits is not given to the kernel that doubles them."""
    graph = sparse_graph(0.5)
    op = graph.ops[0]
    params = lower(graph, op)
    names = {c.kernel.symbol for c in candidates(op, params, CORES["cortex-m4f"])}
    assert "mp_conv2d_s8_gap_dsp" in names
    large = replace(params, row_bound=(*params.row_bound[:-1], 2**30))
    names = {c.kernel.symbol for c in candidates(op, large, CORES["cortex-m4f"])}
    assert "mp_conv2d_s8_gap_dsp" not in names and "mp_conv2d_s8_gap_ref" in names


def test_forced_encoding() -> None:
    """--encoding LAYER=NAME is taken, the last match wins, and nonsense is one clear error."""
    graph = sparse_graph(0.5)
    forced = forced_encodings(graph, ["*=bitmap", "ds_1_pw=gap"])
    assert forced[0] == "bitmap" and forced[2] == "gap"
    op = graph.ops[0]
    assert choose(op, lower(graph, op), CORES["cortex-m3"], "bitmap").encoding == "bitmap"
    with pytest.raises(UsageError, match="LAYER=NAME"):
        forced_encodings(graph, ["conv_1=zip"])
    dw = graph.ops[1]
    with pytest.raises(EncodingError, match=r"cannot serve .* no kernel for depthwise_conv2d_s8 reads it"):
        choose(dw, lower(graph, dw), CORES["cortex-m3"], "gap")
    with pytest.raises(EncodingError, match=r"cannot serve .*: 2:4 needs columns in fours, got 6"):
        choose(graph.ops[2], lower(graph, graph.ops[2]), CORES["cortex-m4f"], "nm2x4")


def test_kernels_that_do_not_pay_are_dropped() -> None:
    """A small model at 20% zeros saves fewer bytes than another kernel's code takes: it stays dense."""
    graph, core = sparse_graph(0.8), CORES["cortex-m4f"]
    layers = [(op, lower(graph, op)) for op in graph.ops]
    for choice in choose_weighed(layers, core, {}, "balanced"):
        assert choice.encoding in ("", "dense")
    forced = choose_weighed(layers, core, {0: "bitmap"}, "flash")
    assert forced[0].encoding == "bitmap" and code_bytes([forced[0].kernel], core) > 500


@pytest.mark.parametrize("unknown", ["gap", "dense", "all"])
def test_kernels_without_known_cost(unknown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not measured is not taken for free: it is left out; without any figure the layer stays dense."""
    graph, core = sparse_graph(0.05), CORES["cortex-m4f"]
    monkeypatch.setattr(
        "mcuprune.kernels.choose.predict",
        lambda kernel, *rest: NO_COST if unknown in (kernel.encoding, "all") else predict(kernel, *rest),
    )
    layers = [(graph.ops[0], lower(graph, graph.ops[0]))]
    balanced, small = (choose_weighed(layers, core, {}, objective) for objective in ("balanced", "flash"))
    for choice in (choose_fast(layers, core, {})[0], balanced[0], small[0]):
        assert choice.encoding == "dense" if unknown != "gap" else choice.encoding != "gap"
        assert (
            choose_within([(graph.ops[0], choice.params)], core, 10**6, {})[0][0].encoding != unknown
            or unknown == "dense"
        )
    forced = choose(graph.ops[0], lower(graph, graph.ops[0]), core, "gap")
    assert forced.encoding == "gap"
