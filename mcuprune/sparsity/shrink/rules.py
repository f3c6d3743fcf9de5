"""What each kind of Keras layer does with channels. Layers that are not listed need and give all of theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from mcuprune.sparsity.shrink.flow import Floats, Flow, Mix, Plan, Shape, Site, padding_reason

_L = keras.layers

CONVS = (_L.Conv1D, _L.Conv2D, _L.Conv3D)
SEPARABLES = (_L.SeparableConv1D, _L.SeparableConv2D)
MIXING = (*CONVS, *SEPARABLES, _L.Dense)
DEPTHWISES = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
_SAME_VALUE = (
    *(_L.MaxPooling1D, _L.MaxPooling2D, _L.MaxPooling3D, _L.AveragePooling1D, _L.AveragePooling2D),
    *(_L.AveragePooling3D, _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.GlobalMaxPooling3D),
    *(_L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D, _L.GlobalAveragePooling3D),
    *(_L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D, _L.GaussianNoise, _L.GaussianDropout),
    *(_L.ActivityRegularization, _L.Identity, _L.Cropping1D, _L.Cropping2D, _L.Cropping3D),
    *(_L.UpSampling1D, _L.UpSampling2D, _L.UpSampling3D),
)
"""Layers that give a constant channel back as it was (padding of a pooling does not count)."""
_ELEMENTWISE = (_L.ReLU, _L.LeakyReLU, _L.ELU)
_PADDINGS = (_L.ZeroPadding1D, _L.ZeroPadding2D, _L.ZeroPadding3D)
_ACTIVATIONS = frozenset(
    [
        *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu"),
        *("linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softplus"),
        *("softsign", "squareplus", "tanh", "tanh_shrink", "threshold"),
    ]
)
"""Activations that look at one channel alone; softmax does not."""

Rule = Callable[[Plan, Any, Sequence[Flow], Shape], Flow]


def apply_layer(plan: Plan, layer: Any, sources: Sequence[Flow], shapes: Sequence[Shape]) -> list[Flow]:
    """The outputs (of these shapes) of one call of a layer or operation."""
    kind = kind_of(layer)
    if kind in _RULES and len(shapes) == 1 and _usual(layer, kind, sources):
        return [_RULES[kind](plan, layer, sources, shapes[0])]
    name = f"'{layer.name}' ({type(layer).__name__})"
    for source in sources:
        plan.ties.fix(source.groups, f"{name} needs every channel")
    return [plan.pinned(shape, f"{name} gives every channel") for shape in shapes]


def kind_of(layer: Any) -> type:
    """A layer's class; for `a + b` and the like the class of the layer that does the same."""
    kind = type(layer)
    if not isinstance(layer, keras.Layer) and kind.__module__.startswith("keras."):
        return next((merge for merge in _MERGES if merge.__name__ == kind.__name__), kind)
    return kind


def _usual(layer: Any, kind: type, sources: Sequence[Flow]) -> bool:
    """Whether channels are last, known, and neither parted nor quantized, and the layer keeps to them."""
    return (
        bool(sources)
        and all(source.count for source in sources)
        and getattr(layer, "data_format", None) != "channels_first"
        and getattr(layer, "groups", 1) == 1
        and not getattr(layer, "lora_enabled", False)
        and getattr(layer, "quantization_mode", None) is None
        and (kind in MIXING or _alone(getattr(layer, "activation", None)))
        and (kind not in _MERGES or len(sources) > 1)
    )


def _alone(activation: Any) -> bool:
    """Whether an activation looks at one channel alone."""
    if activation is None:
        return True
    return getattr(activation, "__name__", "") in _ACTIVATIONS and activation is keras.activations.get(
        activation.__name__
    )


# layers that mix channels


