"""Measure: prune, generate, build, count one inference in QEMU, hold it against the baseline."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mcuprune.bench.autoencoder import autoencoder
from mcuprune.bench.cases import Case, Model, Row
from mcuprune.bench.objects import ObjectStore
from mcuprune.boards import load_board
from mcuprune.build.compile import compile_folder
from mcuprune.build.folder import open_folder
from mcuprune.build.sizes import measure
from mcuprune.emit.project import write_project
from mcuprune.errors import McupruneError, ModelError
from mcuprune.generate import generate
from mcuprune.importers.tflite import import_tflite
from mcuprune.inputs import random_inputs
from mcuprune.ir.graph import Graph, Op
from mcuprune.masks import parse_pattern, parse_rule
from mcuprune.passes.passes import PASSES
from mcuprune.profile.against import compare
from mcuprune.profile.measure import profile_emulated
from mcuprune.profile.plugin import build_plugin, plugin_api, qemu_version
from mcuprune.profile.result import Profile
from mcuprune.pruning import WEIGHTED, prune_one_shot


@dataclass(frozen=True, slots=True)
class Measured:
    """What a case gave. pointwise_flash_bytes: of the 1x1 convolutions."""

    case: Case
    profile: Profile
    pointwise_flash_bytes: int
    compiler: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A case that gave nothing."""

    case: Case
    error: McupruneError


def run_cases(
    todo: Sequence[Case],
    shared: Path,
    baseline: Path | None,
    jobs: int,
    done: Callable[[Measured | Failed], None],
) -> list[Measured | Failed]:
    """Measure all, `jobs` at a time; results in the order of the cases.

    Args:
        shared: folder with models/. baseline: figures to compare with.
    """
    build_plugin(plugin_api(qemu_version()))  # once, before many want it
    context = multiprocessing.get_context("spawn")  # QEMU is forked, which threads of numpy's do not survive
    with ProcessPoolExecutor(jobs, context, _start, (shared, baseline)) as pool:
        futures: list[Future[Measured | Failed]] = [pool.submit(_work, case) for case in todo]
        for future in futures:
            future.add_done_callback(lambda f: done(f.result()) if not f.cancelled() and not f.exception() else None)
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a process keeps from case to case."""

    shared: Path
    baseline: Path | None
    objects: ObjectStore


_worker: list[_Worker] = []


def _start(shared: Path, baseline: Path | None) -> None:
    _worker.append(_Worker(shared, baseline, ObjectStore()))


def _work(case: Case) -> Measured | Failed:
    worker = _worker[0]
    try:
        return measure_case(case, model_bytes(case.model, worker.shared), worker.baseline, worker.objects)
    except McupruneError as error:
        return Failed(case, error)


def model_bytes(model: Model, shared: Path) -> bytes:
    """The model's file, or the one that is made.

    Raises:
        ModelError: it is not there.
    """
    if not model.file:
        return autoencoder()
    path = shared / "models" / model.file
    if not path.is_file():
        raise ModelError(f"there is no {model.file}", where=str(path.parent), hint="MCUPRUNE_SHARED=FOLDER of models/")
    return path.read_bytes()


def measure_case(case: Case, content: bytes, baseline: Path | None, objects: ObjectStore | None = None) -> Measured:
    """One row of a table."""
    with tempfile.TemporaryDirectory(prefix="mcuprune-bench-") as scratch:
        model, path = Path(scratch) / f"{case.model.key}.tflite", Path(scratch) / "project"
        model.write_bytes(content)
        graph = import_tflite(model)
        if case.row.pattern:
            model.write_bytes(_pruned(content, graph, case))
        forced = [f"{op.index}=dense" for op in graph.ops if op.kind in WEIGHTED] if case.row.own else []
        passes = () if case.row.own else tuple(PASSES)
        board = load_board(case.board)
        made = generate(model, board, optimize=case.row.optimize, encodings=forced, passes=passes)
        write_project(made.files, path)
        folder = open_folder(path)
        if objects is not None:
            objects.lend(folder)
        compile_folder(folder)
        if objects is not None:
            objects.keep(folder)
        profile = profile_emulated(folder, random_inputs(graph, 1, 1)[0].tobytes())
        if baseline is not None:
            profile = compare(profile, graph, baseline)
        layers = folder.manifest["layers"]
        one = {e["index"] for e in layers if e["op"] == "CONV_2D" and e["weights_shape"][1:3] == [1, 1]}
        return Measured(
            case,
            profile,
            sum(layer.flash_bytes for layer in profile.layers if layer.index in one),
            measure(folder).compiler,
        )


def _pruned(content: bytes, graph: Graph, case: Case) -> bytes:
    """The model with the row's zeros."""
    row: Row = case.row
    rules = [parse_rule(f"{op.index}={row.first:g}" + (",unstructured" if row.first else "")) for op in _first(graph)]
    source = f"{case.model.key}.tflite"
    pattern = parse_pattern(row.pattern)
    return prune_one_shot(content, source, sparsity=row.sparsity, pattern=pattern, rules=rules).content


def _first(graph: Graph) -> list[Op]:
    """The first convolution, where there is one."""
    return [op for op in graph.ops if op.kind == "CONV_2D"][:1]
