"""The proof that comes with a fit: how far its objective can be from the optimum, at most.

Two bounds, of which the smaller is quoted:

(B) any λ ≥ 0.  With H the Hessian at w, ν² = gᵀH⁻¹g, R² = max_i x_iᵀH⁻¹x_i and u = Rν: if u < 1, a finite minimiser
    exists and P - P* ≤ [u + (1 - u) log(1 - u)] / R².  The third derivative of the log-loss along a direction d is at
    most |xᵀd| times the second (the range of xᵀd over classes for softmax), so that along d the objective grows at
    least like gᵀd + ‖d‖²_H (e^-r + r - 1) / r² with r = R‖d‖_H; the bound is minus the minimum of that.
    It tends to ν²/2, the truth, as w tends to the optimum.
    Cf. F. Bach, Self-concordant analysis for logistic regression, EJS 4, 2010.

(A) λ > 0 for every column and the intercept optimal: P is λ-strongly convex in the coefficients once the intercept is
    minimised out, so that P - P* ≤ Σ g_j² / (2 λ_j).  Where the intercept is not optimal, it is moved there first, and
    what that gains is added.

Both take the rounding of the gradient into account.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import EPS, Factor, factorise
from service.linear.objective import Objective, Rows

Separation: TypeAlias = Literal["none", "quasi", "complete", "undecided"]

# u < 1 proves that a finite optimum exists; so close to 1 rounding could feign it.
LARGEST_TRUSTED_U = 0.9
# Below, bound (B) is half the squared decrement but for 1 %.
SMALL_U = 1e-2
# Columns that agree to ten digits count as the same: what is left of their difference is rounding of the data.
DEPENDENT = 1e-10


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proved of a fit.

    objective: P at the fit, Σ weight · loss + ½ λ ‖coef‖².  gap_bound: P - P* is at most this, inf when nothing is
    known.  gap_relative: gap_bound / objective.  status: why the solver stopped.  rank: linearly independent columns,
    the intercept counted; None where a penalty makes it idle and it would cost more than the fit.  separation: of the classes by a hyperplane; "none", "quasi" and "complete" are proved,
    "undecided" is said of everything else.  witness: for "quasi" and "complete", the direction that proves it, (k, p + 1)
    with the intercept last: see ``separation``.  solver and reason: which method ran, and why.  passes: times that it read all rows.
    """

    objective: float
    gap_bound: float
    gap_relative: float
    status: str
    rank: int | None
    separation: Separation
    witness: Vector | None
    solver: str
    reason: str
    passes: int


def gap_bound(objective: Objective, w: Vector, gradient: Vector, factor: Factor) -> float:
    """Bound (B) on P(w) - P*, from the gradient at w and a factor of the inverse Hessian there; inf if u is not < 1.

    Costs one product of the rows with the factor and one pass for the rounding of the gradient.  Directions that the
    factor leaves out must be those that change no row: all they can gain is the penalty itself.  Where rows have lost
    their curvature to underflow or rounding there are more of them, and nothing is known.
    """
    # Moving all classes alike changes the penalty only: that gain is told apart, for the gauge would hide it.
    moved = w - objective.centred(w)
    left_out = 0.5 * float((objective.l2_params * moved) @ moved)
    gradient = gradient - objective.l2_params * moved
    if factor.rank < objective.n_params:
        if factor.rank < _curved_directions(objective):
            return math.inf
        left_out += 0.5 * float((objective.l2_params * w) @ w)
    rounding = np.abs(factor.F.T) @ objective.gradient_rounding(w)
    newton_decrement = float(np.linalg.norm(np.abs(factor.F.T @ gradient) + rounding)) * factor.slack
    leverage = leverage_root(objective, factor, factor.F, newton_decrement) * factor.slack
    return bound_from_decrement(newton_decrement, leverage) + left_out


