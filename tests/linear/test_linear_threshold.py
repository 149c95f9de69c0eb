"""The choice of a threshold, against trying every one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from service.errors import InvalidParameter, SingleClass
from service.linear.columns.arrays import Index, Vector
from service.linear.threshold import CRITERIA, Costs, Criterion, choose_threshold

COSTS = Costs(false_positive=1.0, false_negative=5.0)


def drawn(seed: int, digits: int) -> tuple[Index, Vector]:
    """Labels and probabilities that know something of them; few digits make ties."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=60)
    return (rng.uniform(size=60) < p).astype(np.intp), np.round(p, digits)


def score_at(y: Index, p: Vector, threshold: float, criterion: Criterion | Costs) -> float:
    """The criterion by its definition."""
    said = (p > threshold).astype(np.intp)
    false_positive, false_negative = int(((said == 1) & (y == 0)).sum()), int(((said == 0) & (y == 1)).sum())
    if isinstance(criterion, Costs):
        return -(criterion.false_positive * false_positive + criterion.false_negative * false_negative) / len(y)
    if criterion == "accuracy":
        return float(accuracy_score(y, said))
    if criterion == "f1":
        return float(f1_score(y, said, zero_division=0.0))
    return 1.0 - false_negative / int((y == 1).sum()) - false_positive / int((y == 0).sum())


@pytest.mark.parametrize("criterion", [*CRITERIA, COSTS], ids=str)
@pytest.mark.parametrize("digits", [1, 6])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_is_better(criterion: Criterion | Costs, digits: int, seed: int) -> None:
    """The score is the criterion at the threshold, and no threshold of a fine grid scores more."""
    y, p = drawn(seed, digits)

    choice = choose_threshold(y, p, criterion)

    tried = [score_at(y, p, threshold, criterion) for threshold in np.unique([*np.linspace(0, 1, 101), *p])]
    assert choice.score == pytest.approx(score_at(y, p, choice.threshold, criterion))
    assert choice.score == pytest.approx(max(tried))


@pytest.mark.parametrize("criterion", [*CRITERIA, COSTS], ids=str)
def test_weight_two_is_the_row_twice(criterion: Criterion | Costs) -> None:
    """Whole weights choose as repeated rows do."""
    y, p = drawn(7, 2)
    times = np.random.default_rng(8).integers(0, 4, size=60)

    weighted = choose_threshold(y, p, criterion, sample_weight=times.astype(np.float64))
    repeated = choose_threshold(np.repeat(y, times), np.repeat(p, times), criterion)

    assert weighted.score == pytest.approx(repeated.score)
    assert score_at(np.repeat(y, times), np.repeat(p, times), weighted.threshold, criterion) == pytest.approx(
        repeated.score
    )


def test_separated_classes_are_parted_in_the_middle() -> None:
    """Where every criterion can be perfect, the threshold lies halfway between the classes."""
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9])

    found = [choose_threshold(y, p, criterion) for criterion in (*CRITERIA, COSTS)]

    assert [choice.threshold for choice in found] == pytest.approx([0.4] * 4)
    assert [choice.score for choice in found] == pytest.approx([1.0, 1.0, 1.0, 0.0])


def test_ties_go_to_the_nearest_to_one_half() -> None:
    """Two thresholds with the same accuracy: the nearer to ½; as near, the smaller."""
    y = np.array([0, 1, 0, 1])

    near = choose_threshold(y, np.array([0.1, 0.2, 0.5, 0.75]), "accuracy")
    same = choose_threshold(y, np.array([0.125, 0.25, 0.75, 0.875]), "accuracy")

    assert near.threshold == pytest.approx(0.625)
    assert same.threshold == 0.1875


def test_costs_may_call_for_all_or_nothing() -> None:
    """When only one mistake costs, every row or none is called positive."""
    y, p = np.array([0, 1, 0]), np.array([0.3, 0.2, 0.6])

    everything = choose_threshold(y, p, Costs(0.0, 1.0))
    nothing = choose_threshold(y, np.array([0.3, 0.2, 1.0]), Costs(1.0, 0.5))

    assert (p > everything.threshold).all()
    assert nothing.threshold == 1.0


def test_probabilities_all_equal_leave_two_choices() -> None:
    """One probability for all rows: all positive below it or none, whichever is better."""
    y = np.array([0, 0, 1])

    accurate, thorough = (choose_threshold(y, np.full(3, 0.25), criterion) for criterion in CRITERIA[:2])

    assert (accurate.threshold, accurate.score) == pytest.approx((1.0, 2 / 3))
    assert (thorough.threshold, thorough.score) == pytest.approx((0.125, 0.5))


def test_neighbouring_doubles_and_zeros_are_told_apart() -> None:
    """A threshold lies below the greater of two neighbouring doubles; a p of 0 is never predicted."""
    low = 0.5
    pair = np.array([low, np.nextafter(low, 1.0)])

    tight = choose_threshold(np.array([0, 1]), pair, "accuracy")
    zeros = choose_threshold(np.array([1, 0]), np.zeros(2), "f1")

    assert (tight.threshold, tight.score) == (low, 1.0)
    assert (zeros.threshold, zeros.score) == (1.0, 0.0)


def test_what_has_no_threshold_is_refused() -> None:
    """One class, probabilities outside [0, 1], and negative costs are refused."""
    y, p = np.array([0, 1]), np.array([0.2, 0.7])

    with pytest.raises(SingleClass):
        choose_threshold(np.zeros(2, dtype=np.intp), p, "f1")
    with pytest.raises(InvalidParameter, match="between 0 and 1"):
        choose_threshold(y, 2 * p, "f1")
    with pytest.raises(InvalidParameter, match="costs"):
        choose_threshold(y, p, Costs(-1.0, 1.0))
