"""Models made smaller: channels that pruning emptied leave, and what they added goes into biases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from mcuprune.errors import ModelError
from mcuprune.sparsity.shrink.flow import Bools, Flow, Plan, Shape, Site
from mcuprune.sparsity.shrink.rules import CONVS, DEPTHWISES, SEPARABLES, apply_layer, numbers

_L = keras.layers


@dataclass(frozen=True, slots=True)
class LayerChannels:
    """Output channels of a layer: how many there were, how many of them had a kernel of zeros, how many left.

    note: why dead ones stay.
    """

    name: str
    op: str
    channels: int
    dead: int
    removed: int
    note: str


@dataclass(frozen=True, slots=True)
class ShrinkReport:
    """What left a model. exact: outputs are equal up to the rounding of float32; parameters: all variables."""

    layers: tuple[LayerChannels, ...]
    parameters_before: int
    parameters_after: int
    exact: bool

    @property
    def removed(self) -> int:
        """Channels that left, of all layers."""
        return sum(layer.removed for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "layers": [asdict(layer) for layer in self.layers]}


def shrink_channels(model: Any, *, exact: bool = True) -> tuple[Any, ShrinkReport]:
    """A new model without the channels that nothing needs, and a report; the model itself stays as it is.

    A channel leaves where its kernel is zero, so that it is one constant, act(BN(bias)), or where nothing reads it. The
    constant goes into the biases of the layers that read it; a layer without a bias gets one. Channels stay where a
    layer pads its input with zeros and the constant is not zero (the border would differ), where a sum joins them with
    others that live, and in front of layers that this module does not know. Every layer keeps one channel.

    Args:
        model: a built Sequential or Functional Keras model, channels last; with such models inside it, if they have one
            input and one output.
        exact: False lets constants go that are not zero where zeros are padded: positions at the border change.
    Raises:
        ModelError: the model is subclassed, or not built.
    """
    graph = _graph(model)
    plan = Plan(exact)
    inputs = [plan.pinned(_shape(tensor), "it is an input of the model") for tensor in graph.inputs]
    for flow in _walk(plan, graph, inputs):
        plan.ties.fix(flow.groups, "it is an output of the model")
    plan.decide()
    made = _rebuild(model, plan)
    report = ShrinkReport(tuple(_reports(plan)), model.count_params(), made.count_params(), exact)
    return made, report


def _graph(model: Any) -> Any:
    """The graph of a Functional or Sequential model.

    Raises:
        ModelError: it has none.
    """
    graph = getattr(model, "_functional", None) if isinstance(model, keras.Sequential) else model
    if not getattr(model, "built", False) or not hasattr(graph, "_nodes_by_depth"):
        raise ModelError(
            f"'{getattr(model, 'name', model)}' ({type(model).__name__}) has no graph of layers",
            hint="channels can leave built Sequential and Functional models; a subclassed model only keeps its zeros",
        )
    return graph


def _walk(plan: Plan, graph: Any, inputs: Sequence[Flow]) -> list[Flow]:
    """Follow channels through a graph; those of its outputs."""
    flows = {id(tensor): flow for tensor, flow in zip(graph.inputs, inputs, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            sources = [flows[id(tensor)] for tensor in node.input_tensors]
            results = _call(plan, node, sources)
            flows.update((id(tensor), flow) for tensor, flow in zip(node.outputs, results, strict=True))
    return [flows[id(tensor)] for tensor in graph.outputs]


def _call(plan: Plan, node: Any, sources: Sequence[Flow]) -> list[Flow]:
    layer = node.operation
    if _is_simple_model(layer) and len(sources) == 1:
        return _walk(plan, _graph(layer), sources)
    return apply_layer(plan, layer, sources, [_shape(tensor) for tensor in node.outputs])


def _is_simple_model(layer: Any) -> bool:
    """Whether a layer is a model whose layers can be looked at: one input, one output, a graph."""
    graph: Any = getattr(layer, "_functional", None) if isinstance(layer, keras.Sequential) else layer
    return hasattr(graph, "_nodes_by_depth") and len(graph.inputs) == len(graph.outputs) == 1


def _shape(tensor: Any) -> Shape:
    return tuple(None if n is None else int(n) for n in tensor.shape)


# the new model


def _rebuild(model: Any, plan: Plan) -> Any:
    """The model again, each layer with the channels that it keeps."""
    sites = {id(site.layer): site for site in reversed(plan.sites)}
    pairs: list[tuple[Any, Any]] = []

    def clone(layer: Any) -> Any:
        if not isinstance(layer, keras.Layer):
            return layer  # an operation such as a sum: it has no state
        config, site = layer.get_config(), sites.get(id(layer))
        if site is not None:
            config |= _settings(plan, site)
        made = type(layer).from_config(config)
        pairs.append((layer, made))
        return made

    result = keras.models.clone_model(model, clone_function=clone, recursive=True)
    for layer, made in pairs:
        site = sites.get(id(layer))
        values = {} if site is None else _values(plan, site)
        for old, new in zip(_own_variables(layer, made), made.variables, strict=True):
            value = values.get(new.name)
            new.assign(keras.ops.convert_to_numpy(old) if value is None else value)
    return result


def _own_variables(layer: Any, made: Any) -> list[Any]:
    """The old variables in the order of the new ones; a bias that is new stands for itself."""
    old = {variable.name: variable for variable in layer.variables}
    if len(layer.variables) == len(made.variables):
        return list(layer.variables)
    return [old.get(variable.name, variable) for variable in made.variables]


def _settings(plan: Plan, site: Site) -> dict[str, Any]:
    """What changes in a layer's config."""
    layer, kept = site.layer, int(plan.kept(site.result).sum())
    kind = type(layer)
    if kind is _L.Reshape:
        return {"target_shape": (*_target(site), kept)}
    if kind in (*CONVS, *SEPARABLES):
        return {"filters": kept, "use_bias": _has_bias(plan, site)}
    if kind is _L.Dense:
        return {"units": kept, "use_bias": _has_bias(plan, site)}
    return {}


