"""Wald, likelihood-ratio and score tests, and the table that shows them, against statsmodels and SciPy."""

from __future__ import annotations

import math
import re

import mpmath
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, strategies as st
from problems import drawn
from scipy import stats

from service import LogisticRegression
from service.errors import InvalidParameter
from service.linear.after_fit import score_test
from service.linear.coefficient_table import coefficient_table
from service.linear.columns.arrays import Matrix
from service.linear.intervals import normal_quantile
from service.linear.likelihood import chi_squared_tail, likelihood_ratio_test

# Both sides stop at gradients of 1e-12 and less.
CLOSE = 1e-8


def fitted(X: Matrix, y: object, **options: object) -> LogisticRegression:
    return LogisticRegression(C=math.inf, covariance="observed", tol=1e-13).set_params(**options).fit(X, y)


@given(st.floats(1e-12, 1e3), st.integers(1, 300))
def test_the_tail_of_chi_squared_is_that_of_scipy(statistic: float, df: int) -> None:
    """P(χ² ≥ x) agrees with SciPy for any degrees of freedom, down to probabilities of 1e-200."""
    expected = stats.chi2.sf(statistic, df)

    # The logarithms of the terms are some 1e3, so that their rounding is 1e-13 of each term.
    assert chi_squared_tail(statistic, df) == pytest.approx(expected, rel=1e-11, abs=1e-290)


@pytest.mark.parametrize("level", [1e-12, 0.5, 0.95, 0.999, 1 - 1e-12])
def test_the_normal_quantile_is_that_of_mpmath(level: float) -> None:
    """The z of a level has P(|N(0, 1)| ≤ z) = level, by 50 digits."""
    with mpmath.workdps(50):
        exact = mpmath.sqrt(2) * mpmath.erfinv(mpmath.mpf(level))

    # 1 - level is rounded before it is halved, and near 0 the tail is 1/2 to within an eps.
    assert normal_quantile(level) == pytest.approx(float(exact), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, math.nan, math.inf, 95.0])
def test_levels_outside_the_open_unit_interval_are_refused(level: float) -> None:
    """A level is above 0 and below 1: a percentage is refused."""
    with pytest.raises(InvalidParameter, match="above 0 and below 1"):
        normal_quantile(level)


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_table_of_spector_is_that_of_statsmodels(level: float) -> None:
    """z, P>|z|, intervals and odds ratios of the Spector data are statsmodels'."""
    data = sm.datasets.spector.load_pandas()
    theirs = sm.Logit(data.endog, sm.add_constant(data.exog, prepend=False)).fit(disp=0, method="newton", tol=1e-14)

    (table,) = fitted(data.exog, data.endog).coefficient_tables(level=level)

    interval = theirs.conf_int(1 - level)
    assert table.names == ("GPA", "TUCE", "PSI", "(intercept)")
    np.testing.assert_allclose(table.z, theirs.tvalues, rtol=CLOSE)
    np.testing.assert_allclose(table.p_value, theirs.pvalues, rtol=CLOSE)
    np.testing.assert_allclose(np.column_stack([table.low, table.high]), interval, rtol=CLOSE)
    np.testing.assert_allclose(table.odds_ratios(), np.exp(np.column_stack([theirs.params, interval])), rtol=1e-6)


def test_the_likelihood_of_spector_is_that_of_statsmodels() -> None:
    """Log-likelihood, that of the intercept alone, pseudo R² and the likelihood-ratio test are statsmodels'."""
    data = sm.datasets.spector.load_pandas()
    theirs = sm.Logit(data.endog, sm.add_constant(data.exog)).fit(disp=0, method="newton", tol=1e-14)

    likelihood = fitted(data.exog, data.endog).likelihood_

    test = likelihood.against_null()
    assert likelihood.log_likelihood == pytest.approx(theirs.llf, rel=1e-12)
    assert likelihood.null == pytest.approx(theirs.llnull, rel=1e-12)
    assert likelihood.pseudo_r_squared == pytest.approx(theirs.prsquared, rel=1e-12)
    assert (test.statistic, test.df, test.p_value) == pytest.approx((theirs.llr, 3, theirs.llr_pvalue), rel=1e-10)


def test_three_classes_have_the_likelihood_ratio_of_statsmodels() -> None:
    """For softmax the test of all columns has (K - 1) degrees of freedom a column, as MNLogit's."""
    X, y = drawn(200, 3, 3, spread=0.3)
    theirs = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, method="newton", tol=1e-14)

    test = fitted(X, y).likelihood_.against_null()

    # statsmodels fits the intercepts alone numerically, and less closely.
    assert (test.statistic, test.df, test.p_value) == pytest.approx((theirs.llr, 6, theirs.llr_pvalue), rel=1e-7)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_nested_fits_differ_by_their_columns(K: int, *, fit_intercept: bool) -> None:
    """Two omitted columns, one of them repeated, are 2 (K - 1) degrees of freedom; score and likelihood ratio are near."""
    X, y = drawn(2000, 4, K, spread=0.05)
    wide = np.column_stack([X, X[:, 3]])
    smaller, larger = (fitted(part, y, fit_intercept=fit_intercept) for part in (X[:, :2], wide))

    ratio = likelihood_ratio_test(smaller.likelihood_, larger.likelihood_)
    score = score_test(smaller, X[:, :2], y, wide[:, 2:])

    assert ratio.df == score.df == 2 * (K - 1)
    # The two differ by a term of third order in effects of some 0.1.
    assert score.statistic == pytest.approx(ratio.statistic, rel=0.05)


