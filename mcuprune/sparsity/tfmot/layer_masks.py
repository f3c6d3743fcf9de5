"""The masks of one layer under one schedule: what stands behind the API of TensorFlow Model Optimization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks import NM, Block, Goal, Mask, Pattern, Unstructured, mask, unit_count
from mcuprune.masks.select import without_smallest
from mcuprune.sparsity.constraint import MaskConstraint, require_free
from mcuprune.sparsity.masked import MaskedWeight
from mcuprune.sparsity.schedule import ConstantSparsity, PruningSchedule
from mcuprune.sparsity.weights import PrunableWeight

Array = NDArray[Any]

HALF = ConstantSparsity(0.5, 0)
"""The schedule that is pruned by where none is given."""

POOLINGS = ("AVG", "MAX", "L2")
"""Values of block_pooling_type; L2 is ours."""

_ROUNDING = 1e-6
"""What a schedule may miss a sparsity by."""

_NO_CALLBACK = "pruned layers are trained without their callback, so nothing would prune them"
_CALLBACK_HINT = (
    "fit(..., callbacks=[sparsity.UpdatePruningStep()]); in a loop of your own: set_model(model), on_train_begin(); "
    "to train the plain model: strip_pruning(model) first"
)


@dataclass(frozen=True, slots=True)
class PruningSettings:
    """How a layer is pruned: the arguments of prune_low_magnitude(), checked.

    block_size: (a, b), blocks of a consecutive inputs by b consecutive outputs: the axes of a dense kernel. Of larger
        kernels the inputs run along H*W*I; of an embedding it is tokens by dimensions.
    block_pooling_type: `AVG`, `MAX` or `L2` of |weight| over a block.
    sparsity_m_by_n: (m, n), m zeros in each n consecutive input channels; None: unstructured or blocks.
    """

    pruning_schedule: PruningSchedule = HALF
    block_size: tuple[int, int] = (1, 1)
    block_pooling_type: str = "AVG"
    sparsity_m_by_n: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_size", two_integers(self.block_size, "block_size"))
        if not isinstance(self.pruning_schedule, PruningSchedule):
            raise UsageError(
                f"pruning_schedule is a {type(self.pruning_schedule).__name__}, not a PruningSchedule",
                hint="sparsity.PolynomialDecay(0, 0.8, 0, END_STEP)",
            )
        if self.block_pooling_type not in POOLINGS:
            raise UsageError(
                f"block_pooling_type {self.block_pooling_type!r} is not known", hint=f"one of {', '.join(POOLINGS)}"
            )
        if min(self.block_size) < 1:
            raise UsageError(f"block_size {self.block_size} is not positive", hint="(1, 1) prunes single weights")
        if self.sparsity_m_by_n:
            zeros, group = two_integers(self.sparsity_m_by_n, "sparsity_m_by_n")
            object.__setattr__(self, "sparsity_m_by_n", (zeros, group))
            if not 0 < zeros < group:
                raise UsageError(
                    f"sparsity_m_by_n {(zeros, group)}: m zeros in n weights need 0 < m < n", hint="(2, 4) is usual"
                )
            if self.block_size != (1, 1):
                raise UsageError(
                    f"block_size {self.block_size} and sparsity_m_by_n {(zeros, group)} ask for two patterns at once",
                    hint="leave one of them out",
                )
            self._check_end(zeros / group)

    def _check_end(self, goal: float) -> None:
        """Refuse a schedule that says where it ends, and ends below the share of zeros that N:M has.

        Raises:
            UsageError: it does.
        """
        schedule = self.pruning_schedule
        end = schedule.sparsity_at(schedule.final_step, goal) if schedule.final_step >= 0 else goal
        if end < goal - _ROUNDING:
            raise UsageError(
                f"sparsity_m_by_n {self.sparsity_m_by_n} means a sparsity of {goal:g}; the {type(schedule).__name__} "
                f"ends with {end:g} at step {schedule.final_step}: the pattern would never be complete",
                hint=f"a schedule that rises to {goal:g}; PolynomialDecay and ConstantSparsity are scaled to it",
            )

    def pattern(self, weight: PrunableWeight) -> Pattern:
        """The pattern on the matrix (outputs, inputs) of a weight."""
        if self.sparsity_m_by_n:
            zeros, group = self.sparsity_m_by_n
            return NM(group - zeros, group)
        if self.block_size == (1, 1):
            return Unstructured()
        inputs, outputs = self.block_size
        if weight.output_axes == (0,):  # an embedding: its first axis counts the rows
            inputs, outputs = outputs, inputs
        pooling = {"AVG": "avg", "MAX": "max", "L2": "l2"}[self.block_pooling_type]
        return Block(outputs, inputs, pooling)  # type: ignore[arg-type]


class TrainedMask(MaskConstraint):
    """The constraint of a layer's mask, which no optimizer applies unless the callback moves the masks."""

    def __init__(self, variable: Any, masks: LayerMasks) -> None:
        super().__init__(variable, lambda: masks)
        self.masks = masks

    def __call__(self, w: Any) -> Any:
        self.masks.require_callback()
        return super().__call__(w)


