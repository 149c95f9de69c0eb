"""How certain the coefficients are: their covariance, and the bias that a penalty brings."""

from __future__ import annotations

import numpy as np

from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import factorise
from service.linear.objective import Objective
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.sandwich import ROBUST, robust_covariance

COVARIANCES = ("observed", *ROBUST)


def covariance_of(objective: BinaryObjective | SoftmaxObjective, w: Vector, kind: str) -> Matrix:
    """Covariance of the parameters at the optimum w, (n_params, n_params), by one of ``COVARIANCES``."""
    return observed_covariance(objective, w) if kind == "observed" else robust_covariance(objective, w, kind)


def observed_covariance(objective: Objective, w: Vector) -> Matrix:
    """Covariance of the parameters at the optimum w by the observed information, (n_params, n_params).

        V = (H + Λ)⁻¹ H (H + Λ)⁻¹,   H = Σ sᵢ ∇²lossᵢ,   Λ the penalty

    Without a penalty this is H⁻¹ (collinear columns: the pseudo-inverse).  With one it is the variance of the
    shrunken estimate around its own mean; the shrinkage itself, see ``shrinkage_bias``, is not in it.
    Source: S. le Cessie, J. van Houwelingen, Ridge estimators in logistic regression, Applied Statistics 41, 1992.
    """
    _, _, total = objective.value_gradient_hessian(w)
    # Not by subtracting Λ from the total: where the penalty dominates, that would leave its rounding only.
    _, _, of_loss = objective.without_penalty().value_gradient_hessian(w)
    F = factorise(total).F
    inner = F.T @ (of_loss - _gauge(objective, of_loss)) @ F
    return np.asarray(F @ inner @ F.T, dtype=np.float64)


def shrinkage_bias(objective: Objective, w: Vector) -> Vector:
    """How far the penalty moves the estimate on average, to first order, at the optimum w, (n_params,).

        -(H + Λ)⁻¹ Λ w

    0 without a penalty.  It is λ ∂w/∂λ, taken at the shrunken w in place of the unknown truth, and so on the small side.
    Source: see ``observed_covariance``.
    """
    penalty = objective.l2_params
    if not penalty.any():
        return np.zeros_like(w)
    return 0.0 - factorise(objective.value_gradient_hessian(w)[2]).solve(penalty * w)


def _gauge(objective: Objective, hessian: Matrix) -> Matrix:
    """What an unpenalised Hessian holds along the directions that move all classes alike: the loss has none there."""
    width = objective.rows.width
    n_classes = objective.n_params // width
    if n_classes == 1:
        return np.zeros_like(hessian)
    centre = np.kron(np.full((n_classes, n_classes), 1.0 / n_classes), np.eye(width))
    return np.asarray(centre @ hessian @ centre, dtype=np.float64)


def standard_errors(covariance: Matrix) -> Vector:
    """Square roots of the variances, (n_params,); a variance that rounding made negative counts as 0."""
    return np.asarray(np.sqrt(np.maximum(np.diag(covariance), 0.0)), dtype=np.float64)