def test_the_score_test_is_its_formula() -> None:
    """With an intercept alone to begin with, Rao's statistic of a 0/1 column is Pearson's χ² of the 2 x 2 table."""
    counts = np.array([[12, 5], [7, 16]])
    x, y = np.repeat([0, 0, 1, 1], counts.ravel()), np.repeat([0, 1, 0, 1], counts.ravel())
    zeros = np.zeros((40, 1))

    test = score_test(fitted(zeros, y), zeros, y, x[:, None])

    pearson = stats.chi2_contingency(counts, correction=False)
    assert (test.statistic, test.df, test.p_value) == pytest.approx((pearson.statistic, 1, pearson.pvalue), rel=1e-9)


def test_what_cannot_be_tested_is_refused() -> None:
    """Penalised fits, other rows, and columns that add nothing are InvalidParameter."""
    X, y = drawn(50, 3)
    penalised, whole, part = LogisticRegression().fit(X, y), fitted(X, y), fitted(X[1:], y[1:])

    with pytest.raises(InvalidParameter, match="without a penalty; use C=inf"):
        penalised.likelihood_.against_null()
    with pytest.raises(InvalidParameter, match="without a penalty; use C=inf"):
        score_test(penalised, X, y, X)
    with pytest.raises(InvalidParameter, match="the same rows"):
        likelihood_ratio_test(part.likelihood_, whole.likelihood_)
    with pytest.raises(InvalidParameter, match="nothing to test"):
        score_test(whole, X, y, X[:, :1] * 2)
    with pytest.raises(InvalidParameter, match="must have the 50 rows"):
        score_test(whole, X, y, X[1:])


def test_the_summary_is_the_table_and_the_likelihood() -> None:
    """The text shows the known numbers of the Spector fit, and no word of a penalty."""
    data = sm.datasets.spector.load_pandas()

    text = fitted(data.exog, data.endog.astype(int), covariance="hc0").summary()

    assert "rows: 32   penalty: none   rank: 4   status: optimal" in text
    assert "log-likelihood: -12.8896   without columns: -20.5917   pseudo R²: 0.374" in text
    assert "χ²(3) = 15.4042, p = 0.001502" in text
    assert "standard errors: hc0" in text
    assert re.search(r"\nclass 1\n +coef +std err +z +P>\|z\| +\[0.025 +0.975\]\nGPA +2.82611 +1.268 ", text)
    assert "penalty the coefficients" not in text
    assert "average of all classes" not in text


def test_the_summary_tells_of_the_penalty_and_of_every_class() -> None:
    """Under a penalty the bias is told and no test made; each class has its table, without an intercept if none is fitted."""
    X, y = drawn(60, 2, 3)
    model = LogisticRegression(covariance="observed", fit_intercept=False).fit(X, y)

    text = model.summary(level=0.9)

    assert re.findall(r"^class (\d)$", text, re.MULTILINE) == ["0", "1", "2"]
    assert re.findall(r"^(x\d|\(intercept\)) ", text, re.MULTILINE) == ["x0", "x1"] * 3
    assert "[0.05" in text
    assert "likelihood-ratio" not in text
    assert "each is against the average of all classes" in text
    assert "their bias, estimated at the shrunken ones and so on the small side, is not in the standard errors" in text
    assert re.search(r"0\.95\] +bias\nx0 .* -?[\d.]+\nx1 ", text)
    with pytest.raises(InvalidParameter, match="covariance must be given to fit"):
        LogisticRegression().fit(X, y).summary()


def test_an_unknown_error_leaves_its_row_with_the_estimate() -> None:
    """A standard error of 0, or none at all, has no z, no interval, and one number in its line."""
    table = coefficient_table(["a", "b"], np.array([1.5, -2.0]), np.array([0.5, 0.0]))

    lines = coefficient_table(["a", "b"], np.array([1.5, -2.0]), None).lines()

    assert np.isnan([table.z[1], table.p_value[1], table.low[1], table.high[1]]).all()
    assert table.lines()[1].split() == ["a", "1.5", "0.5", "3.000", "0.0027", "0.520018", "2.47998"]
    assert [line.split() for line in [table.lines()[2], *lines[1:]]] == [["b", "-2"], ["a", "1.5"], ["b", "-2"]]
