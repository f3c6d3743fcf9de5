"""The schedule: how sparse at which step."""

from __future__ import annotations

import pytest

from mcuprune.errors import UsageError
from mcuprune.sparsity.schedule import UPDATES, ConstantSparsity, PolynomialDecay, PruningSchedule

GOOD = {"initial_sparsity": 0.0, "final_sparsity": 0.5, "begin_step": 0, "end_step": 1000}


def test_cubic_ramp() -> None:
    """It begins at the initial sparsity, ends at the final one, and follows the cubic in between."""
    ramp = PolynomialDecay(0.2, 0.8, 100, 300)
    assert ramp.sparsity_at(99) == 0.0
    assert ramp.sparsity_at(100) == pytest.approx(0.2)
    assert ramp.sparsity_at(200) == pytest.approx(0.8 - 0.6 * 0.5**3)
    assert [ramp.sparsity_at(step) for step in (300, 301, 10**9)] == [0.8] * 3
    values = [ramp.sparsity_at(step) for step in range(100, 301)]
    assert values == sorted(values) and ramp.final_step == 300


def test_other_goals_rise_alike() -> None:
    """A layer with another goal has the same share of it at each step."""
    ramp = PolynomialDecay(0.4, 0.8, 0, 100)
    for step in (0, 1, 50, 99, 100):
        assert ramp.sparsity_at(step, 0.5) == pytest.approx(ramp.sparsity_at(step) * 0.5 / 0.8)
    assert ramp.sparsity_at(100, 0.5) == 0.5
    assert PolynomialDecay(0, 0, 0, 10).sparsity_at(5, 0.5) == pytest.approx(0.5 - 0.5 * 0.5**3)


@pytest.mark.parametrize(("end", "every", "frequency"), [(100, 10, 10), (100, 2, None), (7, 1, None), (105, 10, 10)])
def test_updates(end: int, every: int, frequency: int | None) -> None:
    """Masks move every so many steps, and always at the end; later not."""
    ramp = PolynomialDecay(0, 0.5, 0, end, frequency=frequency)
    updates = [step for step in range(end + 50) if ramp.is_update(step)]
    assert updates == sorted({*range(0, end + 1, every), end})
    assert frequency or len(updates) <= UPDATES + 1


def test_at_once() -> None:
    """A ramp of no length, and a constant one, reach the goal with one update."""
    for schedule in (PolynomialDecay(0, 0.5, 3, 3), ConstantSparsity(0.5, 3, frequency=10)):
        assert [schedule.sparsity_at(step, 0.7) for step in (2, 3, 4)] == [0.0, 0.7, 0.7]
        assert [step for step in range(10) if schedule.is_update(step)] == [3]
    assert [step for step in range(30) if ConstantSparsity(0.5, 3, frequency=10).is_update(step)] == [3, 13, 23]
    again = ConstantSparsity(0.5, 0, 10, frequency=4)
    assert [step for step in range(20) if again.is_update(step)] == [0, 4, 8]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"final_sparsity": 1.0}, "not in"),
        ({"final_sparsity": float("nan")}, "not in"),
        ({"initial_sparsity": -0.1}, "not in"),
        ({"begin_step": -1}, "begins at step -1"),
        ({"begin_step": 10, "end_step": 9}, "begins at step 10 and ends at 9"),
        ({"power": 0}, "power"),
        ({"frequency": 0}, "frequency"),
    ],
)
def test_wrong_schedules(arguments: dict[str, float], complaint: str) -> None:
    """A schedule that makes no sense is refused when it is made."""
    with pytest.raises(UsageError, match=complaint):
        PolynomialDecay(**{**GOOD, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [(1.0, 0), (0.5, -1), (0.5, 10, 5), (0.5, 0, -2), (0.5, 0, 10, 0)])
def test_wrong_constants(arguments: tuple[float, ...]) -> None:
    """So is a constant one."""
    with pytest.raises(UsageError):
        ConstantSparsity(*arguments)  # type: ignore[arg-type]


def test_a_schedule_of_ones_own() -> None:
    """A subclass that says it all in __call__, as for TensorFlow Model Optimization, serves."""

    class Stairs(PruningSchedule):
        def __call__(self, step: int) -> tuple[bool, float]:
            return step % 10 == 0, min(0.1 * (step // 10), 0.5)

        def get_config(self) -> dict[str, object]:
            return {"class_name": "Stairs", "config": {}}

    stairs = Stairs.from_config(Stairs().get_config()["config"])  # type: ignore[arg-type]
    assert stairs.is_update(20) and not stairs.is_update(21) and stairs.sparsity_at(25, 0.9) == pytest.approx(0.2)
    assert stairs.final_step == -1


def test_configs() -> None:
    """A schedule of its config is equal to it; called, it gives both answers."""
    for schedule in (PolynomialDecay(0.2, 0.6, 10, 20, 5, 10), ConstantSparsity(0.7, 10, 20, 10)):
        assert type(schedule).from_config(schedule.get_config()["config"]) == schedule
        assert schedule(10) == (True, schedule.sparsity_at(10)) and schedule(11)[0] is False