class LayerMasks:
    """Masks on the weights of a layer, moved along its schedule by UpdatePruningStep.

    step: batches that were trained on while the layer was pruned, -1 before the first training.
    active: whether a callback moves the masks now.
    training: what fit() tells the callbacks of that training; empty in a loop of one's own.
    built: whether take() was called; there are no entries before.
    """

    def __init__(self, settings: PruningSettings, source: str) -> None:
        self.settings = settings
        self.source = source
        self.step = -1
        self._asked = -1  # the latest step that the schedule was asked about
        self.active = False
        self.training: Any = None
        self.built = False
        self.entries: tuple[MaskedWeight, ...] = ()

    def take(self, weights: Sequence[PrunableWeight]) -> None:
        """Take the layer's weights, now that there are some, and put masks on them.

        Raises:
            UsageError: the pattern does not fit a weight, or would take none of it.
        """
        goals = [Goal(self.settings.pattern(weight), _final_sparsity(self.settings)) for weight in weights]
        for weight, goal in zip(weights, goals, strict=True):
            if isinstance(goal.pattern, NM):
                group_span(weight, goal.pattern, self.source)
            elif isinstance(goal.pattern, Block):
                _check_one_can_go(weight, goal.pattern, self.source)
        self.entries = tuple(MaskedWeight(weight, goal) for weight, goal in zip(weights, goals, strict=True))
        self.built = True
        self.arm()

    def arm(self) -> None:
        """Put the masks on the variables, as they were; masks of others on them are taken off.

        Raises:
            UsageError: a Pruner moves one of them.
        """
        for entry in self.entries:
            if not isinstance(entry.weight.variable.constraint, TrainedMask):
                require_free(entry.weight.variable, self, self.training, self.source)
        for entry in self.entries:
            variable = entry.weight.variable
            while isinstance(variable.constraint, MaskConstraint):
                variable.constraint = variable.constraint.inner
            entry.arm(TrainedMask(variable, self))

    @property
    def armed(self) -> bool:
        """Whether every variable has its mask."""
        return all(entry.armed for entry in self.entries)

    def disarm(self) -> None:
        """Set what the masks empty to zero once more and take them off; nothing holds the zeros any more."""
        if self.armed:
            self.apply()
            for entry in self.entries:
                entry.disarm()
        self.active = False

    def holds(self, training: Any) -> bool:
        """Whether a callback moves the masks, in this training or in a loop of one's own."""
        return self.active and (not self.training or self.training is training)

    def apply(self) -> None:
        """Set what the masks empty to zero: an average that the optimizer keeps may have been written over it."""
        for entry in self.entries:
            if entry.keep is not None:
                entry.set(entry.keep)

    def due(self, step: int) -> bool:
        """Whether the masks change between the latest advance() and this one."""
        return any(self.settings.pruning_schedule.is_update(s) for s in range(self._asked + 1, step + 1))

    def advance(self, step: int) -> None:
        """Tell that `step` batches were trained on: masks that the schedule moved on the way there are computed."""
        if self.due(step):
            self.update(step)
        self._asked = self.step = step

    def resume(self, step: int) -> None:
        """Go on after `step` batches; the schedule is asked about this step again, which changes nothing twice."""
        self.step, self._asked = step, step - 1

    def update(self, step: int) -> None:
        """Compute all masks for a step.

        Raises:
            TrainingError: a weight is NaN.
        """
        for entry in self.entries:
            try:
                entry.set(self._keep(entry, step))
            except TrainingError as error:
                error.where = f"{self.source}, weights '{entry.weight.name}'"
                error.hint = "a lower learning rate, or clean the data"
                raise

    def require_callback(self) -> None:
        """Refuse to train without the callback.

        Raises:
            UsageError: no callback moves the masks.
        """
        if not self.active:
            error = UsageError(_NO_CALLBACK, where=self.source, hint=_CALLBACK_HINT)
            error._keras_call_info_injected = True  # type: ignore[attr-defined] # else Keras makes another one of it,
            error.ag_pass_through = True  # type: ignore[attr-defined] # and in a tf.function AutoGraph a StagingError
            raise error

    @property
    def sparsity(self) -> float:
        """The share of zeros over the layer's weights now."""
        size = sum(entry.weight.size for entry in self.entries)
        return sum(entry.sparsity * entry.weight.size for entry in self.entries) / size if size else 0.0

    @property
    def lack(self) -> str | None:
        """What a training that is over left undone; None where nothing is."""
        if not self.entries:
            return None
        for entry in self.entries:
            if isinstance(entry.pattern, NM):
                span = group_span(entry.weight, entry.pattern, self.source)
                wanted = 1 - float(grouped_mask(entry.weight.rows(), entry.pattern, span).mean())
                if entry.sparsity < wanted - _ROUNDING:
                    return (
                        f"{self.source} has {entry.sparsity:.1%} zeros, sparsity_m_by_n "
                        f"{self.settings.sparsity_m_by_n} needs {wanted:.1%}: let the schedule rise to "
                        f"{entry.goal.sparsity:g}"
                    )
        asked = self.settings.pruning_schedule.sparsity_at(max(self.step, 0))
        return None if self.sparsity else f"{self.source} has no zeros; its schedule asks for {asked:.1%} now"

    def _keep(self, entry: MaskedWeight, step: int) -> Mask:
        rows, schedule = entry.weight.rows(), self.settings.pruning_schedule
        if isinstance(entry.pattern, NM):
            share = min(schedule.sparsity_at(step, entry.goal.sparsity) / entry.goal.sparsity, 1.0)
            return grouped_mask(rows, entry.pattern, group_span(entry.weight, entry.pattern, self.source), share)
        units = unit_count(entry.pattern, *rows.shape)
        most = (units - 1) / units if units else 0.0  # one weight or block stays, as a layer of zeros passes nothing on
        return mask(rows, entry.pattern, min(schedule.sparsity_at(step), most), magnitude=True)


