"""Leave-one-out predictions of all rows from one fit: one Newton step away from each row.

::

    w₋ᵢ = w - (H - sᵢ Aᵢ Wᵢ Aᵢᵀ)⁻¹ sᵢ Aᵢ (yᵢ - pᵢ)     H = ∇²P(w) with all rows and the penalty, ∇P(w) = 0
    η₋ᵢ = ηᵢ - Qᵢ (I - WᵢQᵢ)⁻¹ (yᵢ - pᵢ)              Aᵢ, Wᵢ and Qᵢ = sᵢ Aᵢᵀ H⁻¹ Aᵢ: see ``leverage``

    two classes: Qᵢ = sᵢ qᵢ and Wᵢ = pᵢ (1 - pᵢ) are numbers, η₋ᵢ = ηᵢ - sᵢ qᵢ (yᵢ - pᵢ) / (1 - sᵢ wᵢ qᵢ)

A row is left out with all of its weight sᵢ.  The step is exact for a quadratic loss; its error in η₋ᵢ is of second
order in the leverage sᵢ wᵢ qᵢ, some (parameters / n)².

Source: D. Pregibon, Logistic regression diagnostics, Annals of Statistics 9, 1981; K. Rad, A. Maleki, A scalable
estimate of the out-of-sample prediction error via approximate leave-one-out, JRSS B 82, 2020.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from service.errors import SeparationError
from service.linear import metrics
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.estimator import LogisticRegression
from service.linear.factor import factorise
from service.linear.leverage import left_out_residuals
from service.linear.link import sigmoid, softmax
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The logistic regression of y on η without a penalty: slope 1 and intercept 0 are perfect calibration."""

    slope: float
    intercept: float


def leave_one_out_logits(objective: BinaryObjective | SoftmaxObjective, w: Vector) -> Matrix:
    """η₋ᵢ of every row at the optimum w of ``objective``, (n, 1) for two classes, else (n, K); formula: see the module.

    A row that alone determines a direction (leverage 1, which no finite optimum has without a penalty) gets a huge
    logit on the wrong side, never NaN for two classes.
    """
    _, _, hessian = objective.value_gradient_hessian(w)
    _, moved = left_out_residuals(objective, w, factorise(hessian))
    return np.asarray((objective.raw_prediction(w) + objective.offset).reshape(moved.shape) + moved, dtype=np.float64)


def leave_one_out_loss(objective: BinaryObjective | SoftmaxObjective, w: Vector) -> float:
    """Σ sᵢ lossᵢ(η₋ᵢ) / Σ sᵢ in nats per unit of weight, at the optimum w of ``objective``."""
    logits = leave_one_out_logits(objective, w) - np.reshape(objective.offset, (-1, 1))
    by_row = logits[:, 0] if isinstance(objective, BinaryObjective) else logits
    return objective.value_at(by_row, np.zeros_like(w)) / objective.rows.total_weight


def probabilities(logits: Matrix) -> Matrix:
    """P(class | row), (n, K), of the logits (n, 1) of two classes or (n, K) of more."""
    if logits.shape[1] > 1:
        return softmax(logits)
    return np.column_stack([sigmoid(-logits[:, 0]), sigmoid(logits[:, 0])])


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """How good predictions of rows are that the fit has not seen; weighted means over the rows.

    log_loss in nats a row.  roc_auc: None where it is not defined.  It pools predictions of n different fits, which
    puts a model that knows nothing below ½: a class is a little rarer in the fits that lack one of its rows.
    recalibration: of the logits η₋ᵢ; None for more than two classes, and where they separate the classes.
    """

    log_loss: float
    accuracy: float
    brier: float
    roc_auc: float | None
    recalibration: Recalibration | None


def figures(logits: Matrix, index: Index, weights: Vector) -> LeaveOneOut:
    """The figures of leave-one-out logits (n, k) against the classes 0…K-1 (n,), weighted (n,)."""
    p = probabilities(logits)
    roc_auc = metrics.roc_auc_ovr_macro(index, p, sample_weight=weights)
    return LeaveOneOut(
        log_loss=metrics.log_loss(index, p, sample_weight=weights),
        accuracy=metrics.accuracy_score(index, p.argmax(axis=1), sample_weight=weights),
        brier=metrics.brier_score(index, p, sample_weight=weights),
        roc_auc=None if math.isnan(roc_auc) else roc_auc,
        recalibration=recalibrate(logits[:, 0], index, weights) if logits.shape[1] == 1 else None,
    )


def recalibrate(logits: Vector, index: Index, weights: Vector) -> Recalibration | None:
    """Slope a and intercept b of P(y = 1) = σ(a η + b) by maximum likelihood; None where there is no finite one.

    Source: D. Cox, Two further applications of a model for binary regression, Biometrika 45, 1958.
    """
    estimator = LogisticRegression(C=math.inf)
    # Spent budgets are told by the status; a slope that is not certified is not quoted.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            estimator.fit(logits[:, None], index, weights)
        except SeparationError:
            return None
    if estimator.certificate_.rank != 2:
        return None
    return Recalibration(float(estimator.coef_[0, 0]), float(estimator.intercept_[0]))
