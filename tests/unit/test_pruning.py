"""One-shot pruning: exact zeros in each layer, nothing else in the file changes, and the verb's errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError, UsageError
from mcuprune.files import write_file_atomic
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.graph import Graph
from mcuprune.masks import parse_budget, parse_pattern, parse_rule
from mcuprune.pruning import Pruned, prune_one_shot
from mcuprune.tflite.reference import ReferenceInterpreter
from mcuprune.tflite.writer import replace_constants
from tests.models import every_operator
from tests.tflite_builder import Builder, random_bias, random_int8


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The model with every operator, as a file: weights (8,3,3,3), depthwise (1,3,3,8), (8,1,1,8) and (5,8)."""
    path = tmp_path / "small.tflite"
    path.write_bytes(every_operator())
    return path


def prune(
    content: bytes,
    *rules: str,
    sparsity: float | None = None,
    pattern: str = "unstructured",
    budget: str = "uniform",
) -> Pruned:
    """prune_one_shot() with texts."""
    parsed = [parse_rule(rule) for rule in rules]
    return prune_one_shot(
        content,
        "m.tflite",
        sparsity=sparsity,
        pattern=parse_pattern(pattern),
        rules=parsed,
        budget=parse_budget(budget),
    )


def weights(graph: Graph, index: int) -> np.ndarray:
    """Weights of an operator, rows = output channels."""
    op = graph.ops[index]
    data = graph.tensor(op.inputs[1]).data
    assert data is not None
    return data.reshape(-1, data.shape[-1]).T if op.kind == "DEPTHWISE_CONV_2D" else data.reshape(len(data), -1)


def changed_bytes(before: bytes, after: bytes) -> np.ndarray:
    """Positions of the bytes that differ."""
    assert len(before) == len(after)
    return np.flatnonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8))


def test_exact_zeros_and_nothing_else(small: Path) -> None:
    """Layers get round(n * s) zeros, the smallest |q * scale|; only those bytes of the file differ, and are 0."""
    content = small.read_bytes()
    before = import_bytes(content, "m")
    pruned = prune(content, "t24=0.33", sparsity=0.8)
    after = import_bytes(pruned.content, "m")
    changed = 0
    for layer in pruned.layers:
        old, new = weights(before, layer.index), weights(after, layer.index)
        wanted = {"CONV_2D": 0.8, "DEPTHWISE_CONV_2D": 0.0, "FULLY_CONNECTED": 0.33}[layer.op]
        zeros = max(round(old.size * wanted), int(np.sum(old == 0)))
        assert np.sum(new == 0) == zeros == layer.zeros and layer.size == old.size
        assert layer.sparsity == zeros / old.size
        quant = before.tensor(before.ops[layer.index].inputs[1]).quant
        assert quant is not None
        importance = np.abs(old.astype(np.float64)) * np.array(quant.scales)[:, None]
        gone = np.argsort(importance.ravel(), kind="stable")[: round(old.size * wanted)]
        expected = old.ravel().copy()
        expected[gone] = 0
        np.testing.assert_array_equal(new.ravel(), expected)
        changed += int(np.sum(old != new))
    places = changed_bytes(content, pruned.content)
    assert len(places) == changed and not np.frombuffer(pruned.content, np.uint8)[places].any()


def test_depthwise_rows_are_channels(small: Path) -> None:
    """A depthwise layer that a rule names is pruned as (C, H*W); the classifier stays."""
    pruned = prune(small.read_bytes(), "*_dw=1:3")
    layers = {layer.op: layer for layer in pruned.layers if layer.pattern}
    assert list(layers) == ["DEPTHWISE_CONV_2D"]
    rows = weights(import_bytes(pruned.content, "m"), layers["DEPTHWISE_CONV_2D"].index)
    assert rows.shape == (8, 9)
    assert (np.count_nonzero(rows.reshape(8, 3, 3), axis=2) <= 1).all()


