"""PruneLowMagnitude: a layer that prunes the layer inside it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mcuprune.errors import ModelError, UsageError
from mcuprune.sparsity.schedule import PruningSchedule
from mcuprune.sparsity.tfmot.layer_masks import HALF, LayerMasks, PruningSettings, threshold
from mcuprune.sparsity.tfmot.support import check_kernels, check_prunable, masked_weights
from mcuprune.sparsity.weights import leaves

PREFIX = "prune_low_magnitude_"


@keras.saving.register_keras_serializable(package="mcuprune")
class PruneLowMagnitude(keras.layers.Wrapper):  # type: ignore[misc]
    """A layer whose weights are pruned while it trains under UpdatePruningStep; called, it is the layer inside.

    The masks lie on the layer's own variables and are no weights of the model: they and the count of steps are saved
    and loaded beside them. All kernels inside the layer are pruned, at any depth, but depthwise ones only where the
    layer is a depthwise convolution itself. A layer without kernels is passed through.

    Args:
        layer: the layer, built or not.
        pruning_schedule, block_size, block_pooling_type, sparsity_m_by_n: as in prune_low_magnitude().
        **kwargs: of a Keras layer, such as input_shape.
    Raises:
        UsageError: a layer whose weights nothing is known about, or settings that make no sense.
    """

    def __init__(
        self,
        layer: Any,
        pruning_schedule: PruningSchedule = HALF,
        block_size: tuple[int, int] = (1, 1),
        block_pooling_type: str = "AVG",
        sparsity_m_by_n: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        settings = PruningSettings(pruning_schedule, block_size, block_pooling_type, sparsity_m_by_n)
        check_prunable(layer)
        self.call = _call_like(layer, self._call_inside)  # Keras reads its signature in the next line
        kwargs = {
            "name": PREFIX + layer.name,
            "trainable": layer.trainable,
            "dtype": layer.dtype_policy,
            "autocast": layer.autocast,
            **kwargs,
        }
        super().__init__(layer, **kwargs)
        self._passes_training = "training" in inspect.signature(layer.call).parameters
        shape = getattr(layer, "_input_shape_arg", None)  # Dense(10, input_shape=(4,)): the first of a Sequential
        if shape is not None and getattr(self, "_input_shape_arg", None) is None:
            self._input_shape_arg = shape
        self.supports_masking = layer.supports_masking
        self.settings = settings
        self.masks = LayerMasks(settings, f"layer '{layer.name}'")

    # what upstream's users read

    @property
    def pruning_schedule(self) -> PruningSchedule:
        return self.settings.pruning_schedule

    @property
    def block_size(self) -> tuple[int, int]:
        return self.settings.block_size

    @property
    def block_pooling_type(self) -> str:
        return self.settings.block_pooling_type

    @property
    def sparsity_m_by_n(self) -> tuple[int, int] | None:
        return self.settings.sparsity_m_by_n

    @property
    def pruning_vars(self) -> list[tuple[Any, Any, float]]:
        """(weight, mask, least magnitude that stays) for each kernel, once the layer is built."""
        return [(entry.weight.variable, entry.mask_variable, threshold(entry)) for entry in self.masks.entries]

    @property
    def pruning_step(self) -> int:
        """Training steps made so far; -1 before the first."""
        return self.masks.step

    # the layer

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        check_kernels(self.layer)
        self.masks.take(masked_weights(self.layer))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.layer.built:
            self.compute_output_spec(*args, **kwargs)  # builds it in the way that is its own
        return super().__call__(*args, **kwargs)

    def _call_inside(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("training"):
            self.masks.require_callback()
        if not self._passes_training:
            kwargs.pop("training", None)
        return self.layer(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_mask(*args, **kwargs)

    def get_weights(self) -> list[Any]:
        """The layer's own weights."""
        weights: list[Any] = self.layer.get_weights()
        return weights

    # files

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pruning_schedule": self.pruning_schedule.get_config(),
            "block_size": list(self.block_size),
            "block_pooling_type": self.block_pooling_type,
            "sparsity_m_by_n": list(self.sparsity_m_by_n) if self.sparsity_m_by_n else None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> PruneLowMagnitude:
        config = dict(config)
        config["pruning_schedule"] = schedule_of(config["pruning_schedule"], custom_objects)
        config["block_size"] = tuple(config["block_size"])
        made = super().from_config(config, custom_objects=custom_objects)
        assert isinstance(made, cls)
        return made

    def save_own_variables(self, store: Any) -> None:
        store["pruning_step"] = np.int64(self.masks.step)
        for number, entry in enumerate(self.masks.entries):
            keep = np.ones(entry.weight.matrix_shape, np.bool_) if entry.keep is None else entry.keep
            store[f"mask_{number}"] = np.packbits(keep)

    def load_own_variables(self, store: Any) -> None:
        names = {"pruning_step", *(f"mask_{number}" for number in range(len(self.masks.entries)))}
        if set(store.keys()) != names:
            raise ModelError(
                f"the file has no masks of {len(self.masks.entries)} weights",
                where=f"layer '{self.name}'",
                hint="load weights of a model that is not pruned before prune_low_magnitude()",
            )
        self.masks.resume(int(np.asarray(store["pruning_step"])))
        for number, entry in enumerate(self.masks.entries):
            rows, cols = entry.weight.matrix_shape
            bits = np.unpackbits(np.asarray(store[f"mask_{number}"]), count=rows * cols)
            entry.set(bits.astype(np.bool_).reshape(rows, cols))


def collect_prunable_layers(model: Any) -> list[PruneLowMagnitude]:
    """The pruned layers of a model, nested ones too, in its order, each once."""
    return [layer for layer in leaves(model) if isinstance(layer, PruneLowMagnitude)]


def schedule_of(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> PruningSchedule:
    """The schedule that get_config() described; its class is known once its module is imported.

    Raises:
        UsageError: no such class.
    """
    name = config["class_name"]
    known: dict[str, Any] = {cls.__name__: cls for cls in _subclasses(PruningSchedule)}
    found = keras.saving.get_registered_object(name, custom_objects=custom_objects) or known.get(name)
    if found is None:
        raise UsageError(f"the schedule {name} is not known here", hint="import the module that defines it, then load")
    schedule = found.from_config(config["config"])
    assert isinstance(schedule, PruningSchedule)
    return schedule


def _subclasses(cls: type) -> list[type]:
    below: list[type] = cls.__subclasses__()
    return [each for sub in below for each in (sub, *_subclasses(sub))]


def _call_like(layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """A call() with the signature of a layer's, and `training` in any case, for Keras to fill in."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    signature = inspect.signature(layer.call)
    if "training" not in signature.parameters:
        parameters = list(signature.parameters.values())
        open_ended = bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
        training = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None)
        parameters.insert(len(parameters) - open_ended, training)
        signature = signature.replace(parameters=parameters)
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call
