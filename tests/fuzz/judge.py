"""What becomes of a mutant: a clear error, or a model that equals LiteRT's reference kernels and makes sound C."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import resource
import signal
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as generated

from mcuprune.boards import load_board
from mcuprune.build.folder import open_folder
from mcuprune.check.verify import lacks_reference, mended, verify
from mcuprune.emit.project import write_project
from mcuprune.errors import FitError, McupruneError, ModelError
from mcuprune.flash.power import board_opener
from mcuprune.generate import generate
from mcuprune.importers.tflite import import_bytes
from mcuprune.inputs import random_inputs
from mcuprune.ir.graph import DType, Graph, file_layers
from mcuprune.ir.interpreter import run
from mcuprune.tflite.reference_worker import Session
from mcuprune.tflite.wire import Frame
from tests.fuzz.mutate import Mutant
from tests.uint8_twin import from_twin, to_twin, uint8_twin

SOURCE = "mutant.tflite"
SUM = "SUM"
"""The reference takes its int8 for uint8 (docs/numerics.md): a model of it alone is compared with its twin in uint8."""
SECONDS = 5  # of processor time for each step
MEMORY_BYTES = 10**9
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all -Wno-error=maybe-uninitialized"

REFUSED, EQUAL, EQUAL_IN_C, NOTED = "refused", "equal", "equal in C too", "knowingly accepted where LiteRT refuses"
NO_REFERENCE = "accepted where LiteRT has no kernel"
FAILED = "FAILED"
_HARMLESS = re.compile(
    "Tensor at index 2 was optional but was expected"  # a bias that is absent is 0, as in other runtimes
    "|index out of bounds|indices_has_only_positive_elements"  # here the nearest row is taken
    "|only defined for (non-negative|positive) values"  # some inputs end LiteRT's run; here they have a value
    "|'utf-8' codec can't decode"  # of Python's binding: names have no meaning
)
_NAMED = re.compile(r"\b(tensor|op|operator|operators|input|inputs|output|outputs|subgraph|subgraphs|model|file)\b")


@dataclass(frozen=True, slots=True)
class Verdict:
    """kind: one of the above; what: the error, or what is wrong."""

    kind: str
    what: str = ""


Report = Callable[[str], None]


def judge(mutant: Mutant, in_c: bool, step: Report) -> Verdict:
    """Take a mutant through every stage, in this process.

    Args:
        in_c: also build its C with sanitizers and compare every layer.
        step: told the name of each step before it begins: what a process that dies died of.
    """
    with tempfile.TemporaryDirectory(prefix="mcuprune-fuzz-") as scratch:
        model, folder = Path(scratch) / SOURCE, Path(scratch) / "out"
        with _limits():
            accepted = _judge_model(mutant, step)
            if isinstance(accepted, Verdict):
                return accepted
            step("generate")
            _new_deadline()
            model.write_bytes(mutant.content)
            try:
                made = generate(model, load_board("host"))
            except FitError as error:
                return Verdict(REFUSED, str(error))
            signal.setitimer(signal.ITIMER_PROF, 0)
        if not in_c or _wrong_in_reference(accepted.graph):
            return Verdict(EQUAL if accepted.compared else NO_REFERENCE)
        step("C")
        write_project(made.files, folder)
        model.write_bytes(accepted.loaded)
        verdict = _judge_c(made.project.graph, model, folder, mutant.seed)
        return verdict if verdict.kind == FAILED or accepted.compared else Verdict(NO_REFERENCE, "its C runs")


@dataclass(frozen=True, slots=True, eq=False)
class _Accepted:
    """A model that equals the reference, unless LiteRT lacks a kernel (`compared`); `loaded`: the file that it took."""

    graph: Graph
    loaded: bytes
    compared: bool = True


def _judge_model(mutant: Mutant, step: Report) -> Verdict | _Accepted:
    """Import, and compare every layer with LiteRT's."""
    step("import")
    _new_deadline()
    try:
        graph = import_bytes(mutant.content, SOURCE)
    except ModelError as error:
        return _refusal(error)
    if not graph.ops or not graph.outputs:
        return Verdict(FAILED, "an empty graph was accepted")
    inputs = [_inputs(graph, mutant.seed + i) for i in range(2)]
    if lacks_reference(graph):
        step("interpreter")
        for sample in inputs:
            _new_deadline()
            run(graph, sample)
        return _Accepted(graph, mutant.content, compared=False)
    step("reference")
    _new_deadline()
    try:
        loaded, expected = _reference(graph, mutant.content, inputs)
    except (RuntimeError, ValueError) as error:
        if _HARMLESS.search(str(error)):
            return Verdict(NOTED, str(error))
        return Verdict(FAILED, f"LiteRT refuses it, the importer does not: {str(error).strip()}")
    step("interpreter")
    for sample, wanted in zip(inputs, expected, strict=True):
        _new_deadline()
        difference = _difference(graph, run(graph, sample), wanted)
        if difference:
            return Verdict(FAILED, difference)
    return _Accepted(graph, loaded)