def test_groups_of_one_input_channel_run_along_the_taps(rng: np.random.Generator) -> None:
    """With one input channel, and for kernels larger than 1x1, groups and blocks run along H*W*I."""
    model = Builder()
    x = model.conv_2d(model.input((1, 6, 6, 1), 0.1), random_int8(rng, (5, 2, 2, 1)), random_bias(rng, 5))
    x = model.conv_2d(x, random_int8(rng, (4, 2, 2, 5)), random_bias(rng, 4))
    x = model.conv_2d(x, random_int8(rng, (3, 1, 1, 4)), random_bias(rng, 3))
    content = model.build([x])
    pruned = prune(content, pattern="2:4x2")
    after = import_bytes(pruned.content, "m")
    assert [layer.pattern for layer in pruned.layers] == ["2:4x2", "2:4x2", None]
    for index in (0, 1):
        rows = weights(after, index)
        groups = (rows != 0).reshape(len(rows), -1, 4)
        assert (groups.sum(axis=2) <= 2).all()
        for top in range(0, len(rows), 2):
            assert (groups[top : top + 2].any(axis=0).sum(axis=1) <= 2).all()
    blocks = weights(import_bytes(prune(content, sparsity=0.5, pattern="block:2x8").content, "m"), 1)
    whole = [not blocks[r : r + 2, c : c + 8].any() for r in (0, 2) for c in (0, 8, 16)]
    assert sum(whole) == 3


def test_global_budget_compares_real_weights(small: Path) -> None:
    """One threshold of |q * scale| over the layers that no rule names; their zeros are exact together."""
    content = small.read_bytes()
    before = import_bytes(content, "m")
    pruned = prune(content, "*_dw=0.25", sparsity=0.6, budget="global")
    after = import_bytes(pruned.content, "m")
    kept, gone = [], []
    shared = [layer for layer in pruned.layers if layer.op == "CONV_2D"]
    for layer in shared:
        quant = before.tensor(before.ops[layer.index].inputs[1]).quant
        assert quant is not None
        real = np.abs(weights(before, layer.index) * np.array(quant.scales)[:, None])
        empty = weights(after, layer.index) == 0
        kept.append(real[~empty])
        gone.append(real[empty])
    assert np.concatenate(kept).min() >= np.concatenate(gone).max()
    assert sum(layer.zeros for layer in shared) == round(sum(layer.size for layer in shared) * 0.6)
    assert len({layer.sparsity for layer in shared}) == len(shared) > 1
    assert [layer.sparsity for layer in pruned.layers if layer.op == "DEPTHWISE_CONV_2D"] == [18 / 72]


@pytest.mark.parametrize("budget", ["uniform", "erk", "global:0.2..0.9"])
def test_channels_and_blocks(small: Path, budget: str, rng: np.random.Generator) -> None:
    """Whole output channels and blocks of larger kernels are emptied, and LiteRT runs what is left."""
    content = small.read_bytes()
    pruned = prune(content, sparsity=0.5, pattern="channels", budget=budget)
    after = import_bytes(pruned.content, "m")
    done = [layer for layer in pruned.layers if layer.pattern == "channels"]
    for layer in done:
        rows = weights(after, layer.index)
        assert 0 < (~rows.any(axis=1)).sum() < len(rows)
    blocks = prune(content, sparsity=0.5, pattern="block:2x3:l2", budget=budget)
    first = next(layer for layer in blocks.layers if layer.size == 8 * 27)
    rows = weights(import_bytes(blocks.content, "m"), first.index)
    whole = ~rows.reshape(4, 2, 9, 3).any(axis=(1, 3))
    assert whole.sum() >= 9
    sample = [rng.uniform(-5, 5, (1, 9, 7, 3)).astype(np.float32)]
    with ReferenceInterpreter(pruned.content) as reference:
        assert np.isfinite(reference.run(sample)[0]).all()


def test_zeros_that_are_there_count(small: Path) -> None:
    """Pruning again to less changes nothing, and the note says so."""
    once = prune(small.read_bytes(), sparsity=0.8)
    again = prune(once.content, sparsity=0.5)
    assert again.content == once.content and again.sha256 == once.sha256
    assert all("were there" in layer.note for layer in again.layers if layer.pattern)


def test_reference_runs_it(small: Path, rng: np.random.Generator) -> None:
    """LiteRT loads the pruned file and gives another answer than before."""
    pruned = prune(small.read_bytes(), "*=0.7")
    sample = [rng.uniform(-5, 5, (1, 9, 7, 3)).astype(np.float32)]
    with ReferenceInterpreter(small) as old, ReferenceInterpreter(pruned.content) as new:
        assert old.layer_crcs(sample) != new.layer_crcs(sample)


def test_a_rest_beside_the_groups(small: Path) -> None:
    """Channels that N:M does not divide: the layer, its shape, and what would help."""
    with pytest.raises(UsageError) as caught:
        prune(small.read_bytes(), "13=0", pattern="1:3")
    assert caught.value.what == "1:3 sparsity needs input channels divisible by 3, got 8"
    assert "CONV_2D" in str(caught.value.where) and "OHWI (8, 1, 1, 8)" in str(caught.value.where)
    assert "=0 leaves it dense, or widen the layer to 9 channels" in str(caught.value.hint)


