"""Robust covariances: what the scores of the rows vary by, between two inverse Hessians.

::

    V = (H + Λ)⁻¹ M (H + Λ)⁻¹        M = c Σᵢ gᵢgᵢᵀ,   gᵢ = sᵢ eᵢ ⊗ (xᵢ, 1)

    "hc0"   eᵢ = rᵢ = pᵢ - yᵢ
    "hc1"   the same, c = n / (n - k) with n rows and k free parameters; c = 1 otherwise
    "hc2"   eᵢ = (I - WᵢQᵢ)^-½ rᵢ; two classes: rᵢ / √(1 - hᵢ), h the leverage
    "hc3"   eᵢ = (I - WᵢQᵢ)⁻¹ rᵢ; two classes: rᵢ / (1 - hᵢ).  The jackknife of one Newton step: V is the sum of
            (w₋ᵢ - w)(w₋ᵢ - w)ᵀ over rows i, w₋ᵢ one step from w without the row

For W, Q and the sources of "hc2" and "hc3" with more than two classes see ``leverage``.  With the model right, M estimates H; with it wrong, V still is the variance of the estimate, around the best
approximation that the model has.  A weight is the row's share in the score here, not a count: weight 2 is not the row
twice, which would be two draws.

Source: H. White, Maximum likelihood estimation of misspecified models, Econometrica 50, 1982; J. MacKinnon, H. White,
Some heteroskedasticity-consistent covariance matrix estimators, Journal of Econometrics 29, 1985.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from service.errors import InvalidParameter
from service.linear.certificate import design_rank
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.factor import Factor, factorise
from service.linear.leverage import left_out_residuals, row_residuals, unbiased_residuals
from service.linear.objective import Objective
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective

ROBUST = ("hc0", "hc1", "hc2", "hc3")


def robust_covariance(objective: BinaryObjective | SoftmaxObjective, w: Vector, kind: str) -> Matrix:
    """The sandwich at the optimum w, (n_params, n_params), by one of ``ROBUST``; formulas: see the module.

    Raises InvalidParameter for "hc1" unless n > k.
    """
    factor = _bread(objective, w)
    residual = _residuals(objective, w, factor, kind)
    return _sandwich(factor, row_scores(objective, residual)) * (
        _small_sample_factor(objective) if kind == "hc1" else 1.0
    )


def _residuals(objective: BinaryObjective | SoftmaxObjective, w: Vector, factor: Factor, kind: str) -> Matrix:
    if kind == "hc2":
        return unbiased_residuals(objective, w, factor)
    if kind == "hc3":
        return left_out_residuals(objective, w, factor)[0]
    return row_residuals(objective, w)


def clustered_covariance(
    objective: BinaryObjective | SoftmaxObjective, w: Vector, cluster: Index, n_clusters: int
) -> Matrix:
    """The sandwich of clusters 0…G-1, (n,), whose rows may depend on one another, (n_params, n_params).

        M = G / (G - 1) Σ_g (Σ_{i in g} gᵢ)(Σ_{i in g} gᵢ)ᵀ

    The factor is that of Stata's ``logit, vce(cluster)``; statsmodels multiplies by (n - 1) / (n - k) besides.
    Source: K.-Y. Liang, S. Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73, 1986.
    """
    sums = np.zeros((n_clusters, objective.n_params))
    np.add.at(sums, cluster, row_scores(objective, row_residuals(objective, w)))
    return _sandwich(_bread(objective, w), sums) * (n_clusters / (n_clusters - 1.0))


def clusters(groups: npt.ArrayLike, n_rows: int) -> tuple[Index, int]:
    """Groups of any labels, (n,), as numbers 0…G-1, and G; raises InvalidParameter unless there are n and G ≥ 2."""
    names: npt.NDArray[Any] = np.asarray(groups)
    if names.shape != (n_rows,):
        raise InvalidParameter(f"groups must be one label for each of the {n_rows} rows")
    found, code = np.unique(names, return_inverse=True)
    if len(found) < 2:
        raise InvalidParameter("groups must name at least two clusters")
    return np.asarray(code, dtype=np.intp), len(found)


def row_scores(objective: Objective, residual: Matrix) -> Matrix:
    """The gradient of each row's weighted loss, (n, n_params), of residuals (n, k)."""
    rows, weighted = objective.rows.augmented(), objective.rows.sample_weight[:, None] * residual
    return np.asarray((weighted[:, :, None] * rows[:, None, :]).reshape(len(rows), -1), dtype=np.float64)


def free_params(objective: Objective) -> int:
    """Parameters that the rows can tell apart: the rank of (X, 1) for each logit but one of softmax."""
    return design_rank(objective.rows) * max(_n_logits(objective) - 1, 1)


def _n_logits(objective: Objective) -> int:
    return objective.n_params // objective.rows.width


def _bread(objective: Objective, w: Vector) -> Factor:
    return factorise(objective.value_gradient_hessian(w)[2])


def _sandwich(factor: Factor, scores: Matrix) -> Matrix:
    """(H + Λ)⁻¹ SᵀS (H + Λ)⁻¹ of scores S, (m, n_params)."""
    projected = scores @ factor.F
    return np.asarray(factor.F @ (projected.T @ projected) @ factor.F.T, dtype=np.float64)


def _small_sample_factor(objective: Objective) -> float:
    n_rows, k = objective.rows.n_rows, free_params(objective)
    if n_rows <= k:
        raise InvalidParameter(
            f'covariance "hc1" needs more rows than the {k} free parameters; use "hc0"', pointer="/options/covariance"
        )
    return n_rows / (n_rows - k)
