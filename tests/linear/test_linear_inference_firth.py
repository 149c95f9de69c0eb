"""Firth's regression: closed forms, the maximum of the penalised likelihood in 40 digits, and what it must not mind."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mpmath
import numpy as np
import pytest
from problems import SEPARATED, Problem, drawn
from scipy.stats import chi2

from service import LogisticRegression
from service.errors import InvalidParameter, SingleClass, TooManyClasses, Underdetermined
from service.linear.checks import Labels
from service.linear.columns.arrays import Matrix
from service.linear.firth import firth_logistic, firth_test

# ``firth_logistic`` stops 1e-9 standard errors from the maximum.
CLOSE = 1e-7


def penalised(X: Matrix, y: Labels, w: Sequence[mpmath.mpf]) -> mpmath.mpf:
    """ℓ + ½ log |I| of rows X, (n, q), by its definition, at the precision of mpmath's context."""
    information, total = mpmath.zeros(len(w)), mpmath.mpf(0)
    for x, label in zip(X.tolist(), y.tolist(), strict=True):
        p = 1 / (1 + mpmath.exp(-sum(a * b for a, b in zip(x, w, strict=True))))
        total += mpmath.log(p if label else 1 - p)
        column = mpmath.matrix(x)
        information += p * (1 - p) * column * column.T
    return total + mpmath.log(mpmath.det(information)) / 2


def maximum(
    X: Matrix, y: Labels, start: Sequence[float], held: int | None = None
) -> tuple[list[mpmath.mpf], mpmath.mpf]:
    """Where the slopes of ``penalised`` by differences vanish, near ``start``, and what it is there; ``held`` stays 0."""
    free = [i for i in range(len(start)) if i != held]

    def at(values: Sequence[mpmath.mpf]) -> mpmath.mpf:
        w = [mpmath.mpf(0)] * len(start)
        for i, value in zip(free, values, strict=True):
            w[i] = value
        return penalised(X, y, w)

    def slopes(*w: mpmath.mpf) -> list[mpmath.mpf]:
        step = mpmath.mpf(10) ** -12
        units = [[step * (i == j) for j in range(len(w))] for i in range(len(w))]
        moved = [[[a + sign * b for a, b in zip(w, unit, strict=True)] for sign in (1, -1)] for unit in units]
        return [(at(forth) - at(back)) / (2 * step) for forth, back in moved]

    found = list(mpmath.findroot(slopes, [mpmath.mpf(round(start[i], 2)) for i in free], tol=1e-25))
    return found, at(found)


@pytest.mark.parametrize("spread", [0.5, 50.0], ids=["overlapping", "separated"])
def test_the_fit_is_the_maximum_of_the_penalised_likelihood(spread: float) -> None:
    """Coefficients agree with a maximisation in 40 digits, on classes that overlap and on classes that do not."""
    X, y = drawn(20, 2, spread=spread)

    fit = firth_logistic(X, y)

    with mpmath.workdps(40):
        w, _ = maximum(np.column_stack([X, np.ones(20)]), y, [*fit.coef, fit.intercept])
    assert fit.has_converged
    assert [*fit.coef, fit.intercept] == pytest.approx([float(value) for value in w], rel=CLOSE)


def test_the_test_of_a_column_is_the_difference_of_two_maxima() -> None:
    """Twice the difference of the maxima with and without a column, both with the determinant of all, is the statistic."""
    X, y = drawn(20, 2, spread=50.0)
    rows = np.column_stack([X, np.ones(20)])
    fit = firth_logistic(X, y)

    test = firth_test(X, y, [1])

    with mpmath.workdps(40):
        _, whole = maximum(rows, y, [*fit.coef, fit.intercept])
        _, without = maximum(rows, y, [0.5, 0.0, 0.0], held=1)
    assert test.statistic == pytest.approx(2 * float(whole - without), rel=CLOSE)
    assert test.p_value == pytest.approx(chi2.sf(test.statistic, 1), rel=1e-9)
    assert test.df == 1


@pytest.mark.parametrize(("positive", "negative"), [(3, 17), (1, 1), (40, 2)])
def test_an_intercept_alone_adds_half_to_both_counts(positive: int, negative: int) -> None:
    """A column of ones without another intercept gives log((k + ½) / (n - k + ½))."""
    y = np.repeat([1, 0], [positive, negative])

    fit = firth_logistic(np.ones((len(y), 1)), y, fit_intercept=False)

    assert fit.coef[0] == pytest.approx(math.log((positive + 0.5) / (negative + 0.5)), rel=CLOSE, abs=1e-8)
    assert fit.intercept == 0.0