def shared_weights(rng: np.random.Generator, same_tensor: bool) -> bytes:
    """Two convolutions with one weights tensor, or with one buffer under two tensors."""
    model = Builder()
    x = model.input((1, 3, 3, 4), 0.1)
    x = model.conv_2d(x, random_int8(rng, (4, 1, 1, 4)), random_bias(rng, 4))
    x = model.conv_2d(x, random_int8(rng, (4, 1, 1, 4)), random_bias(rng, 4))
    x = model.fully_connected(x, random_int8(rng, (2, 36)), random_bias(rng, 2))
    first, second = model.graph.operators[0], model.graph.operators[1]
    if same_tensor:
        second.inputs[1] = first.inputs[1]
    else:
        model.graph.tensors[second.inputs[1]].buffer = model.graph.tensors[first.inputs[1]].buffer
    return model.build([x])


@pytest.mark.parametrize("same_tensor", [True, False])
def test_shared_weights_are_refused(same_tensor: bool, rng: np.random.Generator) -> None:
    """Weights that serve two layers do not change under one of them; left dense they are fine."""
    content = shared_weights(rng, same_tensor)
    with pytest.raises(ModelError, match=r"share[sd]"):
        prune(content, sparsity=0.5)
    names = [layer.name for layer in prune(content, "*=0").layers]
    with pytest.raises(ModelError, match=r"share[sd]"):
        prune(content, f"{names[1]}=0", sparsity=0.5)
    assert prune(content, f"{names[0]}=0", f"{names[1]}=0", sparsity=0.5).content == content


def test_writer_refuses_another_size(small: Path) -> None:
    """A constant keeps its size, and what is computed is no constant."""
    content = small.read_bytes()
    graph = import_bytes(content, "m")
    conv = next(op for op in graph.ops if op.kind == "CONV_2D")
    with pytest.raises(ModelError, match="1 new bytes for a constant of 216"):
        replace_constants(content, "m", {conv.inputs[1]: np.zeros(1, np.int8)})
    with pytest.raises(ModelError, match="for a constant of 0"):
        replace_constants(content, "m", {conv.outputs[0]: np.zeros(0, np.int8)})


def test_atomic_write(tmp_path: Path) -> None:
    """Folders are made, a file is replaced, nothing else is left; folders and devices are refused."""
    target = tmp_path / "a" / "b.bin"
    write_file_atomic(target, b"old")
    write_file_atomic(target, b"new")
    assert target.read_bytes() == b"new" and [p.name for p in target.parent.iterdir()] == ["b.bin"]
    for wrong in (tmp_path / "a", Path("/dev/null"), target / "c", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError):
            write_file_atomic(wrong, b"x")
    assert Path("/dev/null").is_char_device() and [p.name for p in tmp_path.iterdir()] == ["a"]


# the verb


