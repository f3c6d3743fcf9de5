"""The pruner: a Keras callback, and the same by hand for training loops of one's own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks import (
    Budget,
    Goal,
    Pattern,
    Rule,
    Unstructured,
    global_magnitude,
    parse_pattern,
    parse_rule,
    unit_count,
)
from mcuprune.sparsity.criteria import Array, Criterion, Magnitude
from mcuprune.sparsity.curves import Sensitivity, as_budget
from mcuprune.sparsity.masked import MaskedWeight, total_sparsity
from mcuprune.sparsity.schedule import PolynomialDecay, PruningSchedule
from mcuprune.sparsity.weights import PrunableWeight, assign_weight_goals, prunable_weights

RAMP = 0.5
"""Share of a training's steps over which the sparsity rises, where no schedule is given."""


class Pruner(keras.callbacks.Callback):  # type: ignore[misc]
    """Prunes a model while it trains: `model.fit(..., callbacks=[Pruner(0.8)])`.

    Masks lie on the model's own variables and are applied in the graph after each optimizer update, so the weights are
    sparse at every step; nothing is wrapped, and what is saved is a plain Keras model. The step is the optimizer's
    count of updates: training goes on where it stopped. In a loop of one's own: attach(model), step(n) before each
    update, finish() at the end.

    Args:
        sparsity: share of zeros of each layer in [0, 1); None with an N:M pattern or where rules say it all.
        pattern: how zeros are placed, a Pattern or its text (`2:4`, `block:2x2`); None is unstructured.
        schedule: how the sparsity rises; None: a cubic ramp over the first half of the training that fit() plans.
        rules: for layers by name or glob, `("conv_1=0.5,unstructured", "ds_*_pw=2:4")`, the last match wins. Depthwise
            kernels and the last layer are left unless a rule names them.
        criterion: which weights go first; None is the magnitude.
        budget: how `sparsity` is shared among the layers that no rule names, a Budget or its text (`global`, `erk`), or
            what sensitivity() found; None is uniform. A global one compares the weights anew with each mask.
    Raises:
        UsageError: a sparsity, pattern or rule that makes no sense; more when it meets the model (see attach()).
    """

    def __init__(
        self,
        sparsity: float | None = None,
        pattern: Pattern | str | None = None,
        *,
        schedule: PruningSchedule | None = None,
        rules: Sequence[Rule | str] = (),
        criterion: Criterion | None = None,
        budget: Budget | Sensitivity | str | None = None,
    ) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.pattern = parse_pattern(pattern) if isinstance(pattern, str) else pattern or Unstructured()
        self.rules = tuple(parse_rule(rule) if isinstance(rule, str) else rule for rule in rules)
        self.schedule = schedule
        self.criterion = criterion or Magnitude()
        self.budget = as_budget(budget)
        self.weights: tuple[PrunableWeight, ...] = ()
        self.goals: tuple[Goal, ...] = ()
        self.masked: tuple[MaskedWeight, ...] = ()
        self._pruned: Any = None  # the model, while masks are on it
        self._last = -1  # step of the latest call of step()
        self._reached = 0.0  # share of the goals (0..1) that the masks have

    # for training loops of one's own

    def attach(self, model: Any, schedule: PruningSchedule | None = None) -> None:
        """Put masks on a built model's weights. Functions traced before (tf.function) must be traced again.

        Attached again to the same weights, as by a second fit(), it goes on with the goals and masks that it had.

        Raises:
            ModelError: the model is not built, or has no weights that can be pruned.
            UsageError: sparsity, pattern and rules contradict each other or do not fit a layer; no schedule.
        """
        if self._pruned is not None:
            self.detach()
        source = str(getattr(model, "name", "model"))
        weights = prunable_weights(model)
        goals = self.goals
        if [(w.variable.path, w.shape) for w in weights] != [(w.variable.path, w.shape) for w in self.weights]:
            goals = assign_weight_goals(weights, self.sparsity, self.pattern, self.rules, source, self.budget)
        self.attach_goals(model, weights, goals, schedule)

    def attach_goals(
        self,
        model: Any,
        weights: Sequence[PrunableWeight],
        goals: Sequence[Goal],
        schedule: PruningSchedule | None = None,
    ) -> None:
        """attach() with goals that are known already, one for each weight."""
        self.schedule = schedule or self.schedule
        if self.schedule is None:
            raise UsageError("nothing says when to prune", hint="schedule=PolynomialDecay(0, 0.8, 0, STEPS)")
        kept = {entry.weight.variable.path: entry.keep for entry in self.masked}
        self.weights = tuple(weights)
        self.goals = tuple(replace(goal, pattern=self.pattern) if goal.shared else goal for goal in goals)
        pairs = zip(self.weights, self.goals, strict=True)
        self.masked = tuple(MaskedWeight(weight, goal) for weight, goal in pairs if goal.pattern is not None)
        with _scope(model):
            for entry in self.masked:
                entry.keep = kept.get(entry.weight.variable.path)
                variable = entry.arm()
                if keras.backend.backend() == "jax" and getattr(model, "optimizer", None) is not None:
                    model.optimizer._track_variable(variable)  # else its value is a constant of the compiled step
        self._pruned = model

    def step(self, step: int) -> None:
        """To be called before update `step` (from 0): moves the masks where the schedule says so.

        A step may be jumped over, as by several updates in one execution: any update in between counts.
        """
        schedule = self._schedule
        if any(schedule.is_update(s) for s in range(max(self._last + 1, 0), step + 1)):
            self._update(step)
        self._last = step

    def finish(self, step: int | None = None) -> None:
        """To be called after the last update, the `step`-th: the last masks, a check that they hold, and detach().

        Raises:
            TrainingError: weights came back, or fewer or more are zero than was asked for.
        """
        step = self._last + 1 if step is None else step
        if self._last < self._schedule.final_step <= step:
            self._update(step)
        self._last = step
        for entry in self.masked:  # an average that the optimizer keeps may have been written over the weights
            if entry.keep is not None:
                entry.set(entry.keep)
        if self._reached == 1.0:
            for entry in self.masked:
                entry.check()
        self.detach()

    def detach(self) -> None:
        """Take the masks off; the weights stay as they are, and nothing holds the zeros any more."""
        for entry in self.masked:
            entry.disarm()
        self._pruned = None

    @property
    def reached(self) -> float:
        """The share of zeros over all weights with a goal, now."""
        return total_sparsity(self.masked)

    @property
    def _schedule(self) -> PruningSchedule:
        if self.schedule is None or self._pruned is None:
            raise UsageError("the pruner is on no model", hint="attach(model), or callbacks=[pruner] in fit()")
        return self.schedule

    def _update(self, step: int) -> None:
        schedule = self._schedule
        importance = self.criterion.importance(self._pruned, [entry.weight for entry in self.masked])
        self._share(schedule.sparsity_at(step, self.sparsity or 0.0), importance)
        shares, reached = [], [1.0]
        for goal in (entry.goal for entry in self.masked):
            final = (self.sparsity or 0.0) if goal.shared else goal.sparsity
            reached.append(schedule.sparsity_at(step, final) / final)
            shares.append(goal.sparsity if goal.shared else schedule.sparsity_at(step, final))
        with _scope(self._pruned):
            for entry, share, values in zip(self.masked, shares, importance, strict=True):
                entry.update(share, values)
        self._reached = min(reached)

    def _share(self, sparsity: float, importance: Sequence[Array]) -> None:
        """Share what the schedule wants now out among the layers of a global budget, by their weights of now.

        Lower bounds rise as the sparsity does, less the part of a unit that rounding may take.
        """
        places = [i for i, entry in enumerate(self.masked) if entry.goal.shared]
        if not places or self.budget is None or not self.sparsity:
            return
        low = self.budget.low
        if sparsity < self.sparsity:
            units = min(unit_count(self.pattern, *self.masked[i].weight.matrix_shape) for i in places)
            low = max(low * sparsity / self.sparsity - 1 / units, 0.0)
        found = global_magnitude(
            [importance[i] for i in places], sparsity, pattern=self.pattern, low=low, high=self.budget.high
        )
        for i, share in zip(places, found, strict=True):
            self.masked[i].goal = replace(self.masked[i].goal, sparsity=share, note="by --budget global")
        now = {id(entry.weight): entry.goal for entry in self.masked}
        self.goals = tuple(now.get(id(w), goal) for w, goal in zip(self.weights, self.goals, strict=True))

    # the callback

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.model.built:
            raise UsageError(
                f"model '{self.model.name}' has no weights yet when the training begins",
                hint="call it once on a batch, model(x[:1]), before fit()",
            )
        schedule = self.schedule or self._planned_ramp()
        self.attach(self.model, schedule)
        self.model.make_train_function(force=True)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(self.model.optimizer.iterations)
        schedule = self._schedule
        if any(schedule.is_update(s) for s in range(max(self._last + 1, 0), step + 1)):
            self._synchronize()
        self.step(step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["sparsity"] = self.reached

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._synchronize()
        self.finish(int(self.model.optimizer.iterations))
        self.model.make_train_function(force=True)  # the traced one still has the masks
        if self._reached < 1.0:
            warnings.warn(
                f"training ended at step {self._last}, before its schedule: {self.reached:.1%} of the weights are zero",
                stacklevel=2,
            )

    def _planned_ramp(self) -> PruningSchedule:
        steps, epochs = self.params.get("steps"), self.params.get("epochs")
        if not steps or not epochs:
            raise UsageError(
                "the length of the training is not known", hint="schedule=PolynomialDecay(0, S, 0, END_STEP)"
            )
        begin = int(self.model.optimizer.iterations)
        total = steps * epochs
        return PolynomialDecay(0.0, 0.5, begin, begin + min(round(total * RAMP), total - 1), frequency=None)

    def _synchronize(self) -> None:
        """Have the model's variables hold what the training has: with jax they are elsewhere while fit() runs."""
        synchronize = getattr(self.model, "jax_state_sync", None)
        if synchronize is not None and keras.backend.backend() == "jax":
            synchronize()


def require_finite(loss: float, step: int) -> None:
    """Stop at a loss that is not a number.

    Raises:
        TrainingError: it is NaN or infinite.
    """
    if not abs(loss) < float("inf"):
        raise TrainingError(
            f"the loss is {loss} at step {step}",
            hint="a lower --learning-rate; features of ordinary size (about -10..10)",
        )


def _scope(model: Any) -> Any:
    """The scope of a model's tf.distribute strategy, in which its variables are made and assigned."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy is not None else contextlib.nullcontext()
