"""``CoefficientTable``: coefficients with Wald's tests and intervals, and the text that a statistician expects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from service.linear.certificate import Certificate
from service.linear.columns.arrays import Matrix, Vector
from service.linear.intervals import normal_quantile
from service.linear.likelihood import Likelihood

INTERCEPT = "(intercept)"
OF_SEVERAL_LOGITS = (
    "The coefficients of a column sum to 0 over the classes: each is against the average of all classes, and those of one "
    "class less those of another are the log-odds between the two."
)
UNDER_A_PENALTY = (
    "Under a penalty the coefficients are shrunk; their bias, estimated at the shrunken ones and so on the small side, "
    "is not in the standard errors."
)


@dataclass(frozen=True, slots=True)
class CoefficientTable:
    """m coefficients of one logit, all arrays (m,): estimate ± z-quantile · standard_error, and the test of 0.

        z = estimate / standard_error,   p_value = P(|N(0, 1)| ≥ |z|),   [low, high] of probability ``level``

    A standard error that is not known, or 0, leaves z, p_value, low and high not a number.  shrinkage_bias: how far a
    penalty moves the estimates on average, which none of these numbers makes up for; not a number where not known.
    Source: A. Wald, Transactions of the American Mathematical Society 54, 1943.
    """

    names: tuple[str, ...]
    estimate: Vector
    standard_error: Vector
    z: Vector
    p_value: Vector
    low: Vector
    high: Vector
    shrinkage_bias: Vector
    level: float

    def odds_ratios(self) -> Matrix:
        """What one unit more of each column multiplies the odds by, and the ends of its interval, (m, 3)."""
        with np.errstate(over="ignore"):
            return np.exp(np.column_stack([self.estimate, self.low, self.high]))

    def lines(self) -> list[str]:
        """A header and a row a coefficient, columns aligned; a row without a standard error ends with its estimate.

        The bias is shown where it is known and some of it is not 0.
        """
        width = max(map(len, self.names))
        tail = (1.0 - self.level) / 2
        ends = f"{f'[{tail:.3g}':>12}  {f'{1.0 - tail:.4g}]':>12}"
        header = f"{'':{width}}  {'coef':>12}  {'std err':>10}  {'z':>8}  {'P>|z|':>7}  {ends}"
        columns = [self.estimate, self.standard_error, self.z, self.p_value, self.low, self.high]
        if (np.abs(self.shrinkage_bias) > 0).any():
            header += f"  {'bias':>10}"
            columns.append(self.shrinkage_bias)
        rows = zip(*columns, strict=True)
        return [header, *(f"{name:{width}}{_cells(*row)}" for name, row in zip(self.names, rows, strict=True))]


def coefficient_table(
    names: Sequence[str],
    estimate: Vector,
    standard_error: Vector | None,
    shrinkage_bias: Vector | None = None,
    *,
    level: float = 0.95,
) -> CoefficientTable:
    """The table of coefficients, (m,), their standard errors and bias, (m,) or None; InvalidParameter for the level."""
    quantile = normal_quantile(level)
    known, bias = (np.full(len(estimate), np.nan) if one is None else one for one in (standard_error, shrinkage_bias))
    error = np.where(known > 0, known, np.nan)
    z = estimate / error
    # Two-sided: 2 (1 - Φ(|z|)) = erfc(|z| / √2).
    p_value = np.array([math.erfc(abs(one) / math.sqrt(2)) for one in z.tolist()])
    low, high = estimate - quantile * error, estimate + quantile * error
    return CoefficientTable(tuple(names), estimate, known, z, p_value, low, high, bias, level)


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


def footnotes(n_logits: int, *, is_penalised: bool) -> list[str]:
    """What a reader must know of the coefficients below their tables, an empty line before each note."""
    notes = [OF_SEVERAL_LOGITS] * (n_logits > 1) + [UNDER_A_PENALTY] * is_penalised
    return [line for note in notes for line in ("", note)]


def summary_text(
    labels: Iterable[object],
    tables: Sequence[CoefficientTable],
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
    lines += footnotes(len(tables), is_penalised=not likelihood.is_maximised)
    return "\n".join(lines) + "\n"


def _cells(estimate: float, error: float, z: float, p_value: float, low: float, high: float, *bias: float) -> str:
    if not error > 0:
        return f"  {estimate:12.6g}"
    test = f"  {estimate:12.6g}  {error:10.4g}  {z:8.3f}  {p_value:7.4f}  {low:12.6g}  {high:12.6g}"
    return test + "".join(f"  {one:10.4g}" for one in bias)