def test_verb_writes_json(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json: one object with the layers; the file's digest is the written one's."""
    out = tmp_path / "sparse.tflite"
    arguments = [
        "prune",
        str(small),
        "--one-shot",
        "--sparsity",
        "0.5",
        "--layer",
        "t24=0.25",
        "-o",
        str(out),
        "--json",
    ]
    assert run(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    graph = import_bytes(out.read_bytes(), "m")
    assert result["model_sha256"] == graph.sha256 and result["output"] == str(out)
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert (
        layers["t24"]["zeros"] == 10
        and layers["t24"]["sparsity"] == 0.25
        and layers["t24"]["pattern"] == "unstructured"
    )
    assert result["totals"]["zeros"] == sum(layer["zeros"] for layer in result["layers"])
    assert [graph.ops[layer["index"]].name for layer in result["layers"]] == list(layers)


def test_verb_prints_a_table(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every layer with weights has a row, also those that were left."""
    assert run(["prune", str(small), "--one-shot", "--pattern", "2:4", "--layer", "2=0", "-o", str(small)]) == 2
    out = tmp_path / "s.tflite"
    assert run(["prune", str(small), "--one-shot", "--pattern", "2:4", "--layer", "2=0", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "classifier: left unless --layer names it" in text and "2:4" in text and "next: mcuprune generate" in text


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--sparsity", "0.8"], 2, "add --one-shot"),
        (["--one-shot"], 2, "nothing says how sparse"),
        (["--one-shot", "--sparsity", "80"], 2, "is not in [0, 1)"),
        (["--one-shot", "--sparsity", "nan"], 2, "is not in [0, 1)"),
        (["--one-shot", "--sparsity", "0.5", "--pattern", "2:4"], 2, "implies its sparsity"),
        (["--one-shot", "--sparsity", "0.5", "--pattern", "4:2"], 2, "do not fit in a group of 2"),
        (["--one-shot", "--sparsity", "0.5", "--layer", "nosuch*=0"], 2, "one of"),
        (["--one-shot", "--sparsity", "0.5", "--budget", "fair"], 2, "'fair' is no budget"),
        (["--one-shot", "--pattern", "2:4", "--budget", "erk"], 2, "a budget has nothing to share"),
        (["--one-shot", "--sparsity", "0.5", "--budget", "global:0..0.4"], 2, "sparsity 0.5 needs"),
        (["--one-shot", "--sparsity", "0.5", "--pattern", "block:2x2:min"], 2, "is no pattern"),
        (["--one-shot", "--sparsity", "0.5", "--pattern", "block:999x999"], 2, "takes 0 of 1 blocks of a matrix of"),
        (["--one-shot", "--pattern", "2:4"], 2, "weights of an output channel divisible by 4, got 27"),
    ],
)
def test_verb_errors(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, complaint: str
) -> None:
    """One error and its exit code; nothing is written."""
    out = tmp_path / "out" / "s.tflite"
    assert run(["prune", str(small), *options, "-o", str(out)]) == code
    captured = capsys.readouterr()
    assert complaint in captured.err and captured.out == ""
    assert not out.parent.exists()


def test_verb_and_other_files(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The input is not overwritten, also through a link; a missing or cut model is exit code 3, Keras models 2."""
    content = small.read_bytes()
    link = tmp_path / "link.tflite"
    link.hardlink_to(small)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: len(content) // 2])
    options = ["--one-shot", "--sparsity", "0.5", "-o"]
    for output in (small, link, tmp_path / "." / "small.tflite"):
        assert run(["prune", str(small), *options, str(output)]) == 2
        assert "overwrite" in capsys.readouterr().err
    assert small.read_bytes() == content
    out = str(tmp_path / "out.tflite")
    assert run(["prune", str(cut), *options, out]) == 3
    assert run(["prune", str(tmp_path / "none.tflite"), *options, out]) == 3
    assert run(["prune", "m.keras", *options, out]) == 2
    assert run(["prune", "m.keras", "--sparsity", "0.8", "-o", "out.keras"]) == 2
    assert "--one-shot" in capsys.readouterr().err
    assert not Path(out).exists()


# real models


@pytest.mark.shared
@pytest.mark.parametrize(
    ("pattern", "sparsity"), [("unstructured", 0.8), ("2:4", None), ("1:4x2", None), ("block:4x1", 0.8)]
)
def test_ds_cnn_l(shared: Path, real_inputs, pattern: str, sparsity: float | None) -> None:  # type: ignore[no-untyped-def]
    """Each pattern on DS-CNN-L: exact counts, other bytes as they were, and LiteRT runs it on real samples."""
    content = (shared / "models" / "ds_cnn_l_int8.tflite").read_bytes()
    pruned = prune(content, sparsity=sparsity, pattern=pattern)
    before, after = import_bytes(content, "m"), import_bytes(pruned.content, "m")
    done = [layer for layer in pruned.layers if layer.pattern]
    assert [layer.op for layer in done] == ["CONV_2D"] * 6
    assert [layer.op for layer in pruned.layers if not layer.pattern] == ["DEPTHWISE_CONV_2D"] * 5 + ["FULLY_CONNECTED"]
    changed = 0
    for layer in done:
        old, new = weights(before, layer.index), weights(after, layer.index)
        changed += int(np.sum(old != new))
        assert layer.zeros == np.sum(new == 0)
        if pattern == "unstructured":
            assert layer.zeros == round(layer.size * 0.8)
        elif pattern == "block:4x1":
            assert layer.zeros >= 4 * round(layer.size / 4 * 0.8)
        else:
            n = int(pattern[0])
            assert (np.count_nonzero(new.reshape(-1, 4), axis=1) <= n).all() and layer.zeros >= layer.size * (1 - n / 4)
    places = changed_bytes(content, pruned.content)
    assert len(places) == changed and not np.frombuffer(pruned.content, np.uint8)[places].any()
    with ReferenceInterpreter(pruned.content) as reference:
        for sample in real_inputs("ds_cnn_l_int8")[:3]:
            (output,) = reference.run([sample])
            assert np.isfinite(output).all()
