"""The pruner: a Keras callback, and the same by hand for training loops of one's own."""

from __future__ import annotations

import warnings
from typing import Any

from mcuprune.errors import UsageError
from mcuprune.sparsity import running
from mcuprune.sparsity.schedule import PolynomialDecay
from mcuprune.sparsity.stepping import SteppedPruner

RAMP = 0.5
"""Share of a training's steps over which the sparsity rises, where no schedule is given."""


class Pruner(SteppedPruner):
    """Prunes a model while it trains: `model.fit(..., callbacks=[Pruner(0.8)])`.

    Masks lie on the model's own variables and are applied in the graph after each optimizer update, so the weights are
    sparse at every step; nothing is wrapped, and what is saved is a plain Keras model. The step is the optimizer's
    count of updates, `optimizer.iterations`, which leaves out those that mixed precision skips, and counts several
    batches as one where gradients are accumulated. Training goes on where it stopped, in another fit() or, after save()
    and load(), in another process.

    In a loop of one's own: attach(model), step(n) before each update, finish() at the end.

    A callback that writes other weights into the model at the end, such as EarlyStopping(restore_best_weights=True),
    comes before this one in the list.

    Args:
        sparsity: share of zeros of each layer in [0, 1); None with an N:M pattern, or where rules or the schedule say
            it all.
        pattern: how zeros are placed, a Pattern or its text (`2:4`, `block:2x2`); None is unstructured.
        schedule: how the sparsity rises, scaled to what each layer gets; None: a cubic ramp over the first half of the
            training that fit() plans.
        rules: for layers by name or glob, `("conv_1=0.5,unstructured", "ds_*_pw=2:4")`, the last match wins. Depthwise
            kernels and the last layer are left unless a rule names them.
        criterion: which weights go first; None is the magnitude.
        budget: how `sparsity` is shared among the layers that no rule names, a Budget or its text (`global`, `erk`), or
            what sensitivity() found; None is uniform. A global one compares the weights anew with each mask.
    Raises:
        UsageError: a sparsity, pattern or rule that makes no sense; more when it meets the model (see attach()).
    """

    _first_epoch = True
    _begun: int | None = None  # the batch that began and did not end

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.model.built:
            raise UsageError(
                f"model '{self.model.name}' has no weights yet when the training begins",
                hint="call it once on a batch, model(x[:1]), before fit()",
            )
        self.detach()
        self._attach(self.model, None, self.params)
        if not (self.schedule or self._planned or self.params.get("steps")):
            self.detach()
            raise UsageError(
                "the length of the training is not known",
                hint="steps_per_epoch=N in fit(), or Pruner(schedule=PolynomialDecay(0, S, 0, END_STEP))",
            )
        self.model.make_train_function(force=True)
        self._first_epoch, self._begun = True, None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._first_epoch:
            self._first_epoch = False
            self._plan(epoch)
            self._start()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._begun is not None:  # called by hand, without the ends of batches
            self._count()
        self._begun = batch
        if self._moves(self._bound):
            self._count()
            self.step(self._bound)
        else:
            self._last = max(self._last, self._bound)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._bound += batch - (batch if self._begun is None else self._begun) + 1
        self._begun = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._count()
        self._last = min(self._last, self._bound)
        if logs is not None:
            logs["sparsity"] = self.reached

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._first_epoch:  # nothing was left to train
            self.detach()
            return
        self._count()
        self.finish(self._bound)
        self.model.make_train_function(force=True)  # the traced one still has the masks

    def _plan(self, epoch: int) -> None:
        """The schedule of a training that begins with this epoch; a warning where the given one outlasts it."""
        steps = self.params.get("steps")
        if not steps:
            return
        done, total = running.updates(self.model), steps * (self.params["epochs"] - epoch)
        begin = max(done, self._last)
        known = self.schedule or self._planned
        if known is None:
            self._planned = PolynomialDecay(
                0.0, 0.5, begin, begin + min(round(total * RAMP), total - 1), frequency=None
            )
        elif known.final_step > begin + total:
            warnings.warn(
                f"the pruning schedule ends at step {known.final_step}, this training at step {begin + total}: the "
                "sparsity that was asked for will not be reached",
                stacklevel=2,
            )

    def _count(self) -> None:
        """How many updates were made, exactly, by asking the optimizer."""
        running.synchronize(self.model)
        self._bound = running.updates(self.model) + self._offset