def leverage_root(objective: Objective, factor: Factor, F: Matrix, newton_decrement: float) -> float:
    """R, or a bound on it that hardly raises bound (B): the largest norm of a row times that of the factor.

    F: the factor over all parameters, (n_params, r).  Exactly, R costs a product of all rows with it.
    """
    # A pair of classes differs by two rows: (e_k - e_j) ⊗ x has norm √2 ‖x‖.
    pair = math.sqrt(2.0) if objective.n_params > objective.rows.width else 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        bound = objective.rows.largest_norm * factor.spread * pair
        if bound * newton_decrement * factor.slack < SMALL_U:
            return bound
        return math.sqrt(objective.largest_leverage(F))


def _curved_directions(objective: Objective) -> int:
    """Directions of the parameters that change some row; of softmax also those of the gauge."""
    rows = objective.rows
    n_logits = objective.n_params // rows.width
    if n_logits == 1:
        return design_rank(rows)
    n_live = int(np.count_nonzero(rows.X.largest_magnitudes())) + int(rows.fit_intercept)
    return (n_logits - 1) * design_rank(rows) + n_live


def bound_from_decrement(newton_decrement: float, leverage: float) -> float:
    """[u + (1 - u) log(1 - u)] / R² with ν = newton_decrement, R = leverage and u = Rν; inf if u is not safely < 1."""
    u = leverage * newton_decrement
    if not u < LARGEST_TRUSTED_U:
        return math.inf
    if u < SMALL_U:
        # The closed form cancels here; u + (1 - u) log(1 - u) = Σ_{k ≥ 2} u^k / (k (k - 1)) ≤ u²/2 (1 + u).
        return 0.5 * newton_decrement**2 * (1.0 + u)
    return (u + (1.0 - u) * math.log1p(-u)) / leverage**2


def least_ridge_gap(objective: Objective, gradient: Vector) -> float:
    """What bound (A) comes to at least, Σ g_j² / (2 λ_j) over the columns, from the gradient alone; inf as it is."""
    if not (objective.rows.l2 > 0).all():
        return math.inf
    penalised = objective.l2_params > 0
    return float(np.sum(gradient[penalised] ** 2 / (2.0 * objective.l2_params[penalised])))


def ridge_gap_bound(objective: Objective, w: Vector) -> float:
    """Bound (A) on P(w) - P*; inf where a column is not penalised.

    Costs some passes, most of them without products with X; no Hessian.
    """
    penalty = objective.l2_params
    inner, intercept = objective.restricted(np.zeros(0, dtype=np.intp), w)
    if np.count_nonzero(penalty) + len(intercept) < len(w):
        return math.inf
    if not len(intercept):
        return _strong_convexity(objective, w)
    if _is_optimal_intercept(inner, intercept):
        _, gradient, hessian = inner.value_gradient_hessian(intercept)
        return gap_bound(inner, intercept, gradient, factorise(hessian)) + _strong_convexity(objective, w)
    best, left_over = _best_intercept(inner, intercept)
    best_w = w.copy()
    best_w[penalty == 0] = best
    value, best_value = (objective.value_at(objective.raw_prediction(point), point) for point in (w, best_w))
    # The rounding of η moves P by |residual| · |change of η|, which is what gradient_rounding sums up.
    wobble = sum(float(objective.gradient_rounding(point) @ np.abs(point)) for point in (w, best_w))
    wobble += 64 * EPS * (abs(value) + abs(best_value))
    return max(value - best_value, 0.0) + wobble + left_over + _strong_convexity(objective, best_w)


def _is_optimal_intercept(inner: Objective, intercept: Vector) -> bool:
    """Whether a Newton step would move no logit by more than what first-order terms make up for."""
    _, gradient, hessian = inner.value_gradient_hessian(intercept)
    return inner.largest_change(inner.raw_prediction(factorise(hessian).solve(gradient))) < 1e-7


