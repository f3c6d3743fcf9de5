"""What a plan means, replayed byte by byte: an arena of tokens, operators that read, spoil and write.

Nothing of mcuprune.plan is called here but what a Plan says: where each tensor lies, what is written over what, which
inputs need no copy. Each tensor's bytes are tokens of its own; those of a reshaped or concatenated tensor are its
inputs'. An operator first spoils its workspace and its output, then its inputs must still be whole.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from math import prod

from mcuprune.ir.attributes import Attrs, NoAttrs
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.plan.arena import Plan

Token = tuple[int, int]
QUANT = Quant((0.1,), (0,))


@dataclass(frozen=True, slots=True)
class JoinAttrs(Attrs):
    """Of a CONCATENATION."""

    axis: int


@dataclass(frozen=True, slots=True)
class Case:
    """A graph and how its operators use memory."""

    graph: Graph
    workspaces: dict[int, int]
    in_place: frozenset[int]
    streamed: dict[int, int]


class Maker:
    """Tensors and operators one after the other."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def tensor(self, *shape: int, quant: Quant = QUANT, constant: bool = False) -> int:
        index = len(self.tensors)
        data = DType.INT8.numpy.type(0).repeat(prod(shape)).reshape(shape) if constant else None
        self.tensors.append(Tensor(index, f"t{index}", shape, DType.INT8, quant, data))
        return index

    def op(self, kind: str, inputs: Collection[int], output: int, attrs: Attrs | None = None) -> int:
        step = len(self.ops)
        self.ops.append(Op(step, kind, f"op{step}", tuple(inputs), (output,), attrs or NoAttrs()))
        return output

    def concatenation(self, inputs: Collection[int], axis: int = 1) -> int:
        """Along an axis of tensors of equal rank."""
        shape = list(self.tensors[next(iter(inputs))].shape)
        shape[axis] = sum(self.tensors[i].shape[axis] for i in inputs)
        return self.op("CONCATENATION", inputs, self.tensor(*shape), JoinAttrs(axis))

    def graph(self, inputs: Collection[int], outputs: Collection[int]) -> Graph:
        return Graph(tuple(self.tensors), tuple(self.ops), tuple(inputs), tuple(outputs), "", "made.tflite")


def random_case(rng: random.Random, count: int, *, joins: bool = True, streams: bool = True) -> Case:
    """A graph of `count` operators that mostly read what was made lately; some in place, some by turns."""
    m = Maker()
    inputs = [m.tensor(1, rng.randint(1, 90)) for _ in range(rng.randint(1, 3))]
    made = list(inputs)
    for _ in range(count):
        lately = made[-rng.choice((1, 2, 3, 8)) :]
        source = rng.choice(lately)
        size = m.tensors[source].size
        kind = rng.choice(("RELU", "RELU", "ADD", "CONV", "CONV", "RESHAPE") + ("CONCATENATION",) * 3 * joins)
        if kind == "CONCATENATION":
            made.append(_random_concatenation(rng, m, made))
        elif kind == "RESHAPE":
            made.append(m.op(kind, (source,), m.tensor(1, 1, size)))
        elif kind == "ADD":
            made.append(m.op(kind, (source, rng.choice(made)), m.tensor(1, size)))
        else:
            result = size if kind == "RELU" else rng.choice((4, 16, 40, rng.randint(1, 120)))
            made.append(m.op(kind, (source, -1), m.tensor(1, result)))
    read = {t for op in m.ops for t in op.inputs}
    outputs = [t for t in made if t not in read] + [t for t in made if t in read and rng.random() < 0.05]
    graph = m.graph(inputs, outputs)
    workspaces = {step: rng.randint(0, 60) for step in range(count) if rng.random() < 0.4}
    in_place = frozenset(i for i, op in enumerate(m.ops) if op.kind in ("RELU", "ADD") or rng.random() < 0.1)
    return Case(graph, workspaces, in_place, _random_streams(rng, graph) if streams else {})


