"""Canary: generated C in an arena of exactly ARENA_BYTES from malloc, with all that is dead spoilt between layers.

What is dead is worked out here from the operators and where the plan puts their tensors, not by the planner. Workspaces
and the rows of streamed layers are spoilt with the rest: they hold nothing from one layer to the next.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mcuprune.boards import load_board
from mcuprune.build.folder import open_folder
from mcuprune.cli import run
from mcuprune.emit.project import Project, write_project
from mcuprune.generate import generate
from mcuprune.ir import interpreter
from mcuprune.ir.graph import Graph
from tests.models import every_operator
from tests.tflite_builder import RELU, Builder, random_bias, random_int8

FLAGS = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DMP_TRACE=1"]

HARNESS = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "NAME.h"
#include "mcuprune_model.h"

typedef struct { uint32_t layer, start, end; } dead;
static const dead spans[] = {SPANS};
static uint8_t *arena;

static void spoil(uint32_t layer)
{
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        if (spans[i].layer == layer) memset(arena + spans[i].start, 0x55 + (int)layer, spans[i].end - spans[i].start);
}

int mp_layer_done(uint32_t layer, const void *output, uint32_t bytes)
{
    if (layer & MP_LAYER_ROWS) return 0;
    fwrite(output, 1, bytes, stdout);
    spoil(layer + 1u);
    return 0;
}

int main(void)
{
    arena = malloc(NAME_model.arena_bytes);
    if (arena == NULL || NAME_init(arena, NAME_model.arena_bytes) != MP_OK) return 1;
    for (uint16_t i = 0; i < NAME_model.inputs; i++) {
        const mp_buffer *in = &NAME_model.input[i];
        if (fread(arena + in->offset, 1, in->bytes, stdin) != in->bytes) return 2;
    }
    spoil(0);
    if (NAME_invoke(arena) != MP_OK) return 3;
    for (uint16_t i = 0; i < NAME_model.outputs; i++)
        fwrite(arena + NAME_model.output[i].offset, 1, NAME_model.output[i].bytes, stdout);
    free(arena);
    return 0;
}
"""