def test_a_two_by_two_table_adds_half_to_every_cell() -> None:
    """An empty cell makes the odds ratio of maximum likelihood infinite; Firth's is that of the table plus ½."""
    counts = {(0, 0): 2, (0, 1): 1, (1, 0): 0, (1, 1): 3}
    x, y = (np.repeat([cell[i] for cell in counts], list(counts.values())) for i in range(2))

    fit = firth_logistic(x[:, None], y)

    assert fit.intercept == pytest.approx(math.log(1.5 / 2.5), rel=CLOSE)
    assert fit.coef[0] == pytest.approx(math.log(3.5 / 0.5) - math.log(1.5 / 2.5), rel=CLOSE)


@pytest.mark.parametrize("problem", [one for one in SEPARATED if one.n_classes == 2 and len(one.X) > 25], ids=str)
def test_separated_classes_have_a_finite_fit(problem: Problem) -> None:
    """Where maximum likelihood is infinite, coefficients and standard errors are finite, and the fit has converged."""
    fit = firth_logistic(problem.X, problem.y)

    assert fit.has_converged
    assert np.isfinite([*fit.coef, fit.intercept]).all()
    assert (np.diag(fit.covariance) > 0).all()
    assert ((problem.X @ fit.coef + fit.intercept > 0) == (problem.y == 1)).mean() > 0.9


def test_many_rows_bring_it_to_maximum_likelihood() -> None:
    """The correction is of order 1 / n: with 20 000 rows the fit is that of maximum likelihood to some thousandths."""
    X, y = drawn(20_000, 2)
    model = LogisticRegression(C=math.inf, covariance="observed").fit(X, y)

    fit = firth_logistic(X, y)

    np.testing.assert_allclose(fit.coef, model.coef_[0], rtol=2e-3)
    np.testing.assert_allclose(fit.covariance, model.covariance_, rtol=1e-2, atol=1e-8)


def test_weights_labels_and_units_change_what_they_should() -> None:
    """Weight 2 is the row twice, 0 no row; swapped labels negate; other units of a column change its coefficient only."""
    X, y = drawn(30, 2)
    weights = np.arange(30, dtype=np.float64) % 3
    fit, plain = firth_logistic(X, y, weights), firth_logistic(X, y)

    twice = firth_logistic(np.repeat(X, weights.astype(int), axis=0), np.repeat(y, weights.astype(int)))
    swapped = firth_logistic(X, np.where(y == 1, "no", "yes"))
    moved = firth_logistic(X * [1e6, 1e-3] + [0.0, 5.0], y)

    np.testing.assert_allclose([*fit.coef, fit.intercept], [*twice.coef, twice.intercept], rtol=CLOSE)
    np.testing.assert_allclose([*swapped.coef, swapped.intercept], [*-plain.coef, -plain.intercept], rtol=CLOSE)
    np.testing.assert_allclose(moved.coef * [1e6, 1e-3], plain.coef, rtol=CLOSE)
    assert moved.penalised_log_likelihood == pytest.approx(plain.penalised_log_likelihood, rel=1e-12)
    assert swapped.classes.tolist() == ["no", "yes"]


def test_too_few_steps_are_told() -> None:
    """An outcome is a value: a fit that had one step says that it has not converged."""
    fit = firth_logistic(*drawn(30, 2), max_iter=1)

    assert (fit.n_iter, fit.has_converged) == (1, False)


def test_what_firth_cannot_fit_is_refused() -> None:
    """Three classes, one class, repeated columns, and tests of columns that are not there name the reason."""
    X, y = drawn(30, 2, 3)

    with pytest.raises(TooManyClasses, match="for two classes; y has 3"):
        firth_logistic(X, y)
    with pytest.raises(SingleClass):
        firth_logistic(X, np.zeros(30))
    with pytest.raises(Underdetermined, match="linearly independent"):
        firth_logistic(np.column_stack([X, X[:, 0]]), y > 0)
    for columns in ([], [2], [0, 0], [-1]):
        with pytest.raises(InvalidParameter, match="different whole numbers from 0 to 1"):
            firth_test(X, y > 0, columns)