def _strong_convexity(objective: Objective, w: Vector) -> float:
    """Σ g_j² / (2 λ_j), rounding included, with g taken to where the intercepts' own gradient is 0 exactly."""
    penalty = objective.l2_params
    size = np.abs(objective.value_and_gradient(w)[1]) + objective.gradient_rounding(w)
    free = penalty == 0
    at_best = size[~free]
    if free.any():
        hessian = objective.intercept_hessian(w)
        coupling = factorise(hessian[:, free]).solve(hessian[:, ~free])
        at_best = at_best + np.abs(coupling).T @ size[free]
    return float(np.sum(at_best**2 / (2.0 * penalty[~free])))


def _best_intercept(inner: Objective, intercept: Vector) -> tuple[Vector, float]:
    """The intercepts that minimise the loss with the coefficients held, and the bound on what is left to gain."""
    for _ in range(100):
        _, gradient, hessian = inner.value_gradient_hessian(intercept)
        factor = factorise(hessian)
        step = -factor.solve(gradient)
        u = inner.largest_change(inner.raw_prediction(step))
        intercept = intercept + damping(u) * step
        if u < 1e-10:
            break
    _, gradient, hessian = inner.value_gradient_hessian(intercept)
    return intercept, gap_bound(inner, intercept, gradient, factorise(hessian))


def damping(u: float) -> float:
    """log(1 + u) / u: the step length along a Newton direction that always decreases the log-loss.

    u is the largest change of a logit (of the range over classes) that the full step makes.  Along the direction the
    curvature grows at most like e^{ut}, so that P falls by at least δ² (t - (e^{ut} - 1 - ut) / u²), largest there.
    """
    return math.log1p(u) / u if u > 1e-8 else 1.0


def design_rank(rows: Rows) -> int:
    """Linearly independent columns of (X, 1), to ten digits and whatever their units."""
    if rows.width > rows.n_rows and _rows_are_independent(rows):
        return rows.n_rows
    # Some rows often settle it: more of them cannot lower the rank.
    step = max(1, rows.n_rows // (2 * rows.width + 1000))
    some = rows.subset(np.arange(0, rows.n_rows, step), np.ones(1)).augmented() if step > 1 else rows.augmented()
    scaled = some / _units(some)
    gram = scaled.T @ scaled if rows.width <= len(scaled) else scaled @ scaled.T
    # Squaring loses half the digits: full rank is certain here, a deficit is not.
    if factorise(gram).rank == min(rows.width, rows.n_rows):
        return min(rows.width, rows.n_rows)
    largest = np.append(rows.X.largest_magnitudes(), np.ones(int(rows.fit_intercept)))
    return _rank_by_orthogonal_factor(rows, np.where(largest > 0, largest, 1.0))


def _rows_are_independent(rows: Rows) -> bool:
    """Whether the Gram matrix of the rows proves it; columns of very different units may hide it."""
    with np.errstate(over="ignore", invalid="ignore"):
        gram = rows.row_gram(np.ones(rows.n_columns))
    return bool(np.isfinite(gram).all()) and factorise(gram).rank == rows.n_rows


def _units(matrix: Matrix) -> Vector:
    """The largest magnitude of each column, 1 where that is 0."""
    largest = np.maximum(matrix.max(axis=0, initial=0.0), -matrix.min(axis=0, initial=0.0))
    return np.where(largest > 0, largest, 1.0)


def _rank_by_orthogonal_factor(rows: Rows, unit: Vector) -> int:
    """The singular values of R in (X, 1) = QR, which keeps all digits."""
    R = np.zeros((0, rows.width))
    # So high a block spends most of its work on its own rows, not on R.
    height = max(256, 4 * rows.width)
    for start in range(0, rows.n_rows, height):
        stacked = np.vstack([R, rows.augmented(slice(start, min(start + height, rows.n_rows))) / unit])
        R = np.asarray(np.linalg.qr(stacked, mode="r"), dtype=np.float64)
    norms = np.linalg.norm(R, axis=0)
    values = np.linalg.svd(R / np.where(norms > 0, norms, 1.0), compute_uv=False)
    return int((values > DEPENDENT * values[0]).sum())
