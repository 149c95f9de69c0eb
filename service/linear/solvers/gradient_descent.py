"""Plain gradient descent, as the tutorials teach it: a learning rate and a number of iterations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from service.errors import Diverged
from service.linear.certificate import gap_bound, ridge_gap_bound
from service.linear.columns.arrays import Vector
from service.linear.factor import factorise
from service.linear.objective import Objective, Rows
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.solver import MAX_HESSIAN_PARAMS, Solution, Status

POINTS_ON_CURVE = 1000
# The certificate costs as much as some hundred iterations; it is looked at this often.
CERTIFICATES = 20
# Of so many parameters the largest eigenvalue of the Gram matrix is at hand in a moment.
MOST_EXACT_WIDTH = 500


@dataclass(frozen=True, slots=True)
class GradientDescent:
    """w ← w - learning_rate · ∇P(w) / Σs: the gradient of the mean loss, penalty included.

    learning_rate: None is the safe step 1/L, with L a bound on the curvature: ¼ λmax(AᵀSA) / Σs + λ / Σs, A = (X, 1)
    (½ for softmax).  With it the loss falls at every step.  max_iter: the number of steps.  tol: it stops early when
    the certified gap, looked at twenty times on the way, is at most tol · objective.
    Raises Diverged when the parameters overflow.
    """

    learning_rate: float | None = None
    max_iter: int = 10_000
    tol: float = 1e-10
    name: ClassVar[str] = "gradient-descent"
    promises_optimum: ClassVar[bool] = False

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        rate = (self.learning_rate or safe_rate(objective)) / objective.rows.total_weight
        stride = max(1, math.ceil(self.max_iter / POINTS_ON_CURVE))
        every = math.ceil(self.max_iter / stride / CERTIFICATES)
        w, n_iter, curve = start.copy(), 0, [value(objective, start)]
        gap, status, passes = math.inf, Status.BUDGET_SPENT, 1
        descend = stepper(objective, rate)
        while n_iter < self.max_iter and status is Status.BUDGET_SPENT:
            steps = min(stride, self.max_iter - n_iter)
            descend(w, steps)
            n_iter += steps
            curve.append(finite_value(objective, w))
            passes += steps + 1
            if len(curve) % every == 0 or n_iter == self.max_iter:
                gap = certified_gap(objective, w)
                passes += 3
                status = Status.OPTIMAL if gap <= self.tol * curve[-1] else Status.BUDGET_SPENT
        per_weight = np.array(curve) / objective.rows.total_weight
        return Solution(w, status, curve[-1], gap, n_iter, passes, per_weight, stride)


def stepper(objective: Objective, rate: float) -> Callable[[Vector, int], None]:
    """A function that takes ``steps`` steps in place."""
    gradient_at = objective.gradient_function()
    scaled = np.empty(objective.n_params)

    def descend(w: Vector, steps: int) -> None:
        # exp may overflow to inf inside, where the probability is then exactly 0.
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                np.multiply(gradient_at(w), rate, out=scaled)
                np.subtract(w, scaled, out=w)

    return descend


def value(objective: Objective, w: Vector) -> float:
    return objective.value_at(objective.raw_prediction(w), w)


def finite_value(objective: Objective, w: Vector) -> float:
    """P at w; raises Diverged when the iterates or P have left the range of doubles."""
    with np.errstate(over="ignore", invalid="ignore"):
        at_w = value(objective, w)
    if not (math.isfinite(at_w) and np.isfinite(w).all()):
        raise Diverged("gradient descent overflowed; lower the learning rate, or leave it out for a safe one")
    return at_w


def certified_gap(objective: Objective, w: Vector) -> float:
    """The smaller of the two bounds of ``certificate`` at w; the ridge's alone where a Hessian would be too large."""
    by_ridge = ridge_gap_bound(objective, w)
    if objective.n_params > MAX_HESSIAN_PARAMS:
        return by_ridge
    _, gradient, hessian = objective.value_gradient_hessian(w)
    return min(gap_bound(objective, w, gradient, factorise(hessian)), by_ridge)


def safe_rate(objective: Objective) -> float:
    """1/L for the mean loss: with this step, gradient descent decreases P at every iteration (Nesterov 2004, 2.1.5)."""
    rows = objective.rows
    bound = 0.5 if isinstance(objective, SoftmaxObjective) else 0.25
    largest = _largest_curvature(rows)
    curvature = bound * largest + float(objective.l2_params.max(initial=0.0))
    return rows.total_weight / curvature if curvature > 0 else 1.0


def _largest_curvature(rows: Rows) -> float:
    """λmax(AᵀSA), A = (X, 1), or for many columns a bound on it: ‖√S A‖₁ ‖√S A‖∞ (Golub and Van Loan, 2.3)."""
    if rows.width <= MOST_EXACT_WIDTH:
        return float(np.linalg.eigvalsh(rows.gram(rows.sample_weight))[-1])
    root = np.sqrt(rows.sample_weight)
    size = replace(rows, X=rows.X.block(slice(0, rows.n_rows)).magnitudes())
    row_sums = size.product(np.ones(rows.width)) * root
    return float(size.transposed_product(root).max() * row_sums.max())
