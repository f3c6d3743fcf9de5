"""A pruner in loops of one's own: masks on a model, moved step by step; and what it takes to go on after a stop."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from mcuprune.errors import UsageError
from mcuprune.files import write_file_atomic
from mcuprune.masks import Budget, Goal, Pattern, Rule
from mcuprune.sparsity import arguments, running
from mcuprune.sparsity.constraint import MaskConstraint, require_free
from mcuprune.sparsity.criteria import Array, Criterion
from mcuprune.sparsity.curves import Sensitivity, as_budget
from mcuprune.sparsity.masked import MaskedWeight, total_sparsity
from mcuprune.sparsity.schedule import PolynomialDecay, PruningSchedule
from mcuprune.sparsity.sharing import share_out, shares_at
from mcuprune.sparsity.state import PrunerState, read_state, schedule_of, schedule_text, state_bytes
from mcuprune.sparsity.weights import PrunableWeight, assign_weight_goals, other_kernels, prunable_weights


class SteppedPruner(keras.callbacks.Callback):  # type: ignore[misc]
    """What a Pruner is but for fit(): attach(model), step(n) before each update, finish() at the end."""

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
        self.pattern = arguments.pattern_of_argument(pattern)
        self.rules = arguments.rules_of_argument(rules)
        self.schedule = arguments.schedule_of_argument(schedule)
        self.criterion = arguments.criterion_of_argument(criterion)
        self.sparsity = arguments.sparsity_of_argument(sparsity, self.pattern, self.rules, self.schedule)
        self.budget = as_budget(budget)
        self.weights: tuple[PrunableWeight, ...] = ()
        self.goals: tuple[Goal, ...] = ()
        self.masked: tuple[MaskedWeight, ...] = ()
        self._planned: PruningSchedule | None = None  # by fit(), where no schedule was given
        self._pruned: Any = None  # the model, while masks are on it
        self._loaded: PrunerState | None = None  # what load() read, until a model is there
        self._last = -1  # step of the latest call of step()
        self._reached = 0.0  # share of the goals (0..1) that the masks have
        self._offset = 0  # steps before the optimizer's count began
        self._bound = 0  # no more updates than these were made
        self._training: Any = None  # what fit() tells the callbacks of the training that it is in; None by hand

    # for training loops of one's own

    def attach(self, model: Any, schedule: PruningSchedule | None = None) -> None:
        """Put masks on a built model's weights. Functions traced before (tf.function) must be traced again.

        Attached again to the same weights, as by a second fit(), it goes on with the goals and masks that it had. On a
        model with the optimizer of a training that stopped within the schedule, and no saved masks, the weights that
        are zero are the mask.

        Raises:
            ModelError: the model is not built, or has no weights that can be pruned.
            UsageError: sparsity, pattern and rules contradict each other or do not fit a layer; no schedule; what was
                loaded is of another model or another goal; another pruner is on the model.
        """
        self.detach()
        self._attach(model, schedule)
        self._start()

    def attach_goals(
        self,
        model: Any,
        weights: Sequence[PrunableWeight],
        goals: Sequence[Goal],
        schedule: PruningSchedule | None = None,
    ) -> None:
        """attach() with goals that are known already, one for each weight."""
        self.detach()
        self.schedule = schedule or self.schedule
        self._put_on(model, weights, goals)
        self._start()

    def step(self, step: int) -> bool:
        """To be called before update `step` (from 0): moves the masks where the schedule says so; whether it did.

        A step may be jumped over, as by several updates in one execution: any update in between counts.
        """
        moves = self._moves(step)
        if moves:
            self._update(step)
        self._last = max(self._last, step)
        return moves

    def finish(self, step: int | None = None) -> None:
        """To be called after the last update, the `step`-th: the last masks, a check that they hold, and detach().

        A training that ends before its schedule is told by a warning.

        Raises:
            TrainingError: weights came back, are NaN, or fewer or more are zero than was asked for.
        """
        step = self._last + 1 if step is None else step
        if self._last < self._active.final_step <= step:
            self._update(step)
            self._last = step
        with running.scope(self._pruned):
            for entry in self.masked:  # an average that the optimizer keeps may have been written over the weights
                if entry.keep is not None:
                    entry.set(entry.keep)
        if self._reached >= 1.0:
            for entry in self.masked:
                entry.check()
        elif self.masked:
            warnings.warn(
                f"training ended at step {step}, before its pruning schedule: {self.reached:.1%} of the weights are "
                "zero; another fit() or attach() with this pruner goes on",
                stacklevel=2,
            )
        self.detach()

    def detach(self) -> None:
        """Take the masks off; the weights stay as they are, and nothing holds the zeros any more."""
        if self._pruned is not None:
            running.forget(self._pruned, [entry.disarm() for entry in self.masked])
        self._pruned = None

    @property
    def reached(self) -> float:
        """The share of zeros over all weights with a goal, now."""
        return total_sparsity(self.masked)

    # to be taken up again

    def state(self) -> PrunerState:
        """Masks, step and goals as they are.

        Raises:
            UsageError: it was on no model yet.
        """
        if not self.masked:
            raise UsageError("the pruner was on no model yet", hint="attach(model), or fit() first")
        return PrunerState(
            self._last,
            self._reached,
            schedule_text(self._planned),
            tuple(entry.identity for entry in self.masked),
            tuple(entry.goal.sparsity for entry in self.masked),
            tuple(entry.keep for entry in self.masked),
        )

    def save(self, path: str | Path) -> None:
        """Write masks and step to a file (.npz), whole or not at all; the model and its optimizer are saved by Keras.

        Raises:
            UsageError: it was on no model yet, or the place cannot be written.
        """
        write_file_atomic(Path(path), state_bytes(self.state()))

    def load(self, path: str | Path) -> None:
        """Take up what save() wrote, now or when it is attached; model and optimizer are those saved with it.

        Raises:
            UsageError: no such file, or of another model or other goals.
        """
        self.restore(read_state(Path(path)))

    def restore(self, state: PrunerState) -> None:
        """Take up a state(), now or when it is attached.

        Raises:
            UsageError: it is of another model or other goals.
        """
        self._loaded = state
        if self._pruned is not None:
            self._take_up(self._pruned)

    def _take_up(self, model: Any) -> None:
        """Go on from what was loaded."""
        state, self._loaded = self._loaded, None
        if state is None:
            return
        state.check([entry.identity for entry in self.masked])
        self._last, self._reached = state.step, state.reached
        self._planned = schedule_of(state.schedule) or self._planned
        with running.scope(model):
            for entry, share, keep in zip(self.masked, state.shares, state.masks, strict=True):
                entry.goal = replace(entry.goal, sparsity=share)
                if keep is not None:
                    entry.set(keep)

    # within

    @property
    def _active(self) -> PruningSchedule:
        schedule = self.schedule or self._planned
        if schedule is None or self._pruned is None:
            raise UsageError("the pruner is on no model", hint="attach(model), or callbacks=[pruner] in fit()")
        return schedule

    def _attach(self, model: Any, schedule: PruningSchedule | None, training: Any = None) -> None:
        self.schedule = schedule or self.schedule
        source = str(getattr(model, "name", "model"))
        weights = prunable_weights(model)
        goals = self.goals
        if [id(weight.variable) for weight in weights] != [id(weight.variable) for weight in self.weights]:
            goals = assign_weight_goals(weights, self.sparsity, self.pattern, self.rules, source, self.budget)
            _warn_left(model)
        self._put_on(model, weights, goals, training)

    def _put_on(
        self, model: Any, weights: Sequence[PrunableWeight], goals: Sequence[Goal], training: Any = None
    ) -> None:
        """Masks on the weights, with what they had if they are the same ones as before."""
        for weight, goal in zip(weights, goals, strict=True):
            if goal.pattern is not None:
                require_free(weight.variable, self, training, weight.describe(str(getattr(model, "name", "model"))))
        kept = {id(entry.weight.variable): entry.keep for entry in self.masked}
        self.weights = tuple(weights)
        self.goals = tuple(replace(goal, pattern=self.pattern) if goal.shared else goal for goal in goals)
        pairs = zip(self.weights, self.goals, strict=True)
        self.masked = tuple(MaskedWeight(weight, goal) for weight, goal in pairs if goal.pattern is not None)
        if not all(id(entry.weight.variable) in kept for entry in self.masked):
            self._last, self._reached, self._planned = -1, 0.0, None
            kept = {}
        with running.scope(model):
            for entry in self.masked:
                entry.keep = kept.get(id(entry.weight.variable))
            running.track(model, [entry.arm(self._mask_on(entry.weight.variable)) for entry in self.masked])
        self._pruned, self._training = model, training
        self._take_up(model)

    def _mask_on(self, variable: Any) -> MaskConstraint:
        return MaskConstraint(variable, weakref.ref(self))

    def holds(self, training: Any) -> bool:
        """Whether masks of this pruner are at work in this training, or in a loop of one's own. A fit() that was broken
        off left them behind, and holds nothing."""
        return self._pruned is not None and (not self._training or self._training is training)

    def _start(self) -> None:
        """The schedule is known: where the optimizer is within it, and the masks that belong there."""
        if self.schedule is None and self._planned is None:
            raise UsageError("nothing says when to prune", hint="schedule=PolynomialDecay(0, 0.8, 0, STEPS)")
        done = running.updates(self._pruned)
        if self._last < 0:
            self._keep_zeros(done)
            self._warn_late(done)
        self._offset = max(0, self._last - done)
        self._bound = done + self._offset

    def _warn_late(self, done: int) -> None:
        """Tell of a ramp that began before this training, so that many weights go at once."""
        begin = getattr(self._active, "begin_step", done)
        if self._last < 0 and begin < done and isinstance(self._active, PolynomialDecay):
            now = self._active.sparsity_at(done)
            warnings.warn(
                f"the optimizer made {done} updates before, and the pruning schedule begins at step {begin}: its masks "
                f"of step {done} (sparsity {now:g} of {self._active.final_sparsity:g}) come at once; compile the model "
                f"again, or let the schedule begin at {done}",
                stacklevel=3,
            )

    def _keep_zeros(self, done: int) -> None:
        """Where training stopped within the schedule and the zeros of its masks are there, they are the masks."""
        last = self._active.last_update(done - 1)
        if last < 0:
            return
        shares, reached = self._shares(last, [entry.weight.rows() for entry in self.masked])
        found = [entry.zeros(share) for entry, share in zip(self.masked, shares, strict=True)]
        keeps = [keep for keep in found if keep is not None]
        if len(keeps) == len(found):
            with running.scope(self._pruned):
                for entry, keep in zip(self.masked, keeps, strict=True):
                    entry.set(keep)
            self._last, self._reached = done - 1, reached

    def _moves(self, step: int) -> bool:
        return self._active.last_update(step, self._last + 1) > self._last

    def _update(self, step: int) -> None:
        importance = self.criterion.importance(self._pruned, [entry.weight for entry in self.masked])
        shares, self._reached = self._shares(step, importance)
        with running.scope(self._pruned):
            for entry, share in zip(self.masked, shares, strict=True):
                entry.update(share, importance)

    def _shares(self, step: int, importance: Sequence[Array]) -> tuple[list[float], float]:
        """shares_at() a step; a global budget shares out what the schedule wants then."""
        final = self.sparsity or 0.0
        share_out(self.masked, importance, self.budget, self.pattern, self._active.sparsity_at(step, final), final)
        now = {id(entry.weight): entry.goal for entry in self.masked}
        self.goals = tuple(now.get(id(w), goal) for w, goal in zip(self.weights, self.goals, strict=True))
        return shares_at(self.masked, self._active, step, final)


def _warn_left(model: Any) -> None:
    """Tell which kernels stay dense because nothing is known about them."""
    others = other_kernels(model)
    if others:
        warnings.warn(
            f"left dense, as it is not known which of their weights can be pruned: {', '.join(others)}; a class of "
            "your own says it by get_prunable_weights()",
            stacklevel=4,
        )
