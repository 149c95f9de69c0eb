"""Intervals of coefficients by the profile of the likelihood, and of probabilities by the delta method."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, strategies as st
from problems import drawn
from scipy.optimize import brentq
from scipy.special import expit, logit, softmax as peer_softmax
from scipy.stats import chi2

from service import LogisticRegression
from service.errors import InvalidParameter
from service.linear.after_fit import profile_interval
from service.linear.checks import Labels
from service.linear.coefficient_table import INTERCEPT
from service.linear.columns.arrays import Matrix, Vector
from service.linear.intervals import probability_intervals

STEP = 1e-6


def brute_force(X: Matrix, y: Labels, column: int, level: float, weights: Vector | None = None) -> tuple[float, float]:
    """The profile interval by statsmodels fits with an offset and SciPy's root finder."""
    design = sm.add_constant(X, prepend=False)
    options = {"freq_weights": weights, "family": sm.families.Binomial()}
    best = sm.GLM(y, design, **options).fit(tol=1e-14)

    def excess(b: float) -> float:
        held = sm.GLM(y, np.delete(design, column, axis=1), offset=b * design[:, column], **options).fit(tol=1e-14)
        return float(2 * (best.llf - held.llf) - chi2.ppf(level, 1))

    centre, far = float(best.params[column]), 6 * float(best.bse[column])
    return brentq(excess, centre - far, centre, xtol=1e-11), brentq(excess, centre, centre + far, xtol=1e-11)


@pytest.mark.parametrize("column", [0, 1, 2, INTERCEPT])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_profile_of_spector_is_found_by_brute_force(column: int | str, level: float) -> None:
    """Both ends, for each column and the intercept, are those of refits under SciPy's root finder."""
    data = sm.datasets.spector.load_pandas()
    X, y = np.asarray(data.exog), np.asarray(data.endog)
    model = LogisticRegression(C=math.inf).fit(X, y)

    ends = profile_interval(model, X, y, column, level=level)

    assert ends == pytest.approx(brute_force(X, y, 3 if column == INTERCEPT else int(column), level), rel=1e-7)


@pytest.mark.parametrize("centre", [0.0, 2007.0])
def test_the_intercept_is_a_column_of_ones(centre: float) -> None:
    """The profile of the intercept is that of a constant column without one, also where columns are far from 0."""
    X, y = drawn(60, 2, spread=0.5)
    X, weights = X + np.array([centre, 0.0]), 1.0 + np.arange(60, dtype=np.float64) % 3
    with_ones = np.column_stack([X, np.ones(60)])
    model = LogisticRegression(C=math.inf).fit(X, y, weights)
    explicit = LogisticRegression(C=math.inf, fit_intercept=False).fit(with_ones, y, weights)

    ends = profile_interval(model, X, y, INTERCEPT, sample_weight=weights)

    assert ends[0] < model.intercept_.item() < ends[1]
    assert ends == pytest.approx(profile_interval(explicit, with_ones, y, 2, sample_weight=weights), rel=1e-6)


def test_the_profile_knows_weights() -> None:
    """A weight of 2 is the row twice, for the profile as for the fit."""
    X, y = drawn(40, 2, spread=0.5)
    weights = 1.0 + np.arange(40, dtype=np.float64) % 3
    model = LogisticRegression(C=math.inf).fit(X, y, weights)

    ends = profile_interval(model, X, y, 0, sample_weight=weights)

    assert ends == pytest.approx(brute_force(X, y, 0, 0.95, weights), rel=1e-7)


def test_one_column_without_intercept_has_a_profile() -> None:
    """With nothing else to fit, the ends are where twice the lost log-likelihood is the quantile."""
    x, y = np.array([[-1.0], [-0.5], [0.5], [1.0], [2.0]]), np.array([0, 1, 0, 1, 1])
    model = LogisticRegression(C=math.inf, fit_intercept=False).fit(x, y)

    ends = profile_interval(model, x, y, 0)

    def loss(b: float) -> float:
        return float(np.logaddexp(0, np.where(y > 0, -1, 1) * x[:, 0] * b).sum())

    lost = [2 * (loss(end) - loss(model.coef_.item())) for end in ends]
    assert lost == pytest.approx([chi2.ppf(0.95, 1)] * 2, rel=1e-8)


def test_what_the_rows_cannot_tell_has_no_end() -> None:
    """One of two equal columns may have any coefficient, and the intercept beside a constant column: the whole line."""
    X, y = drawn(40, 2, spread=0.5)
    twice, constant = np.column_stack([X, X[:, 0]]), np.column_stack([X, np.full(40, 7.0)])

    asked: list[tuple[Matrix, int | str]] = [(twice, 2), (constant, 2), (constant, INTERCEPT)]
    intervals = [
        profile_interval(LogisticRegression(C=math.inf).fit(columns, y), columns, y, column)
        for columns, column in asked
    ]

    assert intervals == [(-math.inf, math.inf)] * 3


