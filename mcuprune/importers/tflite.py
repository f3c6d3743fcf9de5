"""`.tflite` file -> ir.Graph. Nothing in the file is trusted: what comes out of here is whole and supported.

The file's form is checked in mcuprune/tflite/structure.py, its tree here (indices, order of the operators), its tensors
in tensors.py (buffers, shapes, quantization), options of each operator in operators/; what the operators demand of
their tensors in mcuprune/ir/verify.py.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.importers.beside import check_beside
from mcuprune.importers.dilation import join_dilated
from mcuprune.importers.folding import Step, fold, steps_of
from mcuprune.importers.lookups import join_from_end
from mcuprune.importers.names import NamedOp, short_names
from mcuprune.importers.operators import PARSERS
from mcuprune.importers.packed import fold_densify
from mcuprune.importers.refusals import custom_kind, not_int8, unsupported
from mcuprune.importers.signatures import Function, choose_function
from mcuprune.importers.tensors import MAX_CONSTANT_ELEMENTS, TensorReader, tensor_place
from mcuprune.importers.variables import VARIABLE_KINDS, Variables, keep, resolve_variables
from mcuprune.importers.versions import LATEST
from mcuprune.ir.graph import DType, Graph, Op, Quant, State, Tensor
from mcuprune.ir.verify import verify
from mcuprune.tflite import schema

SUPPORTED = tuple(sorted([*PARSERS, *VARIABLE_KINDS]))

_WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # dimension of the weights' scales
_ANY_HINT = "convert the model again; where other runtimes take it as it is, report it with the file"
_COPY_HINT = "a tensor is written once, by one operator; convert the model again"


def import_tflite(path: str | Path, signature: str | None = None) -> Graph:
    """Read and verify a `.tflite` model.

    Args:
        signature: name of the function that is meant, of several; default the only one or `serving_default`.
    Raises:
        ModelError: missing, broken, float, or with an operator or a form that is not supported.
    """
    file = Path(path)
    return import_bytes(schema.read_file(file), file.name, signature)


def import_bytes(content: bytes, source: str, signature: str | None = None) -> Graph:
    """Read and verify a model from its bytes; `source` is the file's name, for errors and reports."""
    model = schema.parse_model(content, source)
    numbers, place = fold_densify(model), source
    try:
        function = choose_function(model, signature)
        place += f", subgraph {function.subgraph}" if function.subgraph else ""
        return _Reader(content, model, numbers, source, function).read()
    except ModelError as error:
        if error.where is None or not error.where.startswith(source):
            inside = source if error.where and error.where.startswith("subgraph ") else place
            error.where = f"{inside}, {error.where}" if error.where else place
        error.hint = error.hint or _ANY_HINT
        raise