def _mixing(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    """Convolutions and Dense. An output that reads nothing but constants is one."""
    (source,) = sources
    mix = mix_of(layer, source.shape)
    known = ~np.isnan(source.values)
    border = plan.border(mix.pads, source.values)
    reads_live = mix.used[~known].any(axis=0)
    reads_border = mix.used[border].any(axis=0)
    totals = np.where(known, source.values, 0.0) @ mix.sums + _bias(layer, mix.sums.shape[1])
    values = _activate(layer.activation, np.where(reads_live | reads_border, np.nan, totals))
    why: dict[int, str] = {}
    if border.any():
        why = {int(o): padding_reason(layer) for o in np.flatnonzero(reads_border & ~reads_live)}
    if _alone(layer.activation):
        result = plan.fresh(shape, values, why)
    else:
        result = plan.pinned(shape, f"the activation of '{layer.name}' needs every channel")
    plan.sites.append(Site(layer, source, result, mix))
    return result


def mix_of(layer: Any, shape: Shape) -> Mix:
    """A mixing layer's weights, summed over the positions of its kernel."""
    if type(layer) in SEPARABLES:
        spatial = tuple(range(layer.depthwise_kernel.ndim - 2))
        depthwise, pointwise = numbers(layer.depthwise_kernel), numbers(layer.pointwise_kernel)
        inputs, outputs = depthwise.shape[-2], pointwise.shape[-1]
        split = pointwise.reshape(inputs, -1, outputs)
        sums = np.einsum("im,imo->io", depthwise.sum(axis=spatial), split)
        used = ((depthwise != 0).any(axis=spatial)[:, :, None] & (split != 0)).any(axis=1)
        return Mix(sums, used, pads_input(layer, shape))
    kernel = numbers(layer.kernel)
    spatial = tuple(range(kernel.ndim - 2))
    return Mix(kernel.sum(axis=spatial), (kernel != 0).any(axis=spatial), pads_input(layer, shape))


def pads_input(layer: Any, shape: Shape) -> bool:
    """Whether a layer sets zeros around an input of this shape."""
    padding = getattr(layer, "padding", "valid")
    if padding == "valid":
        return False
    for size, kernel, stride, dilation in zip(
        shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach = (kernel - 1) * dilation + 1
        steps = None if size is None else math.ceil(size / stride)
        if reach > 1 and (padding == "causal" or size is None or steps is None):
            return True
        if size is not None and steps is not None and (steps - 1) * stride + reach > size:
            return True
    return False


# layers that keep channels apart


def _depthwise(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    """Each input channel with its own outputs, which leave together."""
    (source,) = sources
    kernel = numbers(layer.kernel)
    spatial = tuple(range(kernel.ndim - 2))
    multiplier = kernel.shape[-1]
    sums, used = kernel.sum(axis=spatial).ravel(), (kernel != 0).any(axis=spatial).ravel()
    values, groups = np.repeat(source.values, multiplier), np.repeat(source.groups, multiplier)
    border = plan.border(pads_input(layer, source.shape), values) & used
    live = used & np.isnan(values)
    totals = np.where(used & ~live, values, 0.0) * sums + _bias(layer, len(sums))
    why = {c * multiplier + m: text for c, text in source.why.items() for m in range(multiplier)}
    why |= {int(o): padding_reason(layer) for o in np.flatnonzero(border)}
    result = plan.flow(shape, groups, _activate(layer.activation, np.where(live | border, np.nan, totals)), why)
    plan.sites.append(Site(layer, source, result))
    return result


def _batch_norm(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    (source,) = sources
    if layer.axis not in (-1, len(shape) - 1):
        plan.ties.fix(source.groups, f"'{layer.name}' normalizes another axis")
        return plan.pinned(shape, f"'{layer.name}' normalizes another axis")
    gamma = numbers(layer.gamma) if layer.scale else np.ones(source.count)
    beta = numbers(layer.beta) if layer.center else np.zeros(source.count)
    factor = gamma / np.sqrt(numbers(layer.moving_variance) + layer.epsilon)
    values = np.where(gamma == 0, beta, (source.values - numbers(layer.moving_mean)) * factor + beta)
    result = plan.flow(shape, source.groups, values, source.why)
    plan.sites.append(Site(layer, source, result))
    return result


def _same_value(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    (source,) = sources
    return plan.flow(shape, source.groups, source.values, source.why)


def _elementwise(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    (source,) = sources
    return plan.flow(shape, source.groups, _activate(layer.call, source.values), source.why)


def _activation(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    (source,) = sources
    return plan.flow(shape, source.groups, _activate(layer.activation, source.values), source.why)


def _padding(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    (source,) = sources
    border = plan.border(True, source.values)
    why = source.why | {int(c): padding_reason(layer) for c in np.flatnonzero(border)}
    return plan.flow(shape, source.groups, np.where(border, np.nan, source.values), why)


def _merge(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    """Sums, products and the like of equally many channels."""
    count = int(shape[-1] or 0)
    for source in sources:
        if source.count != count:
            plan.ties.fix(source.groups, f"'{layer.name}' spreads it over {count} channels")
    apart = [source for source in sources if source.count == count]
    for source in apart[1:]:
        plan.ties.join(apart[0].groups, source.groups)
    inputs = np.stack([np.broadcast_to(source.values, count) for source in sources])
    known = ~np.isnan(inputs)
    values = _MERGES[kind_of(layer)](inputs)
    if kind_of(layer) is _L.Multiply:
        values = np.where((inputs == 0).any(axis=0), 0.0, values)
    why = {c: text for source in apart for c, text in source.why.items()}
    mixed = np.flatnonzero(known.any(axis=0) & np.isnan(values))
    why |= {int(c): f"'{layer.name}' joins it with a channel that lives" for c in mixed}
    return plan.flow(shape, apart[0].groups, values, why)


def _concatenate(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    if layer.axis in (-1, len(shape) - 1):
        offsets = np.cumsum([0, *(source.count for source in sources)])
        why = {
            c + int(o): text for source, o in zip(sources, offsets[:-1], strict=True) for c, text in source.why.items()
        }
        groups, values = ([getattr(source, key) for source in sources] for key in ("groups", "values"))
        return plan.flow(shape, np.concatenate(groups), np.concatenate(values), why)
    for source in sources[1:]:
        plan.ties.join(sources[0].groups, source.groups)
    inputs = np.stack([source.values for source in sources])
    equal = (inputs == inputs[0]).all(axis=0)
    return plan.flow(shape, sources[0].groups, np.where(equal, inputs[0], np.nan), sources[0].why)


def _reshape(plan: Plan, layer: Any, sources: Sequence[Flow], shape: Shape) -> Flow:
    """Flatten and Reshape: channels survive where the new last axis is (..., channel) of whole trailing axes."""
    (source,) = sources
    times = tiles(source.shape, shape)
    if times is None:
        reason = f"'{layer.name}' does not keep channels apart"
        plan.ties.fix(source.groups, reason)
        return plan.pinned(shape, reason)
    why = {t * source.count + c: text for c, text in source.why.items() for t in range(times)}
    result = plan.flow(shape, np.tile(source.groups, times), np.tile(source.values, times), why)
    plan.sites.append(Site(layer, source, result))
    return result


def tiles(before: Shape, after: Shape) -> int | None:
    """How often the channels of one shape stand in the last axis of another; None where they do not."""
    size = 1
    for n in (before[-1], *reversed(before[1:-1])):
        if n is None:
            return None
        size *= n
        if size == after[-1]:
            return size // int(before[-1] or 1)
    return None


def numbers(variable: Any) -> Floats:
    """A variable's values."""
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def _bias(layer: Any, count: int) -> Floats:
    return numbers(layer.bias) if layer.use_bias else np.zeros(count)


def _activate(function: Any, values: Floats) -> Floats:
    """An activation of constants, as the model computes it; NaN stays NaN."""
    known = ~np.isnan(values)
    if function is None or not known.any():
        return values
    given = keras.ops.convert_to_tensor(np.where(known, values, 0.0).astype(np.float32))
    return np.where(known, np.asarray(keras.ops.convert_to_numpy(function(given)), np.float64), np.nan)


_MERGES: dict[type, Callable[[Floats], Floats]] = {
    _L.Add: lambda v: v.sum(axis=0),
    _L.Subtract: lambda v: v[0] - v[1],
    _L.Multiply: lambda v: v.prod(axis=0),
    _L.Average: lambda v: v.mean(axis=0),
    _L.Maximum: lambda v: v.max(axis=0),
    _L.Minimum: lambda v: v.min(axis=0),
}

_RULES: dict[type, Rule] = {
    **dict.fromkeys(MIXING, _mixing),
    **dict.fromkeys(DEPTHWISES, _depthwise),
    **dict.fromkeys(_SAME_VALUE, _same_value),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_PADDINGS, _padding),
    **dict.fromkeys(_MERGES, _merge),
    **dict.fromkeys((_L.Flatten, _L.Reshape), _reshape),
    _L.Activation: _activation,
    _L.BatchNormalization: _batch_norm,
    _L.Concatenate: _concatenate,
}