def _check_one_can_go(weight: PrunableWeight, pattern: Block, source: str) -> None:
    """A weight that is one block would stay dense, as one stays.

    Raises:
        UsageError: it is.
    """
    if unit_count(pattern, *weight.matrix_shape) == 1:
        raise UsageError(
            f"block_size covers all of a kernel of {weight.matrix_shape[1]} inputs by {weight.matrix_shape[0]} outputs:"
            " nothing would be pruned",
            where=weight.describe(source),
            hint="smaller blocks, or leave the layer out (a pruning_policy)",
        )


def group_span(weight: PrunableWeight, pattern: NM, source: str) -> int:
    """How many consecutive columns N:M groups lie within: the input channels of one place of a kernel, as TFLite's
    sparse kernels want it, or H*W*I where these are too few to be pruned. The last group of a span may be shorter.

    Raises:
        UsageError: no group would have a zero.
    """
    cols = weight.matrix_shape[1]
    inputs = [n for axis, n in enumerate(weight.shape) if axis not in weight.output_axes]
    channels = cols if weight.depthwise or not inputs else inputs[-1]
    if channels > pattern.n:
        return channels
    if cols > pattern.n:
        return cols
    raise UsageError(
        f"sparsity_m_by_n {(pattern.m - pattern.n, pattern.m)} would leave every weight: "
        f"an output has {cols} of them, {pattern.n} stay in each group",
        where=weight.describe(source),
        hint="leave the layer out (a pruning_policy), or prune it without sparsity_m_by_n",
    )


def grouped_mask(rows: Array, pattern: NM, span: int, share: float = 1.0) -> Mask:
    """An N:M mask of a matrix whose groups lie within each `span` columns; shorter groups count as filled with zeros.

    Args:
        share: how many of the zeros of the pattern are there, 0..1; those of the least magnitude come first.
    Raises:
        TrainingError: a weight is NaN.
    """
    lines = np.abs(rows.reshape(-1, span))
    filled = np.pad(lines, ((0, 0), (0, -span % pattern.m)), constant_values=-1)  # of a group, what fills it goes first
    gone = ~mask(filled, pattern)[:, :span]
    keep = without_smallest(lines, round(int(np.count_nonzero(gone)) * share), among=gone)
    return keep.reshape(rows.shape)


def two_integers(value: Any, name: str) -> tuple[int, int]:
    """A pair of integers out of a tuple or list.

    Raises:
        UsageError: it is something else.
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in pair):
        raise UsageError(f"{name} is a pair of integers, got {value!r}", hint=f"{name}=(2, 4)")
    return int(pair[0]), int(pair[1])


def threshold(entry: MaskedWeight) -> float:
    """The least magnitude among the weights that stay."""
    if entry.keep is None:
        return 0.0
    kept = entry.weight.rows()[entry.keep]
    return float(np.abs(kept).min()) if kept.size else 0.0


def _final_sparsity(settings: PruningSettings) -> float:
    """1 - N/M; of other patterns what the schedule says, which is asked at each step."""
    if settings.sparsity_m_by_n:
        zeros, group = settings.sparsity_m_by_n
        return zeros / group
    return 0.0
