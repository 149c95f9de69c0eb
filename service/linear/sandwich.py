"""Robust covariances: what the scores of the rows vary by, between two inverse Hessians.

::

    V = (H + Λ)⁻¹ M (H + Λ)⁻¹        M = Σᵢ cᵢ gᵢ gᵢᵀ,   gᵢ = sᵢ (pᵢ - yᵢ) ⊗ (xᵢ, 1)

With the model right, M estimates H; with it wrong, V still is the variance of the estimate, around the best
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
from service.linear.factor import Factor, factorise
from service.linear.link import sigmoid, softmax
from service.linear.objective import Index, Matrix, Objective, Vector
from service.linear.objective_softmax import residuals

ROBUST = ("hc0", "hc1", "hc2", "hc3")
BY_LEVERAGE = {"hc2": 1, "hc3": 2}


def robust_covariance(objective: Objective, w: Vector, kind: str) -> Matrix:
    """The sandwich at the optimum w, (n_params, n_params).

    kind: the weights c of the rows: "hc0" 1, "hc1" n / (n - k), "hc2" 1 / (1 - h), "hc3" 1 / (1 - h)², with n rows, k
    free parameters and h the leverage.  Raises InvalidParameter: for "hc1" unless n > k, for "hc2" and "hc3" of
    softmax, where a leverage is a matrix and the literature knows several.
    """
    factor = _bread(objective, w)
    scores = row_scores(objective, w)
    if kind in BY_LEVERAGE:
        require_one_logit(kind, _n_logits(objective))
        # Below 1: only a row whose direction no other row has reaches it, and that one separates the classes.
        room = 1.0 - leverages(objective, w, factor)
        scores /= np.sqrt(room ** BY_LEVERAGE[kind])[:, None]
    return _sandwich(factor, scores) * (_small_sample_factor(objective) if kind == "hc1" else 1.0)


def clustered_covariance(objective: Objective, w: Vector, cluster: Index, n_clusters: int) -> Matrix:
    """The sandwich of clusters 0…G-1, (n,), whose rows may depend on one another, (n_params, n_params).

        M = G / (G - 1) Σ_g (Σ_{i in g} gᵢ)(Σ_{i in g} gᵢ)ᵀ

    The factor is that of Stata's ``logit, vce(cluster)``; statsmodels multiplies by (n - 1) / (n - k) besides.
    Source: K.-Y. Liang, S. Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73, 1986.
    """
    sums = np.zeros((n_clusters, objective.n_params))
    np.add.at(sums, cluster, row_scores(objective, w))
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


def require_one_logit(kind: str, n_logits: int) -> None:
    """Raise InvalidParameter for a covariance by leverages of more than one logit."""
    if kind in BY_LEVERAGE and n_logits > 1:
        raise InvalidParameter(
            f'covariance "{kind}" is for two classes; use "hc0" or "hc1" for more', pointer="/options/covariance"
        )


def row_scores(objective: Objective, w: Vector) -> Matrix:
    """The gradient of each row's weighted loss at w, (n, n_params); they sum to ∇P less the penalty's part."""
    logits, y = objective.raw_prediction(w), objective.class_index()
    residual = residuals(softmax(logits), y) if logits.ndim == 2 else _binary_residual(logits, y)[:, None]
    residual *= objective.rows.sample_weight[:, None]
    rows = objective.rows.augmented()
    return np.asarray((residual[:, :, None] * rows[:, None, :]).reshape(len(rows), -1), dtype=np.float64)


def _binary_residual(z: Vector, y: Index) -> Vector:
    """The residual p - y without cancellation: σ(z) for y = 0, -σ(-z) for y = 1."""
    sign = np.where(y > 0, -1.0, 1.0)
    return np.asarray(sign * sigmoid(sign * z), dtype=np.float64)


def leverages(objective: Objective, w: Vector, factor: Factor) -> Vector:
    """The leverage h = s p (1 - p) xᵀ(H + Λ)⁻¹x of each row, two classes only, (n,), in [0, 1).

    factor: of (H + Λ)⁻¹.  Source: D. Pregibon, Logistic regression diagnostics, Annals of Statistics 9, 1981.
    """
    z = objective.raw_prediction(w)
    curvature = objective.rows.sample_weight * sigmoid(z) * sigmoid(-z)
    return np.asarray(curvature * ((objective.rows.augmented() @ factor.F) ** 2).sum(axis=1), dtype=np.float64)


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