Arrays = list[np.ndarray]


def _reference(graph: Graph, content: bytes, inputs: list[Arrays]) -> tuple[bytes, list[Arrays]]:
    """The file that LiteRT took, and its value of every layer for some inputs.

    Where LiteRT refuses the file, it gets what `verify` would give it, with what the importer told in notes put right,
    and without functions that are not run, which have no part in the meaning.

    Raises:
        RuntimeError, ValueError: LiteRT refuses that, too.
    """
    try:
        return content, _layers(graph, content, inputs)
    except (RuntimeError, ValueError):
        rest = alone(mended(content, graph) if graph.notes else content, graph.subgraph)
        if rest == content:
            raise
        return rest, _layers(graph, rest, inputs)


def _layers(graph: Graph, content: bytes, inputs: list[Arrays]) -> list[Arrays]:
    layers = file_layers(graph)
    if all(op.kind == SUM for op in graph.ops):
        session = Session(uint8_twin(content), layers, [None] * len(layers), graph.subgraph)
        given = [[to_twin(values) for values in sample] for sample in inputs]
        found = [session.run(Frame({"want": ["layers"], "reset": True}, sample)).arrays for sample in given]
        return [[from_twin(values) for values in arrays] for arrays in found]
    session = Session(content, layers, [None] * len(layers), graph.subgraph)
    return [session.run(Frame({"want": ["layers"], "reset": True}, sample)).arrays for sample in inputs]


def _wrong_in_reference(graph: Graph) -> set[int]:
    """Tensors that the reference has wrong: what SUM makes, and what depends on that."""
    wrong = set[int]()
    for op in graph.ops:
        if op.kind == SUM or not wrong.isdisjoint(op.inputs):
            wrong.update(op.outputs)
    return wrong


