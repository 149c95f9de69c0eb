"""``CoefficientTable``: coefficients with Wald's tests and intervals, and the text that a statistician expects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from service.linear.certificate import Certificate
from service.linear.intervals import Matrix, Vector, normal_quantile
from service.linear.likelihood import Likelihood

INTERCEPT = "(intercept)"
UNDER_A_PENALTY = "Under a penalty the coefficients are shrunk; their bias is not in the standard errors."


@dataclass(frozen=True, slots=True)
class CoefficientTable:
    """m coefficients of one logit, all arrays (m,): estimate ± z-quantile · standard_error, and the test of 0.

        z = estimate / standard_error,   p_value = P(|N(0, 1)| ≥ |z|),   [low, high] of probability ``level``

    A standard error that is not known, or 0, leaves z, p_value, low and high not a number.
    Source: A. Wald, Transactions of the American Mathematical Society 54, 1943.
    """

    names: tuple[str, ...]
    estimate: Vector
    standard_error: Vector
    z: Vector
    p_value: Vector
    low: Vector
    high: Vector
    level: float

    def odds_ratios(self) -> Matrix:
        """What one unit more of each column multiplies the odds by, and the ends of its interval, (m, 3)."""
        with np.errstate(over="ignore"):
            return np.exp(np.column_stack([self.estimate, self.low, self.high]))

    def lines(self) -> list[str]:
        """A header and a row a coefficient, columns aligned; a row without a standard error ends with its estimate."""
        width = max(map(len, self.names))
        tail = (1.0 - self.level) / 2
        ends = f"{f'[{tail:.3g}':>12}  {f'{1.0 - tail:.4g}]':>12}"
        header = f"{'':{width}}  {'coef':>12}  {'std err':>10}  {'z':>8}  {'P>|z|':>7}  {ends}"
        numbers = zip(self.estimate, self.standard_error, self.z, self.p_value, self.low, self.high, strict=True)
        return [header, *(f"{name:{width}}{_cells(*row)}" for name, row in zip(self.names, numbers, strict=True))]


def coefficient_table(
    names: Sequence[str], estimate: Vector, standard_error: Vector | None, *, level: float = 0.95
) -> CoefficientTable:
    """The table of coefficients, (m,), and their standard errors, (m,) or None; raises InvalidParameter for the level."""
    quantile = normal_quantile(level)
    known = np.full(len(estimate), np.nan) if standard_error is None else standard_error
    error = np.where(known > 0, known, np.nan)
    z = estimate / error
    # Two-sided: 2 (1 - Φ(|z|)) = erfc(|z| / √2).
    p_value = np.array([math.erfc(abs(one) / math.sqrt(2)) for one in z.tolist()])
    low, high = estimate - quantile * error, estimate + quantile * error
    return CoefficientTable(tuple(names), estimate, known, z, p_value, low, high, level)


def likelihood_lines(likelihood: Likelihood) -> list[str]:
    """The likelihoods with and without columns, pseudo R², and, where the fit maximised it, the test of all columns."""
    of_fit, null = f"log-likelihood: {likelihood.log_likelihood:.6g}", f"without columns: {likelihood.null:.6g}"
    lines = [f"{of_fit}   {null}   pseudo R²: {likelihood.pseudo_r_squared:.4g}"]
    if likelihood.is_maximised and likelihood.n_free > likelihood.null_n_free:
        test = likelihood.against_null()
        lines.append(
            f"likelihood-ratio test of all columns: χ²({test.df}) = {test.statistic:.4f}, p = {test.p_value:.4g}"
        )
    return lines


def summary_text(
    labels: Iterable[object],
    tables: Iterable[CoefficientTable],
    *,
    likelihood: Likelihood,
    certificate: Certificate,
    C: float,
    covariance: str,
) -> str:
    """The summary of a fit: its rows, penalty, likelihood, and for each of ``labels`` the table of its coefficients."""
    penalty = "none" if math.isinf(C) else f"L2, C = {C:g}"
    lines = [
        "Logistic regression",
        f"rows: {likelihood.n_rows}   penalty: {penalty}   rank: {certificate.rank or 'not computed'}   status: {certificate.status}",
        *likelihood_lines(likelihood),
        f"standard errors: {covariance}",
    ]
    for label, table in zip(labels, tables, strict=True):
        lines += ["", f"class {label}", *table.lines()]
    if not likelihood.is_maximised:
        lines += ["", UNDER_A_PENALTY]
    return "\n".join(lines) + "\n"


def _cells(estimate: float, error: float, z: float, p_value: float, low: float, high: float) -> str:
    if not error > 0:
        return f"  {estimate:12.6g}"
    return f"  {estimate:12.6g}  {error:10.4g}  {z:8.3f}  {p_value:7.4f}  {low:12.6g}  {high:12.6g}"