def _target(site: Site) -> tuple[int, ...]:
    """The axes of a Reshape before the last; at most one may be open."""
    return tuple(-1 if n is None else n for n in site.result.shape[1:-1])


def _has_bias(plan: Plan, site: Site) -> bool:
    return bool(site.layer.use_bias or plan.shift(site)[plan.kept(site.result)].any())


def _values(plan: Plan, site: Site) -> dict[str, Any]:
    """New values of a layer's variables, by name."""
    layer, ins, outs = site.layer, plan.kept(site.source), plan.kept(site.result)
    kind = type(layer)
    if kind in SEPARABLES:
        middle = np.repeat(ins, layer.depth_multiplier)
        values = {
            "depthwise_kernel": _of(layer.depthwise_kernel)[..., ins, :],
            "pointwise_kernel": _of(layer.pointwise_kernel)[..., middle, :][..., outs],
        }
    elif kind in DEPTHWISES:
        values = {"kernel": _of(layer.kernel)[..., ins, :]}
        return values | ({"bias": _of(layer.bias)[outs]} if layer.use_bias else {})
    elif kind is _L.BatchNormalization:
        return {variable.name: _of(variable)[outs] for variable in layer.variables}
    elif site.mix is None:
        return {}
    else:
        values = {"kernel": _of(layer.kernel)[..., ins, :][..., outs]}
    if _has_bias(plan, site):
        bias = numbers(layer.bias) if layer.use_bias else np.zeros(len(outs))
        values["bias"] = (bias + plan.shift(site))[outs].astype(np.float32)
    return values


def _of(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable)


# the report


def _reports(plan: Plan) -> Iterator[LayerChannels]:
    """One for each layer with a kernel, in the model's order."""
    seen: set[int] = set()
    for site in plan.sites:
        if id(site.layer) in seen or not (site.mix is not None or type(site.layer) in DEPTHWISES):
            continue
        seen.add(id(site.layer))
        kept, dead = plan.kept(site.result), _dead_rows(site)
        stuck = plan.ties.roots(site.result.groups[kept & dead])
        reasons = dict.fromkeys(plan.reasons[int(root)] for root in stuck)
        note = f"{len(stuck)} dead stay: {'; '.join(reason for reason in reasons if reason)}" if len(stuck) else ""
        name, kind = site.layer.name, type(site.layer).__name__
        yield LayerChannels(name, kind, len(kept), int(dead.sum()), int((~kept).sum()), note)


def _dead_rows(site: Site) -> Bools:
    """Output channels whose kernel is zero."""
    if site.mix is not None:
        used = site.mix.used
    else:
        kernel = numbers(site.layer.kernel)
        used = (kernel != 0).reshape(-1, kernel.shape[-2] * kernel.shape[-1])
    return np.logical_not(used.any(axis=0))
