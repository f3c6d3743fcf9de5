"""The callbacks of the API of TensorFlow Model Optimization."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import keras

from mcuprune.errors import ModelError, ToolMissingError, UsageError
from mcuprune.sparsity import running
from mcuprune.sparsity.tfmot.layer_masks import LayerMasks, threshold
from mcuprune.sparsity.tfmot.prune_model import masks_of


class UpdatePruningStep(keras.callbacks.Callback):  # type: ignore[misc]
    """Moves the masks of a pruned model along its schedules; every training of such a model needs it.

    At step t, t batches were trained on (also where several make one update, as in accumulated gradients). A schedule
    is asked before the first batch, and at step t before the batch after it or at the end of the epoch. In a loop of
    one's own: set_model(model), on_train_begin() once before the loop, on_train_batch_begin(batch=-1) before each
    update, on_epoch_end(batch=-1) after each epoch, on_train_end() last; without on_train_batch_begin() the masks move
    once in an epoch. In a list of callbacks it stands before those that save the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers: tuple[LayerMasks, ...] = ()
        self._starts: tuple[int, ...] = ()  # steps that each layer had when the training began
        self._first = 0  # updates of the optimizer until then
        self._batches = 0  # batches begun since then
        self._epoch = 0  # batches (or updates) since then when the epoch began
        self._tracked: tuple[Any, ...] = ()  # variables of masks that the optimizer carries, with jax

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.layers = masks_of(self.model)
        if not self.layers:
            warnings.warn(
                f"model '{self.model.name}' has no pruned layers: UpdatePruningStep does nothing", stacklevel=2
            )
            return
        if not all(layer.built for layer in self.layers):
            raise UsageError(
                f"model '{self.model.name}' has pruned layers without weights when the training begins",
                hint="call it once on a batch, model(x[:1]), before fit()",
            )
        if not any(layer.entries for layer in self.layers):
            raise ModelError(
                f"no layer of model '{self.model.name}' has weights that can be pruned",
                where=", ".join(layer.source for layer in self.layers),
                hint="convolutions, dense, embedding and recurrent layers have; strip_pruning(model) trains as it is",
            )
        self._starts = tuple(max(layer.step, 0) for layer in self.layers)
        self._first, self._batches, self._epoch = running.updates(self.model), 0, 0
        for layer in self.layers:
            layer.training = self.params
        self._arm()
        for layer in self.layers:
            layer.active = True
        self._trace_again()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.layers:
            self._epoch = self._done()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = self._epoch + batch if batch >= 0 else self._batches
        self._batches = max(self._batches, done) + 1
        self._advance(done)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch >= 0:
            for layer, start in zip(self.layers, self._starts, strict=True):
                layer.step = start + self._epoch + batch + 1  # for what is saved now

    def on_epoch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.layers:
            return
        self._advance(self._done())
        running.synchronize(self.model)
        with running.scope(self.model):
            for layer in self.layers:
                layer.apply()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.layers:
            return
        self.on_epoch_end(-1)
        for layer in self.layers:
            layer.active = False
        self._forget()
        self._trace_again()  # the traced step would not notice that the callback is missing
        early = [layer for layer in self.layers if layer.step < layer.settings.pruning_schedule.final_step]
        if early:
            warnings.warn(
                f"training stopped at step {early[0].step}, before the schedule of {len(early)} of {len(self.layers)} "
                f"pruned layers ends (step {early[0].settings.pruning_schedule.final_step}): "
                f"{early[0].source} has {early[0].sparsity:.1%} zeros",
                stacklevel=2,
            )
        lacks = [lack for layer in self.layers if layer not in early and (lack := layer.lack) is not None]
        if lacks:
            more = f" (and {len(lacks) - 1} more layers)" if len(lacks) > 1 else ""
            warnings.warn(f"training ended, and its schedule with it: {lacks[0]}{more}", stacklevel=2)

    def _advance(self, done: int) -> None:
        """Tell all layers that `done` batches were trained on in this training."""
        steps = [start + done for start in self._starts]
        if any(layer.due(step) for layer, step in zip(self.layers, steps, strict=True)):
            running.synchronize(self.model)
        self._arm()
        with running.scope(self.model):
            for layer, step in zip(self.layers, steps, strict=True):
                layer.advance(step)

    def _arm(self) -> None:
        """Put the masks on variables that lost them, as to a strip_pruning() or another pruning of the same layer."""
        lost = [layer for layer in self.layers if not layer.armed]
        if not lost and self._tracked:
            return
        with running.scope(self.model):
            for layer in lost:
                layer.arm()
        self._forget()
        self._tracked = tuple(entry.mask_variable for layer in self.layers for entry in layer.entries)
        running.track(self.model, self._tracked)

    def _forget(self) -> None:
        running.forget(self.model, self._tracked)
        self._tracked = ()

    def _done(self) -> int:
        """Batches begun in this training; updates where on_train_batch_begin() is not called."""
        running.synchronize(self.model)
        return max(self._batches, running.updates(self.model) - self._first)

    def _trace_again(self) -> None:
        if getattr(self.model, "compiled", False):
            self.model.make_train_function(force=True)


class PruningSummaries(keras.callbacks.TensorBoard):  # type: ignore[misc]
    """TensorBoard with the sparsity and the least magnitude that stays of each pruned weight, at each epoch's begin.

    Args:
        log_dir: folder of the logs; the metrics go into log_dir/metrics.
        update_freq, **kwargs: as in keras.callbacks.TensorBoard.
    Raises:
        UsageError: log_dir is no text, or empty.
        ToolMissingError: tensorboard is not installed, or Keras does not run on TensorFlow.
    """

    def __init__(self, log_dir: str, update_freq: str | int = "epoch", **kwargs: Any) -> None:
        if not isinstance(log_dir, str) or not log_dir:
            raise UsageError(f"log_dir is the path of a folder, got {log_dir!r}", hint="log_dir='logs'")
        from mcuprune.sparsity.runtime import require_tensorflow

        require_tensorflow("write TensorBoard summaries")
        if importlib.util.find_spec("tensorboard") is None:
            raise ToolMissingError(
                "tensorboard is not installed; needed to write summaries", hint="pip install tensorboard"
            )
        super().__init__(log_dir=log_dir, update_freq=update_freq, **kwargs)
        import tensorflow as tf

        self._pruning_writer = tf.summary.create_file_writer(f"{log_dir}/metrics")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        import tensorflow as tf

        if logs is not None:
            super().on_epoch_begin(epoch, logs)
        with self._pruning_writer.as_default():
            for layer in masks_of(self.model):
                for entry in layer.entries:
                    name, step = entry.weight.variable.path, max(layer.step, 0)
                    tf.summary.scalar(f"{name}/mask/sparsity", entry.sparsity, step=step)
                    tf.summary.scalar(f"{name}/threshold", threshold(entry), step=step)
            self._pruning_writer.flush()