def dead_spans(project: Project) -> list[tuple[int, int, int]]:
    """(layers that have run, start, end) of what holds nothing that is read later."""
    graph, plan, size = project.graph, project.plan, project.plan.arena_bytes
    spans = []
    for done in range(len(graph.ops) + 1):
        written = {*graph.inputs, *(op.outputs[0] for op in graph.ops[:done])}
        wanted = {*graph.outputs, *(t for op in graph.ops[done:] for t in op.inputs)}
        if done and done - 1 in project.streamed:  # its rows were read already, and what read them is done, too
            written |= {graph.ops[done].outputs[0]}
            wanted -= {graph.ops[done - 1].outputs[0]}
        free = np.ones(size, bool)
        for tensor in written & wanted:
            start = plan.tensors[tensor]
            free[start : start + graph.tensors[tensor].nbytes] = False
        edges = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(np.int8), [0]])))
        spans += [(done, int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    return spans


def run_spoilt(model: Path, folder: Path, **options: object) -> Project:
    """Layers and outputs of the spoilt run equal the interpreter's."""
    made = generate(model, load_board("host"), name="canary", **options)  # type: ignore[arg-type]
    project = made.project
    write_project(made.files, folder)
    spans = ", ".join(f"{{{a}u, {b}u, {c}u}}" for a, b, c in dead_spans(project))
    harness = folder / "harness.c"
    harness.write_text(HARNESS.replace("SPANS", spans).replace("NAME", "canary"))
    sources = [p for p in made.files if p.endswith(".c") and p.startswith(("model/", "mcuprune/"))]
    folders = sorted({str(folder / Path(p).parent) for p in made.files if p.endswith(".h")})
    command = ["cc", *FLAGS, *(f"-I{path}" for path in folders), "-o", str(folder / "canary"), str(harness)]
    done = subprocess.run([*command, *(str(folder / p) for p in sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(5)
    for _ in range(3):
        inputs = [_random(project.graph, t, rng) for t in project.graph.inputs]
        data = b"".join(x.tobytes() for x in inputs)
        ran = subprocess.run([str(folder / "canary")], input=data, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        results = interpreter.run(project.graph, inputs)
        steps = [step for step in range(len(project.graph.ops)) if step not in project.streamed]
        wanted = [results[project.graph.ops[step].outputs[0]].tobytes() for step in steps]
        wanted += [results[t].tobytes() for t in project.graph.outputs]
        assert ran.stdout == b"".join(wanted)
    return project


def _random(graph: Graph, tensor: int, rng: np.random.Generator) -> np.ndarray:
    shape, dtype = graph.tensors[tensor].shape, graph.tensors[tensor].dtype.numpy
    if dtype.kind == "f":
        return np.asarray(rng.normal(0, 2, shape), dtype)
    return rng.integers(-128, 128, shape).astype(dtype)


def test_every_operator(tmp_path: Path) -> None:
    """All operators, some over their inputs."""
    model = tmp_path / "m.tflite"
    model.write_bytes(every_operator())
    assert run_spoilt(model, tmp_path / "out").plan.in_place


def branches() -> bytes:
    """Four branches that widen and narrow again; the file has all wide layers first, then all narrow ones."""
    rng = np.random.default_rng(6)
    b = Builder()
    x = b.input((1, 12, 12, 4), 0.05, 3)

    def conv(x: int, rows: int, stride: tuple[int, int] = (1, 1)) -> int:
        weights = random_int8(rng, (rows, 3, 3, b.shape(x)[3]))
        return b.conv_2d(x, weights, random_bias(rng, rows), stride=stride, scale=0.1, zero_point=-9, activation=RELU)

    wide = [conv(x, 16 + 4 * i) for i in range(4)]
    narrow = [conv(y, 4, (3, 3)) for y in wide]
    total = narrow[0]
    for y in narrow[1:]:
        total = b.add(total, y, 0.1, -3)
    return b.build([total])


def branch_by_branch(order: list[int]) -> bool:
    """Whether each narrow layer runs right behind its wide one."""
    return all(order.index(i + 4) == order.index(i) + 1 for i in range(4))


@pytest.mark.parametrize("strips", [False, True])
def test_branches_are_reordered(tmp_path: Path, strips: bool) -> None:
    """Branch by branch: half of the memory, equal bytes, and every report names layers by their place in the file."""
    model = tmp_path / "m.tflite"
    model.write_bytes(branches())
    project = run_spoilt(model, tmp_path / "out", strips=strips, max_ram=3600 if strips else None)
    order = [op.index for op in project.graph.ops]
    assert sorted(order) == list(range(11)) and branch_by_branch(order)
    wide = sum(144 * (16 + 4 * i) for i in range(4))
    assert project.plan.arena_bytes == project.plan.lower_bound < 0.7 * wide
    folder = open_folder(tmp_path / "out")
    assert [op.index for op in folder.graph().ops] == order
    assert [layer["index"] for layer in folder.manifest["layers"]] == order
    assert folder.streamed == project.streamed and bool(project.streamed) == strips
    assert "operator 10 of the file" not in (tmp_path / "out" / "model" / "canary.c").read_text()
    assert f"operator {order[0]} of the file" in (tmp_path / "out" / "model" / "canary.c").read_text()


def test_a_reordered_model_on_the_road(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """verify compares its layers with the reference, generate says that the order changed, memory shows the arena."""
    model, out = tmp_path / "m.tflite", tmp_path / "out"
    model.write_bytes(branches())
    assert run(["verify", str(model), "--random", "4", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert branch_by_branch([layer["index"] for layer in layers]) and all(layer["equal"] for layer in layers)
    assert run(["generate", str(model), "--board", "host", "-o", str(out)]) == 0
    assert "another order than in the model's file" in capsys.readouterr().out
    assert run(["memory", str(out)]) == 0
    assert "lower bound" in capsys.readouterr().out


@pytest.mark.shared
@pytest.mark.parametrize("name", ["kws_ref_model_int8", "pretrainedResnet_quant", "vww_96_int8"])
def test_real_models(shared: Path, tmp_path: Path, name: str) -> None:
    """The same for real models, with strips where the plan has some."""
    run_spoilt(shared / "models" / f"{name}.tflite", tmp_path / "out")
