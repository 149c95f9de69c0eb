"""How likely the labels are under a fit, and what that says of the columns that a smaller fit leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.errors import InvalidParameter
from service.linear.columns.arrays import Vector
from service.linear.objective import Objective


@dataclass(frozen=True, slots=True)
class ChiSquareTest:
    """A statistic that is χ² with ``df`` degrees of freedom where the smaller model holds, and P(χ² ≥ statistic)."""

    statistic: float
    df: int
    p_value: float

    @classmethod
    def of(cls, statistic: float, df: int) -> ChiSquareTest:
        """The test of a statistic; raises InvalidParameter for df < 1, where there is nothing to test."""
        if df < 1:
            raise InvalidParameter("there is nothing to test: the larger model has no more free parameters")
        return cls(statistic, df, chi_squared_tail(statistic, df))


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The likelihood of n_rows labels.

    log_likelihood: Σ sᵢ log pᵢ(yᵢ) at the fit, without the penalty, in nats.  null: the same of the fit without columns:
    each class's share, or 1 / K each where there is no intercept.  n_free and null_n_free: parameters that the rows can
    tell apart in the two.  total_weight: Σ sᵢ.  is_maximised: whether the fit maximised it, there being no penalty.
    """

    n_rows: int
    total_weight: float
    log_likelihood: float
    null: float
    n_free: int
    null_n_free: int
    is_maximised: bool

    @property
    def pseudo_r_squared(self) -> float:
        """1 - log_likelihood / null, in [0, 1] without a penalty.  Source: D. McFadden, 1974."""
        return 1.0 - self.log_likelihood / self.null

    def against_null(self) -> ChiSquareTest:
        """The likelihood-ratio test of all columns; raises InvalidParameter under a penalty or without columns."""
        null = Likelihood(
            n_rows=self.n_rows,
            total_weight=self.total_weight,
            log_likelihood=self.null,
            null=self.null,
            n_free=self.null_n_free,
            null_n_free=self.null_n_free,
            is_maximised=True,
        )
        return likelihood_ratio_test(null, self)


def likelihood_of(objective: Objective, w: Vector, value: float, rank: int | None) -> Likelihood:
    """The likelihood at w, where the penalised objective is ``value`` and (X, 1) has this rank (None: full)."""
    rows, y = objective.rows, objective.class_index()
    totals = np.bincount(y, weights=rows.sample_weight).astype(np.float64)
    contrasts = len(totals) - 1
    return Likelihood(
        n_rows=rows.n_rows,
        total_weight=rows.total_weight,
        log_likelihood=objective.penalty_at(w) - value,
        null=null_log_likelihood(totals, fit_intercept=rows.fit_intercept),
        n_free=(min(rows.n_rows, rows.width) if rank is None else rank) * contrasts,
        null_n_free=contrasts * int(rows.fit_intercept),
        is_maximised=not (objective.l2_params.any() or objective.l1_params.any()),
    )


def null_log_likelihood(totals: Vector, *, fit_intercept: bool) -> float:
    """The log-likelihood without columns, of classes with these weights > 0, (K,)."""
    shares = totals / totals.sum() if fit_intercept else np.full(len(totals), 1.0 / len(totals))
    return float(totals @ np.log(shares))


def likelihood_ratio_test(smaller: Likelihood, larger: Likelihood) -> ChiSquareTest:
    """Whether the larger of two nested fits to the same rows is better by more than chance.

        2 (ℓ_larger - ℓ_smaller)  is χ² with as many degrees of freedom as the larger has more free parameters

    Raises InvalidParameter where either fit is penalised, the rows differ, or the larger has no more parameters.
    Source: S. Wilks, Annals of Mathematical Statistics 9, 1938.
    """
    if not (smaller.is_maximised and larger.is_maximised):
        raise InvalidParameter(
            "the likelihood-ratio test is for fits without a penalty; use C=inf", pointer="/options/C"
        )
    if (smaller.n_rows, smaller.total_weight) != (larger.n_rows, larger.total_weight):
        raise InvalidParameter("the likelihood-ratio test is for two fits to the same rows and weights")
    statistic = 2.0 * (larger.log_likelihood - smaller.log_likelihood)
    return ChiSquareTest.of(max(statistic, 0.0), larger.n_free - smaller.n_free)


def chi_squared_tail(statistic: float, df: int) -> float:
    """P(χ² ≥ statistic) with df = 1, 2, … degrees of freedom, to some 13 digits.

        Σ_j e^{-x/2} (x/2)^j / Γ(j + 1) over j = 0, 1, … < df/2 (df even), or erfc(√(x/2)) and j = ½, 3/2, … (odd)

    All terms are positive, so that nothing cancels.  Source: M. Abramowitz, I. Stegun, 26.4.4 and 26.4.5.
    """
    half = 0.5 * statistic
    if half <= 0:
        return 1.0
    first = 0.5 * (df % 2)
    exponents = (first + step for step in range(df // 2))
    terms = [math.exp(j * math.log(half) - half - math.lgamma(j + 1.0)) for j in exponents]
    return min(math.fsum([*terms, math.erfc(math.sqrt(half)) if df % 2 else 0.0]), 1.0)
