"""The links are right to a few units in the last place, over the whole range of doubles, and never warn."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from service.linear import link
from service.linear.link import Array

# exp, log1p, a sum and a quotient round once each; exp(-|z|) below 2⁻¹⁰²² keeps no relative precision.
ROUNDING = 4 * np.finfo(np.float64).eps
SMALLEST_NORMAL = np.finfo(np.float64).tiny
SIZES = (1e-300, 1e-8, 1.0, 30.0, 40.0, 700.0, 1e3, 1e8)
ARGUMENTS = np.array([0.0, *SIZES, *(-size for size in SIZES)])


def exact(function: Callable[[mpmath.mpf], mpmath.mpf]) -> Array:
    with mpmath.workdps(700):
        return np.array([float(function(mpmath.mpf(z))) for z in ARGUMENTS.tolist()])


def exact_sigmoid(z: mpmath.mpf) -> mpmath.mpf:
    # e^1e8 has no use for its forty million digits, yet mpmath would take their logarithm.
    return 1 / (1 + mpmath.exp(-z)) if z > -1e4 else mpmath.mpf(0)


def exact_softplus(z: mpmath.mpf) -> mpmath.mpf:
    if abs(z) > 1e4:
        return max(z, mpmath.mpf(0))
    return mpmath.log(1 + mpmath.exp(z))


@pytest.mark.parametrize(
    ("computed", "reference"),
    [
        (link.sigmoid, exact_sigmoid),
        (link.log1pexp, exact_softplus),
        (link.log_sigmoid, lambda z: -exact_softplus(-z)),
    ],
    ids=["sigmoid", "log1pexp", "log_sigmoid"],
)
def test_links_are_exact_to_rounding(
    computed: Callable[[Array], Array], reference: Callable[[mpmath.mpf], mpmath.mpf]
) -> None:
    """Each link agrees with 700 digits within 4 eps, and is 0 where doubles underflow."""
    values = computed(ARGUMENTS)

    np.testing.assert_allclose(values, exact(reference), rtol=ROUNDING, atol=SMALLEST_NORMAL)


def test_complement_is_computed_by_symmetry() -> None:
    """1 - σ(z) is σ(-z), with all digits also where σ(z) rounds to 1."""
    complement = link.sigmoid(-ARGUMENTS)

    np.testing.assert_allclose(complement, exact(lambda z: exact_sigmoid(-z)), rtol=ROUNDING, atol=SMALLEST_NORMAL)
    np.testing.assert_allclose(link.sigmoid(ARGUMENTS) + complement, 1.0, rtol=ROUNDING)


def test_log_sigmoid_does_not_underflow() -> None:
    """The log-probability of a hopeless row is its logit, not -inf."""
    assert link.log_sigmoid(np.array([-1000.0])).item() == -1000.0


def test_softmax_of_two_classes_is_the_sigmoid() -> None:
    """For K = 2, softmax and log-softmax are the sigmoid and its logarithm of the difference of the logits."""
    logits = np.column_stack([np.zeros_like(ARGUMENTS), ARGUMENTS])

    np.testing.assert_allclose(link.softmax(logits)[:, 1], link.sigmoid(ARGUMENTS), rtol=ROUNDING)
    np.testing.assert_allclose(link.log_softmax(logits)[:, 1], link.log_sigmoid(ARGUMENTS), rtol=ROUNDING)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e8, 1e300])
def test_softmax_rows_are_probabilities(size: float) -> None:
    """Rows of probabilities are in [0, 1] and sum to 1 at any size of the logits, without a warning."""
    logits = size * np.random.default_rng(0).normal(size=(50, 7))

    p = link.softmax(logits)

    assert p.min() >= 0
    assert p.max() <= 1
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=7 * np.finfo(np.float64).eps)


def test_log_softmax_agrees_with_many_digits() -> None:
    """log-softmax keeps its digits both near 0 and far below the smallest double."""
    logits = np.array([[0.0, -40.0, -800.0], [1e-9, 0.0, -1.0], [3.0, 3.0, 3.0], [-1e6, 0.0, 5.0]])
    with mpmath.workdps(400):
        rows = [[mpmath.mpf(z) for z in row] for row in logits.tolist()]
        sums = [mpmath.log(mpmath.fsum(mpmath.exp(z) for z in row)) for row in rows]
        expected = [[float(z - total) for z in row] for row, total in zip(rows, sums, strict=True)]

    np.testing.assert_allclose(link.log_softmax(logits), expected, rtol=ROUNDING)


def test_log_sum_of_shifted_keeps_the_small_terms() -> None:
    """Of a row whose other terms are e⁻⁴⁰, the log of the sum is e⁻⁴⁰ and not 0."""
    total = link.log_sum_of_shifted(np.array([[0.0, -40.0], [-40.0, 0.0]]))

    np.testing.assert_allclose(total, np.exp(-40.0), rtol=ROUNDING)
