"""`.tflite` file -> ir.Graph. Nothing in the file is trusted: what comes out of here is whole and supported.

The file's tree is checked here (indices, buffers, shapes, quantization, order of the operators); options of each
operator in tflite_ops.py; what the operators demand of their tensors in mcuprune/ir/verify.py.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.importers.dilation import join_dilated
from mcuprune.importers.folding import Step, fold, steps_of
from mcuprune.importers.names import NamedOp, short_names
from mcuprune.importers.operators import PARSERS
from mcuprune.importers.packed import INT4, densify, fold_densify, unpack_int4
from mcuprune.importers.signatures import Function, choose_function
from mcuprune.importers.variables import VARIABLE_KINDS, Variables, keep, resolve_variables
from mcuprune.ir.graph import DType, Graph, Op, Quant, State, Tensor
from mcuprune.ir.verify import verify
from mcuprune.tflite import schema

SUPPORTED = tuple(sorted([*PARSERS, *VARIABLE_KINDS]))
MAX_ELEMENTS = 2**28  # of one tensor: 256 MB of int8, far more than any microcontroller holds
MAX_OPERATOR_VERSION = 16  # of any operator of schema version 3; later ones may mean something else

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_DTYPES = {dtype.name: dtype for dtype in DType}
_FLOAT_HINT = "quantize it to int8 first: mcuprune quantize MODEL.keras --data D -o OUT.tflite"


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
    fold_densify(model)
    try:
        function = choose_function(model, signature)
        return _Reader(model, source, hashlib.sha256(content).hexdigest(), function).read()
    except ModelError as error:
        if error.where is None or not error.where.startswith(source):
            error.where = f"{source}, {error.where}" if error.where else source
        raise


class _Reader:
    """One import: the file's tree and what was read from it so far."""

    def __init__(self, model: Any, source: str, sha256: str, function: Function) -> None:
        self.model = model
        self.source = source
        self.sha256 = sha256
        self.function = function
        self.buffers: list[Any] = model.buffers or []
        self.codes: list[Any] = model.operatorCodes or []
        self.file_tensors: list[Any] = []
        self.tensors: dict[int, Tensor] = {}
        self.variables = Variables()
        self.states: tuple[State, ...] = ()

    def read(self) -> Graph:
        subgraph = self.model.subgraphs[self.function.subgraph]
        self.file_tensors = subgraph.tensors or []
        operators = subgraph.operators or []
        if not operators:
            raise ModelError("the model has no operators")
        kinds = [self._kind(i, operator) for i, operator in enumerate(operators)]
        self._check_supported(kinds)
        number = self.function.subgraph
        self.variables = resolve_variables(self.model.subgraphs, number, kinds, self._kind, self._constant)
        operators, kinds = ([one[i] for i in self.variables.operators] for one in (operators, kinds))
        inputs = self._indices(subgraph.inputs, "inputs of the model")
        outputs = tuple(map(self.variables.name, self._indices(subgraph.outputs, "outputs of the model")))
        wiring = [self._wiring(i, kind, operators[i]) for i, kind in enumerate(kinds)]
        kept = [t for kept in self.variables.kept for t in (kept.read, kept.written) if t is not None]
        wires = (t for ins, outs in wiring for t in (*ins, *outs) if t >= 0)
        for index in sorted({*inputs, *outputs, *kept, *wires}):
            self.tensors[index] = self._tensor(index)
        wiring, self.states = keep(
            self.tensors,
            self.variables,
            wiring,
            [PARSERS[kind].states for kind in kinds],
            lambda tensor: bool(self.file_tensors[tensor].isVariable),
            len(self.file_tensors),
        )
        self._check_order(kinds, wiring, inputs, outputs)
        steps = self._steps(kinds, wiring, operators, outputs)
        self._refuse_float(step for _, step in steps)
        ops = self._ops(steps)
        function = self.function
        graph = Graph(
            self._all_tensors(),
            ops,
            inputs,
            outputs,
            self.sha256,
            self.source,
            self.states,
            function.signature,
            function.subgraph,
        )
        verify(graph)
        return graph

    # operators and their wires

    def _kind(self, index: int, operator: Any) -> str:
        code = int(operator.opcodeIndex)
        if not 0 <= code < len(self.codes):
            raise ModelError(f"operator code {code} is not in the file's {len(self.codes)}", where=f"op {index}")
        entry = self.codes[code]
        if entry.customCode:
            return f"CUSTOM '{schema.text(entry.customCode)}'"
        builtin = schema.builtin_code(entry)
        if not 1 <= entry.version <= MAX_OPERATOR_VERSION:
            raise ModelError(f"version {entry.version} of an operator is not supported", where=f"op {index}")
        return schema.BUILTIN_NAMES.get(builtin, f"number {builtin}")

    def _check_supported(self, kinds: list[str]) -> None:
        for index, kind in enumerate(kinds):
            if kind not in SUPPORTED:
                others = len({k for k in kinds if k not in SUPPORTED}) - 1
                more = f" (and {others} more kinds)" if others else ""
                raise ModelError(
                    f"operator {kind}{more} is not supported",
                    where=f"op {index}",
                    hint="supported: " + ", ".join(SUPPORTED),
                )

    def _indices(self, vector: Any, what: str, optional: bool = False) -> tuple[int, ...]:
        indices = tuple(int(i) for i in schema.numbers(vector))
        for i in indices:
            if not (0 <= i < len(self.file_tensors) or (optional and i == -1)):
                raise ModelError(f"{what} name tensor {i}, the file has {len(self.file_tensors)}")
        if not indices:
            raise ModelError(f"there are no {what}")
        if not optional and len(set(indices)) != len(indices):
            raise ModelError(f"{what} name a tensor twice")
        return indices

    def _wiring(self, index: int, kind: str, operator: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        where = f"op {index} {kind}"
        inputs = tuple(map(self.variables.name, self._indices(operator.inputs, f"inputs of {where}", optional=True)))
        outputs = self._indices(operator.outputs, f"outputs of {where}")
        parser = PARSERS[kind]
        low, high = parser.inputs
        if not low <= len(inputs) <= (high or len(inputs)) or (len(outputs) != 1 and not parser.splits):
            raise ModelError(f"{len(inputs)} inputs and {len(outputs)} outputs do not fit {kind}", where=where)
        if any(i < 0 for i in inputs[:low]) or (schema.numbers(operator.intermediates) and not parser.intermediates):
            raise ModelError("an input that must be there is absent", where=where)
        return inputs, outputs

    def _refuse_float(self, steps: Iterable[Step]) -> None:
        for step in steps:
            kind, inputs = step.file_kind, step.inputs
            types = (self._type_name(inputs[0]), self._type_name(step.output))
            if "FLOAT32" in types and not step.parser.floats:
                dynamic = any(i >= 0 and self._type_name(i) == "INT8" for i in inputs)
                what = "has int8 weights but float activations (dynamic range)" if dynamic else "is a float model"
                raise ModelError(
                    f"this {what}: {kind} computes in float32", where=f"op {step.index} {kind}", hint=_FLOAT_HINT
                )

    def _check_order(
        self,
        kinds: list[str],
        wiring: list[tuple[tuple[int, ...], tuple[int, ...]]],
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
    ) -> None:
        constant = {i for i, tensor in self.tensors.items() if tensor.data is not None}
        if set(inputs) & constant:
            raise ModelError(f"input tensor {min(set(inputs) & constant)} of the model is constant")
        written = {*inputs, *(state.read for state in self.states)}
        produced: set[int] = set()
        for index, (ins, outs) in enumerate(wiring):
            where = f"op {index} {kinds[index]}"
            for i in ins:
                if i >= 0 and i not in written and i not in constant:
                    raise ModelError(f"tensor {i} is read before any operator writes it", where=where)
            for i in outs:
                if i in written or i in constant:
                    raise ModelError(f"tensor {i} is written twice, or is constant or an input", where=where)
                written.add(i)
            produced.update(outs)
        for i in outputs:
            if i not in produced:
                raise ModelError(f"output tensor {i} of the model is not written by any operator")

    def _steps(
        self,
        kinds: list[str],
        wiring: list[tuple[tuple[int, ...], tuple[int, ...]]],
        operators: list[Any],
        outputs: tuple[int, ...],
    ) -> list[tuple[int, Step]]:
        """The operators that the graph needs, numbered as in the file."""
        middle = [self._intermediates(o, f"op {i} {kinds[i]}") for i, o in enumerate(operators)]
        steps = steps_of(kinds, wiring, [o.builtinOptions for o in operators], middle)
        read = (*outputs, *(state.written for state in self.states))
        return join_dilated(fold(steps, self.tensors, read), self.tensors, read)

    def _ops(self, steps: list[tuple[int, Step]]) -> tuple[Op, ...]:
        """The graph's operators, named and read."""
        producer = {step.output: i for i, (_, step) in enumerate(steps)}
        named = []
        for _, step in steps:
            kind, ins = step.kind, step.inputs
            weights = self.tensors.get(ins[1]) if len(ins) > 1 else None
            pointwise = weights is not None and weights.shape[1:3] == (1, 1)
            weights_name = weights.name if weights is not None and kind in _WEIGHTED else ""
            named.append(NamedOp(kind, self.tensors[step.output].name, pointwise, producer.get(ins[0]), weights_name))
        ops = []
        for (number, step), name in zip(steps, short_names(named), strict=True):
            context = step.context(f"op {step.index} {step.file_kind} '{name}'", self.tensors)
            ops.append(
                Op(number, step.kind, name, step.inputs, (step.output, *step.states), step.parser.parse(context))
            )
        return tuple(ops)

    def _intermediates(self, operator: Any, where: str) -> tuple[Quant | None, ...]:
        """How an operator's inner values are quantized."""
        indices = [int(i) for i in schema.numbers(operator.intermediates)]
        if any(not 0 <= i < len(self.file_tensors) for i in indices):
            raise ModelError(f"its intermediates name tensors {indices} of {len(self.file_tensors)}", where=where)
        return tuple(self._quant(self.file_tensors[i].quantization, (), DType.INT16, where) for i in indices)

    # tensors

    def _constant(self, subgraph: int, index: int) -> npt.NDArray[Any] | None:
        """Data of a tensor of any subgraph, None where it is no constant."""
        raw = self.model.subgraphs[subgraph].tensors[index]
        where = f"subgraph {subgraph}, tensor {index} '{schema.text(raw.name)}'"
        dtype = _DTYPES.get(schema.TENSOR_TYPE_NAMES.get(int(raw.type), ""))
        return None if dtype is None else self._data(raw, self._shape(raw, where), dtype, where)

    def _type_name(self, index: int) -> str:
        number = int(self.file_tensors[index].type)
        return schema.TENSOR_TYPE_NAMES.get(number, f"number {number}")

    def _tensor(self, index: int) -> Tensor:
        raw = self.file_tensors[index]
        name = schema.text(raw.name)
        where = f"tensor {index} '{name}'"
        packed = self._type_name(index) == INT4
        dtype = DType.INT8 if packed else _DTYPES.get(self._type_name(index))
        if dtype is None:
            raise ModelError(f"element type {self._type_name(index)} is not supported, only int8", where=where)
        shape = self._shape(raw, where)
        data = self._data(raw, shape, dtype, where, packed)
        if packed and data is None:
            raise ModelError("int4 is supported in constants only", where=where)
        return Tensor(index, name, shape, dtype, self._quant(raw.quantization, shape, dtype, where), data)

    def _shape(self, raw: Any, where: str) -> tuple[int, ...]:
        shape = tuple(int(n) for n in schema.numbers(raw.shape))
        if any(n <= 0 for n in shape):
            raise ModelError(f"shape {shape} is not positive", where=where)
        if math.prod(shape) > MAX_ELEMENTS or len(shape) > 8:
            raise ModelError(f"shape {shape} is too large", where=where)
        return shape

    def _data(
        self, raw: Any, shape: tuple[int, ...], dtype: DType, where: str, packed: bool = False
    ) -> npt.NDArray[Any] | None:
        number = int(raw.buffer)
        if not 0 <= number < len(self.buffers):
            raise ModelError(f"buffer {number} is not in the file's {len(self.buffers)}", where=where)
        buffer = self.buffers[number]
        if buffer.offset or buffer.size:
            raise ModelError("data outside of the flatbuffer are not supported", where=where)
        if buffer.data is None or len(buffer.data) == 0:
            return None
        content = bytes(buffer.data)
        data = self._values(content, raw.sparsity, shape, dtype, where, packed)
        data.flags.writeable = False
        return data

    def _values(
        self, content: bytes, sparsity: Any, shape: tuple[int, ...], dtype: DType, where: str, packed: bool
    ) -> npt.NDArray[Any]:
        if packed and sparsity is not None:
            raise ModelError("sparse int4 is not supported", where=where)
        if packed:
            return unpack_int4(content, shape, where)
        if sparsity is not None:
            return densify(content, sparsity, shape, dtype.numpy, where)
        wanted = math.prod(shape) * dtype.itemsize
        if len(content) != wanted:
            raise ModelError(f"{len(content)} bytes of data, {dtype.value} {shape} needs {wanted}", where=where)
        return np.frombuffer(content, dtype.numpy).reshape(shape)

    def _quant(self, raw: Any, shape: tuple[int, ...], dtype: DType, where: str) -> Quant | None:
        scales = tuple(float(s) for s in schema.numbers(raw.scale)) if raw is not None else ()
        if not scales or dtype is DType.FLOAT32:
            return None
        if raw.details is not None:
            raise ModelError("custom quantization is not supported", where=where)
        zero_points = tuple(int(z) for z in schema.numbers(raw.zeroPoint))
        if len(zero_points) != len(scales):
            raise ModelError(f"{len(scales)} scales but {len(zero_points)} zero points", where=where)
        for scale in scales:
            if not 0.0 < scale < math.inf:
                raise ModelError(f"scale {scale!r} is not a positive number", where=where)
        low, high = dtype.limits
        for zero_point in zero_points:
            if not low <= zero_point <= high:
                raise ModelError(f"zero point {zero_point} is not in {low}..{high}", where=where)
        if len(scales) == 1:
            return Quant(scales, zero_points)
        axis = int(raw.quantizedDimension)
        if not 0 <= axis < len(shape) or shape[axis] != len(scales):
            raise ModelError(f"{len(scales)} scales along dimension {axis} of shape {shape}", where=where)
        return Quant(scales, zero_points, axis)

    def _all_tensors(self) -> tuple[Tensor, ...]:
        """Tensors by the file's indices; one that nothing refers to keeps its name only."""
        of_file = [
            self.tensors.get(i) or Tensor(i, schema.text(raw.name), (), DType.INT8)
            for i, raw in enumerate(self.file_tensors)
        ]
        return (*of_file, *(self.tensors[i] for i in sorted(self.tensors) if i >= len(of_file)))