def alone(content: bytes, run: int) -> bytes:
    """The file with nothing in the subgraphs that neither are run nor give variables their first values."""
    model = generated.ModelT.InitFromPackedBuf(content, 0)
    called = {getattr(op.builtinOptions, "initSubgraphIndex", run) for op in model.subgraphs[run].operators}
    others = {i for i in range(len(model.subgraphs)) if i != run and i not in called}
    if not others:
        return content
    for i in others:
        empty = model.subgraphs[i] = generated.SubGraphT()
        empty.tensors, empty.inputs, empty.outputs, empty.operators = [], [], [], []
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _refusal(error: ModelError) -> Verdict:
    """An error must say what, where, and name what it is about, and must not stand for another's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return Verdict(FAILED, f"took more than {MEMORY_BYTES} bytes of memory, and said: {error}")
        cause = cause.__context__
    if error.where is None or not error.where.startswith(SOURCE):
        return Verdict(FAILED, f"the error does not say where: {error}")
    if not error.hint:
        return Verdict(FAILED, f"the error does not say what to do: {error}")
    if not _NAMED.search(f"{error.what} {error.where.removeprefix(SOURCE)}") or len(str(error)) > 2000:
        return Verdict(FAILED, f"the error does not name what it is about, or is too long: {error}")
    return Verdict(REFUSED, str(error))


def _inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    """One random array for each input."""
    rng = np.random.default_rng(seed)
    made = []
    for index in graph.inputs:
        tensor = graph.tensor(index)
        if tensor.dtype is DType.FLOAT32:
            made.append((rng.normal(size=tensor.shape) * 3).astype(np.float32))
        elif tensor.dtype is DType.BOOL:
            made.append(rng.integers(0, 2, tensor.shape).astype(np.bool_))
        else:
            low, high = tensor.dtype.limits
            made.append(rng.integers(low, high, tensor.shape, tensor.dtype.numpy, endpoint=True))
    return made


def _difference(graph: Graph, got: dict[int, np.ndarray], wanted: list[np.ndarray]) -> str:
    """The first layer that differs, in words; empty where all are equal."""
    wrong = set() if all(op.kind == SUM for op in graph.ops) else _wrong_in_reference(graph)
    for op, expected in zip(graph.ops, wanted, strict=True):
        if op.outputs[0] in wrong:
            continue
        values = got[op.outputs[0]]
        if graph.output_of(op).same_as is not None:
            values = values.reshape(expected.shape)
        if values.shape != expected.shape or values.dtype != expected.dtype:
            return f"op {op.index} {op.kind}: {values.dtype} {values.shape}, LiteRT {expected.dtype} {expected.shape}"
        if values.tobytes() != expected.tobytes():
            first = int(np.flatnonzero((values != expected).reshape(-1))[0])
            pair = f"{values.reshape(-1)[first]}, LiteRT {expected.reshape(-1)[first]}"
            return f"op {op.index} {op.kind} differs at {first}: {pair}"
    return ""


def _judge_c(graph: Graph, model: Path, folder: Path, seed: int) -> Verdict:
    """Build for the host with sanitizers, compare every layer."""
    make = ["make", "-s", "-C", str(folder), f"EXTRA_CFLAGS={SANITIZE}", "EXTRA_LDFLAGS=-fsanitize=address,undefined"]
    done = subprocess.run([*make, "OPT=-O0"], capture_output=True, text=True, check=False)
    if done.returncode:
        return Verdict(FAILED, f"its C does not build: {(done.stdout + done.stderr)[:1000]}")
    try:
        result = verify(graph, model, board_opener(open_folder(folder)), random_inputs(graph, 3, seed))
    except McupruneError as error:
        return Verdict(FAILED, f"its C does not run: {error}")
    return Verdict(EQUAL_IN_C) if result.equal else Verdict(FAILED, f"its C differs: {result.first_difference}")


# limits


def _new_deadline() -> None:
    """SIGPROF ends this process after so many seconds of processor time."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """At most so much memory more than the process has; address space would count what is only reserved."""
    pages = int(Path("/proc/self/statm").read_text().split()[5]) if Path("/proc/self/statm").is_file() else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + MEMORY_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def in_child(mutant_of: Callable[[int], Mutant], seed: int, in_c: bool) -> tuple[int, int]:
    """Judge a seed's mutant in a forked process; its id and the pipe that its steps and verdict come through."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        os.close(reader)
        faulthandler.disable()  # pytest's: crashes are what is looked for
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)  # what LiteRT prints
        verdict = judge(mutant_of(seed), in_c, lambda step: _tell(writer, f"step {step}\n"))
        _tell(writer, f"verdict {verdict.kind}\n{verdict.what}\n")
    except BaseException:  # whatever a stage raises is what is looked for here
        _tell(writer, f"verdict {FAILED}\n{traceback.format_exc()[-1500:]}\n")
    finally:
        os._exit(0)


def _tell(pipe: int, text: str) -> None:
    os.write(pipe, text.encode())
