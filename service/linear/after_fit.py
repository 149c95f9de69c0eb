"""What can be asked of a fitted model with its rows at hand: clusters, omitted columns, the profile of the likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.errors import InvalidParameter
from service.linear import checks
from service.linear.certificate import design_rank
from service.linear.coefficient_table import INTERCEPT
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.estimator import LogisticRegression
from service.linear.factor import factorise
from service.linear.fit import objective_of
from service.linear.inference import observed_covariance
from service.linear.intervals import normal_quantile
from service.linear.likelihood import ChiSquareTest
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.sandwich import clustered_covariance, clusters
from service.linear.scaling import Scaling
from service.linear.solvers import Newton

# A side of the profile that has not been crossed so many doublings away from the estimate has no end.
MOST_DOUBLINGS = 60
MOST_STEPS = 100


@dataclass(frozen=True)
class FittedRows:
    """A fitted model on the rows of its fit: the objective on standardised columns, and the fit w, (n_params,)."""

    objective: BinaryObjective | SoftmaxObjective
    w: Vector
    scaling: Scaling

    @classmethod
    def of(cls, model: LogisticRegression, X: Any, y: Any, sample_weight: Any = None) -> FittedRows:
        """Raises InvalidParameter unless rows, labels and weights, all above 0, are those that ``model`` was fitted to.

        And where it was fitted with an L1 penalty.
        """
        if model.l1_ratio > 0 and math.isfinite(model.C):
            raise InvalidParameter(
                "this is for fits without an L1 penalty; use l1_ratio=0", pointer="/options/l1_ratio"
            )
        matrix = checks.as_matrix(X)
        checks.check_feature_count(matrix.shape[1], model.n_features_in_, type(model).__name__)
        labels, weights = checks.as_labels(y, len(matrix)), checks.as_weights(sample_weight, len(matrix))
        classes, index = checks.classes_and_index(labels)
        if not np.array_equal(classes, model.classes_) or not (weights > 0).all():
            raise InvalidParameter("these are not the rows of the fit: other classes, or rows of weight 0")
        weights = checks.with_class_weight(weights, index, classes, model.class_weight)
        scaling = Scaling.standard(matrix)
        if not model.fit_intercept:
            scaling = replace(scaling, centre=np.zeros_like(scaling.centre))
        rows = Rows(
            DenseColumns(scaling.apply(matrix)), weights, 1.0 / model.C / scaling.scale**2, bool(model.fit_intercept)
        )
        w = np.column_stack([model.coef_ * scaling.scale, model.intercept_ + model.coef_ @ scaling.centre])
        fitted = cls(objective_of(rows, index, len(classes)), w[:, : rows.width].ravel(), scaling)
        if not math.isclose(fitted.loss, -model.likelihood_.log_likelihood, rel_tol=1e-6, abs_tol=1e-6):
            raise InvalidParameter("these are not the rows of the fit: their likelihood is another one")
        return fitted

    @property
    def loss(self) -> float:
        """Σ sᵢ lossᵢ at the fit."""
        return self.objective.without_penalty().value(self.w)

    def raw_direction(self, position: int) -> Vector:
        """The d with dᵀw the parameter at this position of the raw columns and the intercept, two classes, (n_params,)."""
        direction = np.zeros(self.objective.n_params)
        if position < len(self.scaling.scale):
            direction[position] = 1.0 / self.scaling.scale[position]
            return direction
        # On standardised columns the intercept is that of the average row.
        direction[:-1], direction[-1] = -self.scaling.centre / self.scaling.scale, 1.0
        return direction


def cluster_covariance(model: LogisticRegression, X: Any, y: Any, groups: Any, sample_weight: Any = None) -> Matrix:
    """Covariance of the raw parameters, laid out like ``covariance_``, where rows of a group depend on one another.

    X, y, sample_weight: those of the fit.  groups: a label for each row, (n,).  Formula and source:
    ``sandwich.clustered_covariance``.  Raises the errors of ``FittedRows.of`` and InvalidParameter for the groups.
    """
    fitted = FittedRows.of(model, X, y, sample_weight)
    cluster, n_clusters = clusters(groups, fitted.objective.rows.n_rows)
    covariance = clustered_covariance(fitted.objective, fitted.w, cluster, n_clusters)
    return fitted.scaling.covariance_to_raw(covariance, has_intercept=bool(model.fit_intercept))


def score_test(model: LogisticRegression, X: Any, y: Any, omitted: Any, sample_weight: Any = None) -> ChiSquareTest:
    """Rao's test of columns that the model leaves out, (n, m): without a fit that has them.

        gᵀH⁻¹g  is χ²,  g and H the gradient and Hessian of the loss with the columns added, at coefficient 0

    Degrees of freedom: what the columns add to the rank, for each free class.  X, y, sample_weight: those of the fit.
    Raises InvalidParameter under a penalty and where the columns add nothing; the errors of ``FittedRows.of``.
    Source: C. R. Rao, Proceedings of the Cambridge Philosophical Society 44, 1948.
    """
    _require_unpenalised(model, "the score test")
    fitted = FittedRows.of(model, X, y, sample_weight)
    rows, more = fitted.objective.rows, checks.as_matrix(omitted)
    if len(more) != rows.n_rows:
        raise InvalidParameter(f"the omitted columns must have the {rows.n_rows} rows of X")
    added = Scaling.standard(more).apply(more) if rows.fit_intercept else more
    both = np.column_stack([rows.augmented()[:, : rows.n_columns], added])
    larger = replace(fitted.objective, rows=replace(rows, X=DenseColumns(both), l2=np.zeros(both.shape[1])))
    n_columns, by_logit = rows.n_columns, fitted.w.reshape(-1, rows.width)
    w = np.insert(by_logit, [n_columns] * more.shape[1], 0.0, axis=1).ravel()
    _, gradient, hessian = larger.value_gradient_hessian(w)
    df = (design_rank(larger.rows) - design_rank(rows)) * (len(model.classes_) - 1)
    return ChiSquareTest.of(float(gradient @ factorise(hessian).solve(gradient)), df)


def profile_interval(
    model: LogisticRegression, X: Any, y: Any, column: int | str, *, level: float = 0.95, sample_weight: Any = None
) -> tuple[float, float]:
    """The values of one coefficient, or of the intercept, that a likelihood-ratio test at 1 - level does not reject.

        { b : 2 (ℓ(fit) - max ℓ over the other parameters with this one at b) ≤ χ²₁ quantile of level }

    Better than the Wald interval where the likelihood is not symmetric: few rows, rare classes.  Two classes, no
    penalty.  column: its number in X, or "(intercept)".  Both ends are infinite where the other columns make up for any
    value, as for one of two equal columns.
    Raises InvalidParameter, and the errors of ``FittedRows.of``.
    Source: D. Venzon, S. Moolgavkar, Applied Statistics 37, 1988.
    """
    _require_unpenalised(model, "the profile interval")
    if len(model.classes_) != 2:
        raise InvalidParameter("the profile interval is for two classes")
    position = _position(model, column)
    z = normal_quantile(level)
    fitted = FittedRows.of(model, X, y, sample_weight)
    profile = _Profile.of(fitted, fitted.raw_direction(position))
    if design_rank(profile.others.rows) == design_rank(fitted.objective.rows):
        return -math.inf, math.inf
    step = z * profile.standard_error
    low, high = (_crossing(lambda t: profile.lost(t) - z**2, profile.at_fit, side * step) for side in (-1.0, 1.0))
    return low * profile.unit, high * profile.unit


def _position(model: LogisticRegression, column: int | str) -> int:
    """Where the parameter is among the columns and the intercept; raises InvalidParameter where it is not."""
    last = int(model.n_features_in_) - 1
    if column == INTERCEPT and model.fit_intercept:
        return last + 1
    if isinstance(column, str) or not 0 <= column <= last:
        intercept = f', or "{INTERCEPT}"' if model.fit_intercept else ""
        raise InvalidParameter(f"column must be a whole number from 0 to {last}{intercept}")
    return column


@dataclass(frozen=True)
class _Profile:
    """The likelihood of two classes with the parameters held at t along one direction, the others free.

    With the direction d, |d| = 1, and N an orthonormal basis of what is at right angles to it, w = t d + N u:
    the logits are (X, 1) N u with the offset t (X, 1) d.  others: the objective in u, at offset 0.  moved: (X, 1) d.
    at_fit, start: t and u of the fit.  drift: du / dt of the profile there.  unit: of t, in that of the parameter.
    """

    others: BinaryObjective
    moved: Vector
    at_fit: float
    start: Vector
    drift: Vector
    standard_error: float
    best: float
    unit: float

    @classmethod
    def of(cls, fitted: FittedRows, direction: Vector) -> _Profile:
        """The profile of directionᵀw, (n_params,)."""
        objective = fitted.objective
        assert isinstance(objective, BinaryObjective)
        length = float(np.linalg.norm(direction))
        d = direction / length
        others = np.linalg.qr(d[:, None], mode="complete")[0][:, 1:]
        augmented, variances = objective.rows.augmented(), observed_covariance(objective, fitted.w) @ d
        variance = max(float(d @ variances), 0.0)
        rows = replace(
            objective.rows, X=DenseColumns(augmented @ others), l2=np.zeros(others.shape[1]), fit_intercept=False
        )
        return cls(
            others=replace(objective, rows=rows),
            moved=augmented @ d,
            at_fit=float(d @ fitted.w),
            start=fitted.w @ others,
            drift=variances @ others / (variance or math.inf),
            standard_error=math.sqrt(variance),
            best=fitted.loss,
            unit=length,
        )

    def lost(self, t: float) -> float:
        """Twice the log-likelihood that is lost where the direction is held at t and the others follow."""
        held = replace(self.others, offset=t * self.moved)
        start = min(self.start, self.start + (t - self.at_fit) * self.drift, key=held.value)
        return 2.0 * (Newton(tol=1e-13).minimise(held, start).objective - self.best)


def _crossing(excess: Callable[[float], float], inside: float, step: float) -> float:
    """Where a convex function that is negative at ``inside`` becomes positive in the direction of ``step``."""
    if step == 0:
        return inside
    outside = inside + step
    for _ in range(MOST_DOUBLINGS):
        if excess(outside) > 0:
            return _root(excess, outside - step, outside)
        step *= 2
        outside += step
    return math.copysign(math.inf, step)


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """The root between two points of opposite signs, by false position that halves the weight of a point that stays.

    Source: M. Dowell, P. Jarratt, A modified regula falsi method, BIT 11, 1971.
    """
    at_low, at_high = excess(low), excess(high)
    for _ in range(MOST_STEPS):
        middle = high - at_high * (high - low) / (at_high - at_low)
        at_middle = excess(middle)
        if abs(middle - high) <= 1e-12 * abs(middle) or at_middle == 0:
            return middle
        if at_middle * at_high < 0:
            low, at_low = high, at_high
        else:
            at_low /= 2
        high, at_high = middle, at_middle
    return high


def _require_unpenalised(model: LogisticRegression, what: str) -> None:
    if not math.isinf(model.C):
        raise InvalidParameter(f"{what} is for fits without a penalty; use C=inf", pointer="/options/C")