class _Reader:
    """One import: the file's tree and what was read from it so far. Operators go by the file's numbers."""

    def __init__(self, content: bytes, model: Any, numbers: list[list[int]], source: str, function: Function) -> None:
        self.content = content
        self.model = model
        self.numbers = numbers
        self.source = source
        self.function = function
        self.codes: list[Any] = model.operatorCodes or []
        self.operators: dict[int, Any] = {}
        self.file_tensors: list[Any] = []
        self.tensors: dict[int, Tensor] = {}
        self.variables = Variables()
        self.states: tuple[State, ...] = ()

    def read(self) -> Graph:
        for number, other in enumerate(self.model.subgraphs):
            if other.tensors is None:  # runtimes refuse the file for it, whichever they run
                raise ModelError(f"subgraph {number} has no tensors", hint=schema.BROKEN_HINT)
        number = self.function.subgraph
        subgraph = self.model.subgraphs[number]
        self.file_tensors = subgraph.tensors or []
        self.reader = self._tensor_reader(number)
        self.operators = dict(zip(self.numbers[number], subgraph.operators or [], strict=True))
        if not self.operators:
            raise ModelError("the model has no operators")
        named = {i: self._kind(operator, self._place(i)) for i, operator in self.operators.items()}
        self._check_supported(named)
        self.variables = resolve_variables(
            self.model.subgraphs, self.numbers, number, list(named.values()), self._kind, self._constant
        )
        self.operators = {i: self.operators[i] for i in self.variables.operators}
        kinds = [named[i] for i in self.operators]
        inputs = self._indices(subgraph.inputs, "inputs of the model")
        outputs = tuple(map(self.variables.name, self._indices(subgraph.outputs, "outputs of the model")))
        wiring = [self._wiring(i, named[i]) for i in self.operators]
        notes = (
            *self._read_tensors(kinds, wiring, inputs, outputs),
            *check_beside(self.model, self.numbers, number, self._tensor_reader),
        )
        wiring, self.states = keep(
            self.tensors,
            self.variables,
            wiring,
            [self._place(i, named[i]) for i in self.operators],
            [PARSERS[kind].states for kind in kinds],
            lambda tensor: bool(self.file_tensors[tensor].isVariable),
            len(self.file_tensors),
        )
        self._check_order(kinds, wiring, inputs, outputs)
        steps = self._steps(kinds, wiring, outputs)
        self._refuse_others(steps)
        ops = self._ops(steps)
        sha256 = hashlib.sha256(self.content).hexdigest()
        function, tensors = self.function, self._all_tensors()
        graph = Graph(
            tensors,
            ops,
            inputs,
            outputs,
            sha256,
            self.source,
            self.states,
            function.signature,
            function.subgraph,
            notes,
        )
        verify(graph)
        return graph

    # operators and their wires

    def _place(self, index: int, kind: str = "") -> str:
        """An operator as errors name it before it has a short name: by the tensor that it writes."""
        outputs = schema.numbers(self.operators[index].outputs)
        named = bool(outputs) and 0 <= outputs[0] < len(self.file_tensors)
        writes = f" that writes {self._tensor_place(outputs[0])}" if named else ""
        return f"op {index}" + (f" {kind}" if kind else "") + writes

    def _tensor_place(self, index: int) -> str:
        read = self.tensors.get(index)
        return tensor_place(index, schema.text(self.file_tensors[index].name) if read is None else read.name)

    def _kind(self, operator: Any, place: str) -> str:
        """Kind of an operator of any subgraph; `place` names it in errors."""
        code = int(operator.opcodeIndex)
        if not 0 <= code < len(self.codes):
            raise ModelError(
                f"operator code {code} is not in the file's {len(self.codes)}",
                where=place,
                hint=schema.BROKEN_HINT,
            )
        entry = self.codes[code]
        if entry.customCode:
            return custom_kind(schema.text(entry.customCode))
        builtin = schema.builtin_code(entry)
        kind = schema.BUILTIN_NAMES.get(builtin, f"number {builtin}")
        if kind in SUPPORTED and not 1 <= entry.version <= LATEST[kind]:
            raise ModelError(
                f"version {entry.version} of {kind} is not supported, only 1 to {LATEST[kind]}",
                where=place,
                hint="convert the model with a released converter, or update mcuprune",
            )
        return kind

    def _check_supported(self, kinds: Mapping[int, str]) -> None:
        refusal = unsupported(list(kinds.values()), SUPPORTED)
        if refusal is not None:
            place, what, hint = refusal
            raise ModelError(what, where=self._place(list(kinds)[place]), hint=hint)

    def _indices(self, vector: Any, what: str, where: str | None = None, optional: bool = False) -> tuple[int, ...]:
        """Tensors that a vector names; `optional`: -1 stands for one that is absent, and one may be named twice."""
        indices = tuple(int(i) for i in schema.numbers(vector))
        for i in indices:
            if not (0 <= i < len(self.file_tensors) or (optional and i == -1)):
                raise ModelError(
                    f"{what} name tensor {i}, the file has {len(self.file_tensors)}",
                    where=where,
                    hint=schema.BROKEN_HINT,
                )
        if not indices:
            raise ModelError(f"there are no {what}", where=where, hint=schema.BROKEN_HINT)
        twice, count = Counter(indices).most_common(1)[0]
        if not optional and count > 1:
            raise ModelError(f"{what} name {self._tensor_place(twice)} twice", where=where, hint=_COPY_HINT)
        return indices

    def _wiring(self, index: int, kind: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        operator, where = self.operators[index], self._place(index, kind)
        named = self._indices(operator.inputs, f"inputs of op {index} {kind}", where, optional=True)
        inputs = tuple(map(self.variables.name, named))
        outputs = self._indices(operator.outputs, f"outputs of op {index} {kind}", where)
        parser = PARSERS[kind]
        low, high = parser.inputs
        if not low <= len(inputs) <= (high or len(inputs)) or (len(outputs) != 1 and not parser.splits):
            raise ModelError(
                f"{len(inputs)} inputs and {len(outputs)} outputs do not fit {kind}",
                where=where,
                hint=schema.BROKEN_HINT,
            )
        if any(i < 0 for i in inputs[:low]):
            raise ModelError(
                f"input {inputs.index(-1)} must be there, it is absent", where=where, hint=schema.BROKEN_HINT
            )
        if schema.numbers(operator.intermediates) and not parser.intermediates:
            raise ModelError(f"{kind} with intermediate tensors is not supported", where=where)
        return inputs, outputs

    def _refuse_others(self, steps: Sequence[Step]) -> None:
        """Operators that know integers only, in models of other element types."""
        types = {i: tensor.dtype.name for i, tensor in self.tensors.items()}
        types |= {i: schema.type_name(raw) for i, raw in enumerate(self.file_tensors)}
        made = {types[step.output] for step in steps}
        for step in steps:
            own = [types.get(i, "") for i in (step.output, *step.inputs)]
            refusal = None if step.parser.floats else not_int8(step.file_kind, own, made)
            if refusal is not None:
                what, hint = refusal
                raise ModelError(what, where=self._place(step.index, step.file_kind), hint=hint)

    def _read_tensors(
        self,
        kinds: list[str],
        wiring: list[tuple[tuple[int, ...], tuple[int, ...]]],
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
    ) -> tuple[str, ...]:
        """Read every tensor that the model uses; what was read differently from what the file says."""
        axes = {ins[1]: _WEIGHTED[kind] for kind, (ins, _) in zip(kinds, wiring, strict=True) if kind in _WEIGHTED}
        reader = self.reader
        reader.axes = axes
        kept = {t for kept in self.variables.kept for t in (kept.read, kept.written) if t is not None}
        used = {*inputs, *outputs, *kept, *(t for ins, outs in wiring for t in (*ins, *outs) if t >= 0)}
        for index in range(len(self.file_tensors)):
            if index in used:
                self.tensors[index] = reader.read(index)
            else:
                reader.check_unused(index)
        for index in inputs:
            reader.check_static(index)
        constants = [self.tensors[i] for ins, _ in wiring for i in ins if i >= 0 and self.tensors[i].data is not None]
        if sum(tensor.size for tensor in constants) > MAX_CONSTANT_ELEMENTS:
            raise ModelError(f"the operators read more than {MAX_CONSTANT_ELEMENTS} elements of constants")
        return (
            *reader.notes,
            *self._unused_codes(),
            *self._beyond_litert(kinds, wiring),
            *self._copied_codes(kinds, wiring),
        )

    def _beyond_litert(self, kinds: list[str], wiring: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[str]:
        """Operators that LiteRT refuses and other runtimes define."""
        return [
            f"op {i} {kind}: on int16 it is computed as TensorFlow Lite Micro does, LiteRT refuses it"
            for i, (kind, (inputs, _)) in enumerate(zip(kinds, wiring, strict=True))
            if kind == "UNIDIRECTIONAL_SEQUENCE_LSTM" and self.tensors[inputs[0]].dtype is DType.INT16
        ]

    def _copied_codes(self, kinds: list[str], wiring: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[str]:
        """Operators that give what they copy another scale, which changes its meaning."""
        notes = []
        for i, (kind, (inputs, outputs)) in enumerate(zip(kinds, wiring, strict=True)):
            if PARSERS[kind].kind != "SLICE" and kind != "SLICE":
                continue
            before, after = self.tensors[inputs[0]].quant, self.tensors[outputs[0]].quant
            if before and after and abs(before.scale - after.scale) > 1e-6:
                notes.append(
                    f"op {i} {kind} copies codes of scale {before.scale:.4g} as such of scale {after.scale:.4g}, "
                    "as LiteRT does: the converter's fault"
                )
        return notes

    def _unused_codes(self) -> list[str]:
        """Operator codes that no operator has and no runtime of today knows: runtimes refuse the file for them."""
        used = {int(operator.opcodeIndex) for operator in self.operators.values()}
        notes = []
        for number, entry in enumerate(self.codes):
            kind = schema.BUILTIN_NAMES.get(schema.builtin_code(entry), "")
            if number not in used and not 1 <= entry.version <= LATEST.get(kind, 0):
                notes.append(f"operator code {number} is of no operator that is known, and is not used")
        return notes

    def _check_order(
        self,
        kinds: list[str],
        wiring: list[tuple[tuple[int, ...], tuple[int, ...]]],
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
    ) -> None:
        """Operators run in the file's order: each reads what is known by then and writes what is not."""
        known = {i: "is constant" for i, tensor in self.tensors.items() if tensor.data is not None}
        for i in inputs:
            if i in known:
                raise ModelError("an input of the model is constant", where=self._tensor_place(i))
            known[i] = "is an input of the model"
        known |= {state.read: "is a state" for state in self.states}
        writers = {
            i: index for index, (_, outs) in reversed(list(zip(self.operators, wiring, strict=True))) for i in outs
        }
        for index, kind, (ins, outs) in zip(self.operators, kinds, wiring, strict=True):
            where = self._place(index, kind)
            for i in ins:
                if i >= 0 and i not in known:
                    raise ModelError(
                        f"{self._tensor_place(i)} is read before any operator writes it"
                        + (f": op {writers[i]} does" if i in writers else ""),
                        where=where,
                        hint="operators run in the file's order; convert the model again",
                    )
            for i in outs:
                if i in known:
                    raise ModelError(
                        f"{self._tensor_place(i)} is written, but {known[i]}", where=where, hint=_COPY_HINT
                    )
                known[i] = f"op {index} writes it, too"
        for i in outputs:
            if i not in writers:
                raise ModelError(
                    "an output of the model is not written by any operator",
                    where=self._tensor_place(i),
                    hint=_COPY_HINT,
                )

    def _steps(
        self,
        kinds: list[str],
        wiring: list[tuple[tuple[int, ...], tuple[int, ...]]],
        outputs: tuple[int, ...],
    ) -> list[Step]:
        """The operators that the graph needs."""
        operators = self.operators.items()
        middle = [self._intermediates(o, self._place(i, kind)) for kind, (i, o) in zip(kinds, operators, strict=True)]
        steps = steps_of(list(self.operators), kinds, wiring, [o.builtinOptions for _, o in operators], middle)
        read = (*outputs, *(state.written for state in self.states))
        left = join_from_end(fold(steps, self.tensors, read), self.tensors, read)
        free = max(len(self.file_tensors), *(i + 1 for i in self.tensors))
        return join_dilated(left, self.tensors, read, free)

    def _ops(self, steps: list[Step]) -> tuple[Op, ...]:
        """The graph's operators, named and read."""
        producer = {step.output: i for i, step in enumerate(steps)}
        named = []
        for step in steps:
            kind, ins = step.file_kind, step.inputs
            weights = self.tensors.get(ins[1]) if len(ins) > 1 else None
            pointwise = weights is not None and weights.shape[1:3] == (1, 1)
            weights_name = weights.name if weights is not None and kind in _WEIGHTED else ""
            named.append(NamedOp(kind, self.tensors[step.output].name, pointwise, producer.get(ins[0]), weights_name))
        ops = []
        for step, name in zip(steps, short_names(named), strict=True):
            context = step.context(f"op {step.index} {step.file_kind} '{name}'", self.tensors)
            attrs = step.parser.parse(context)
            ops.append(Op(step.index, step.kind, name, step.inputs, (step.output, *step.states), attrs))
        return tuple(ops)

    def _intermediates(self, operator: Any, where: str) -> tuple[Quant | None, ...]:
        """How an operator's inner values are quantized."""
        indices = [int(i) for i in schema.numbers(operator.intermediates)]
        if any(not 0 <= i < len(self.file_tensors) for i in indices):
            raise ModelError(
                f"its intermediates name tensors {indices} of {len(self.file_tensors)}",
                where=where,
                hint=schema.BROKEN_HINT,
            )
        return tuple(self.reader.quant(i, (), DType.INT16) for i in indices)

    def _tensor_reader(self, subgraph: int) -> TensorReader:
        return TensorReader(self.content, self.model.subgraphs[subgraph].tensors or [], self.model.buffers or [])

    def _constant(self, subgraph: int, index: int) -> npt.NDArray[Any] | None:
        """Data of a tensor of any subgraph, None where it is no constant."""
        try:
            return self._tensor_reader(subgraph).constant(index)
        except ModelError as error:
            error.where = f"subgraph {subgraph}, {error.where}"
            raise

    def _all_tensors(self) -> tuple[Tensor, ...]:
        """Tensors by the file's indices; one that nothing refers to keeps its name only."""
        of_file = [
            self.tensors.get(i) or Tensor(i, schema.text(raw.name), (), DType.INT8)
            for i, raw in enumerate(self.file_tensors)
        ]
        return (*of_file, *(self.tensors[i] for i in sorted(self.tensors) if i >= len(of_file)))