def _random_concatenation(rng: random.Random, m: Maker, made: list[int]) -> int:
    """Of things made, of constants, of the same tensor twice; of whole rows, where nothing can lie in place."""
    chosen = [rng.choice(made[-6:]) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.3:
        chosen[rng.randrange(len(chosen))] = m.tensor(1, rng.randint(1, 9), constant=True)
    flat = [m.tensors[t].size for t in chosen]
    if rng.random() < 0.2 and len(set(flat)) == 1:
        return m.op("CONCATENATION", chosen, m.tensor(flat[0], len(flat)), JoinAttrs(1))
    return m.op("CONCATENATION", chosen, m.tensor(1, sum(flat)), JoinAttrs(rng.choice((1, -1))))


def _random_streams(rng: random.Random, graph: Graph) -> dict[int, int]:
    """Tensors of which only some rows exist: made and read once, by neighbours that compute."""
    found: dict[int, int] = {}
    for maker, reader in zip(graph.ops, graph.ops[1:], strict=False):
        tensor = maker.outputs[0]
        readers = sum(op.inputs.count(tensor) for op in graph.ops)
        alone = readers == 1 and tensor in reader.inputs and tensor not in graph.outputs
        if alone and {maker.kind, reader.kind} == {"CONV"} and rng.random() < 0.4:
            found[tensor] = max(1, graph.tensors[tensor].nbytes // 3)
    return found


def replay(case: Case, plan: Plan) -> None:
    """Run the plan; an assertion fails where a byte is lost, misplaced, or outside of the arena."""
    _Machine(case, plan).run()


class _Machine:
    def __init__(self, case: Case, plan: Plan) -> None:
        self.case, self.plan, self.graph = case, plan, case.graph
        self.content: dict[int, list[Token]] = {}
        self.memory: dict[tuple[str, int], Token | None] = {}
        self.kept = [state.read for state in self.graph.states]
        self.computed = {*self.graph.inputs, *self.kept, *(t for op in self.graph.ops for t in op.outputs)}

    def run(self) -> None:
        for tensor in (*self.graph.inputs, *self.kept):
            self.write(tensor, self.own(tensor))
        steps = iter(range(len(self.graph.ops)))
        for step in steps:
            turns = [step]
            while self.graph.ops[turns[-1]].outputs[0] in self.case.streamed:
                turns.append(next(steps))
            if len(turns) > 1:
                self.by_turns(turns)
            else:
                self.step(step)
        for tensor in self.graph.outputs:
            self.read(tensor, "a result")
        for copy in self.plan.state.copies:  # in their order: what one writes, no later one reads
            self.read(copy.tensor, "a new value")
            self.write_state(copy.offset, self.content[copy.tensor])

    def own(self, tensor: int) -> list[Token]:
        return [(tensor, i) for i in range(self.graph.tensors[tensor].nbytes)]

    def place(self, tensor: int) -> tuple[str, int]:
        """Which memory a tensor lies in, and where."""
        if tensor in self.plan.state.offsets:
            return "state", self.plan.state.offsets[tensor]
        return "arena", self.plan.tensors[tensor]

    def put(self, room: str, start: int, tokens: list[Token] | list[None]) -> None:
        size = self.plan.state.size if room == "state" else self.plan.arena_bytes
        assert start >= 0 and start % 4 == 0 and start + len(tokens) <= size, (room, start, len(tokens), size)
        self.memory.update({(room, start + i): token for i, token in enumerate(tokens)})

    def write(self, tensor: int, tokens: list[Token]) -> None:
        self.put(*self.place(tensor), tokens)
        self.content[tensor] = tokens

    def write_state(self, offset: int, tokens: list[Token]) -> None:
        self.put("state", offset, tokens)

    def read(self, tensor: int, why: object) -> None:
        room, start = self.place(tensor)
        seen = [self.memory.get((room, start + i)) for i in range(len(self.content[tensor]))]
        assert seen == self.content[tensor], (why, self.graph.tensors[tensor].name)

    def sources(self, step: int) -> list[int]:
        return [t for t in self.graph.ops[step].inputs if t in self.computed]

    def spoil(self, step: int, size: int) -> None:
        """Write over a workspace and the first bytes of an output."""
        room, start = self.place(self.graph.ops[step].outputs[0])
        self.put(room, start, [None] * size)
        self.spoil_workspace(step)

    def spoil_workspace(self, step: int) -> None:
        if self.case.workspaces.get(step):
            self.put("arena", self.plan.workspaces[step], [None] * self.case.workspaces[step])

    def step(self, step: int) -> None:
        op = self.graph.ops[step]
        output = op.outputs[0]
        for tensor in self.sources(step):
            self.read(tensor, op)
        if op.kind == "RESHAPE":
            assert self.place(output) == self.place(op.inputs[0])
            self.spoil_workspace(step)
            self.content[output] = self.content[op.inputs[0]]
            self.read(output, op)
            return
        tokens = self.own(output)
        if op.kind == "CONCATENATION" and self.graph.tensors[output].shape[0] == 1:
            tokens = self.concatenate(step)
        else:
            assert not any(made == step for made, _ in self.plan.inside)
            self.spoil(step, len(tokens))
        self.spoil_workspace(step)
        over = [t for t in self.sources(step) if self.place(t) == self.place(output)]
        for tensor in self.sources(step):
            if step in self.plan.in_place and tensor in over:
                assert step in self.case.in_place and len(tokens) <= self.graph.tensors[tensor].nbytes
            else:
                self.read(tensor, op)
        assert step not in self.plan.in_place or over
        self.write(output, tokens)
        if self.case.workspaces.get(step):  # a workspace is apart from the output
            self.spoil_workspace(step)
            self.read(output, op)

    def concatenate(self, step: int) -> list[Token]:
        """The joined contents; what is claimed to be in its place is, and only the rest of the output is written."""
        op = self.graph.ops[step]
        room, start = self.place(op.outputs[0])
        tokens: list[Token] = []
        for place, tensor in enumerate(op.inputs):
            part = self.content.get(tensor) or self.own(tensor)
            if (step, place) in self.plan.inside:
                assert self.place(tensor) == (room, start + len(tokens)), (op, place)
            else:
                self.memory.update({(room, start + len(tokens) + i): None for i in range(len(part))})
            tokens = tokens + part
        return tokens

    def by_turns(self, turns: list[int]) -> None:
        """Operators as one: what they read stays until all is done, what they make lies apart."""
        streamed = [self.graph.ops[step].outputs[0] for step in turns[:-1]]
        outside = [t for step in turns for t in self.sources(step) if t not in streamed]
        spans = [(self.plan.tensors[t], self.case.streamed[t]) for t in streamed]
        for step in turns:
            assert step not in self.plan.in_place
            self.spoil_workspace(step)
        for start, size in spans:
            self.put("arena", start, [None] * size)
        last = self.graph.ops[turns[-1]].outputs[0]
        self.spoil(turns[-1], self.graph.tensors[last].nbytes)
        for tensor in outside:
            self.read(tensor, turns)
        scratch = [(self.plan.workspaces[s], self.case.workspaces[s]) for s in turns if self.case.workspaces.get(s)]
        made = [*spans, (self.plan.tensors[last], self.graph.tensors[last].nbytes)]
        for i, (start, size) in enumerate(made):
            for other, length in (*made[i + 1 :], *scratch):
                assert start + size <= other or other + length <= start, turns
        self.write(last, self.own(last))


def largest_live_set(case: Case) -> int:
    """Of a case without streams: the largest sum, over steps, of what must exist there with nothing sharing memory."""
    graph = case.graph
    root = {t: t for t in graph.inputs}
    for op in graph.ops:
        root[op.outputs[0]] = root[op.inputs[0]] if op.kind == "RESHAPE" else op.outputs[0]
    most = 0
    for step in range(-1, len(graph.ops) + 1):
        before = {root[t] for t in graph.inputs} | {root[op.outputs[0]] for op in graph.ops[: step + 1]}
        after = {root[t] for op in graph.ops[max(step, 0) :] for t in op.inputs if t in root}
        after |= {root[t] for t in graph.outputs}
        now = {root[graph.ops[step].outputs[0]]} if 0 <= step < len(graph.ops) else set()
        words = [-(-graph.tensors[t].nbytes // 4) * 4 for t in (before & after) | now]
        most = max(most, sum(words) + -(-case.workspaces.get(step, 0) // 4) * 4)
    return most