def test_profiles_that_do_not_exist_are_refused() -> None:
    """A penalty, three classes, an unknown column, an intercept that is not there and a percentage are InvalidParameter."""
    X, y = drawn(60, 2, 3)
    binary = LogisticRegression(C=math.inf).fit(X, y > 0)

    with pytest.raises(InvalidParameter, match="without a penalty"):
        profile_interval(LogisticRegression().fit(X, y > 0), X, y > 0, 0)
    with pytest.raises(InvalidParameter, match="for two classes"):
        profile_interval(LogisticRegression(C=math.inf).fit(X, y), X, y, 0)
    for column in (2, -1, "x0"):
        with pytest.raises(InvalidParameter, match=r'from 0 to 1, or "\(intercept\)"$'):
            profile_interval(binary, X, y > 0, column)
    with pytest.raises(InvalidParameter, match=r"from 0 to 1$"):
        profile_interval(binary.set_params(fit_intercept=False).fit(X, y > 0), X, y > 0, INTERCEPT)
    with pytest.raises(InvalidParameter, match="above 0 and below 1"):
        profile_interval(binary, X, y > 0, 0, level=95)


@pytest.mark.parametrize("K", [2, 3, 4])
def test_probabilities_have_the_interval_of_the_delta_method(K: int) -> None:
    """Each limit is σ(ζ ± 1.96 √(aᵀVa)), a being the slope of the log-odds ζ in every parameter, by differences."""
    X, y = drawn(120, 2, K)
    model = LogisticRegression(covariance="observed").fit(X, y)
    w = np.column_stack([model.coef_, model.intercept_]).ravel()
    rows = np.column_stack([X, np.ones(len(X))])

    def log_odds(parameters: Vector) -> Matrix:
        z = rows @ parameters.reshape(-1, 3).T
        return np.asarray(logit(peer_softmax(np.column_stack([0 * z, z]) if K == 2 else z, axis=1)[:, -K:]))

    found = probability_intervals(X, model.decision_function(X).reshape(len(X), -1), model.covariance_, 0.95)

    slopes = np.stack(
        [(log_odds(w + unit) - log_odds(w - unit)) / (2 * STEP) for unit in STEP * np.eye(len(w))], axis=2
    )
    half = 1.959963984540054 * np.sqrt(np.einsum("nka,ab,nkb->nk", slopes, model.covariance_, slopes))
    expected = np.stack([expit(log_odds(w) - half), expit(log_odds(w) + half)], axis=2)
    # Central differences of step 1e-6 are good to some 1e-9.
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_two_classes_have_the_interval_of_statsmodels() -> None:
    """On the Spector data the limits of P(y = 1) are those of statsmodels' ``get_prediction`` on the logit scale."""
    data = sm.datasets.spector.load_pandas()
    X, y = np.asarray(data.exog), np.asarray(data.endog).astype(np.intp)
    design = sm.add_constant(X, prepend=False)
    theirs = sm.GLM(y, design, family=sm.families.Binomial()).fit(tol=1e-14).get_prediction(design).conf_int()
    model = LogisticRegression(C=math.inf, covariance="observed").fit(X, y)

    found = probability_intervals(X, model.decision_function(X)[:, None], model.covariance_, 0.95)

    np.testing.assert_allclose(found[:, 1], theirs, rtol=1e-7)
    np.testing.assert_allclose(found[:, 0], 1 - theirs[:, ::-1], rtol=1e-7)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(2, 4))
def test_intervals_grow_with_the_level_and_hold_the_estimate(first: float, second: float, K: int) -> None:
    """The interval of a higher level holds that of a lower one, which holds the probability, within 0 and 1."""
    X, y = drawn(60, 2, K)
    model = LogisticRegression(covariance="observed").fit(X, y)
    logits, p = model.decision_function(X).reshape(len(X), -1), model.predict_proba(X)

    inner, outer = (probability_intervals(X, logits, model.covariance_, level) for level in sorted([first, second]))

    assert ((outer[..., 0] <= inner[..., 0]) & (inner[..., 1] <= outer[..., 1])).all()
    assert ((inner[..., 0] < p) & (p < inner[..., 1])).all()
    assert ((outer >= 0) & (outer <= 1)).all()


@pytest.mark.parametrize("K", [2, 3])
def test_of_a_row_beyond_all_bounds_nothing_is_known(K: int) -> None:
    """Where the variance of a logit overflows, the limits are within [0, 1] and no warning is given."""
    X, y = drawn(60, 2, K)
    model = LogisticRegression(covariance="observed").fit(X, y)
    far = np.array([[1e200, -1e200], [1e307, 1e307]])

    found = probability_intervals(far, far @ model.coef_.T, model.covariance_, 0.95)

    assert ((found >= 0) & (found <= 1)).all()
    assert (found[..., 0] <= found[..., 1]).all()
