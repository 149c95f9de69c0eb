"""Newton's method without a Hessian: its steps by conjugate gradients, for thousands of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from service.errors import InvalidParameter
from service.linear.certificate import least_ridge_gap, ridge_gap_bound
from service.linear.columns.arrays import Vector
from service.linear.objective import Objective
from service.linear.solver import Solution, Status
from service.linear.solvers.kept_metric import draw_sample
from service.linear.solvers.preconditioner import HeavyBlock
from service.linear.solvers.steps import take_step

# A step is solved for to this share of its gradient, or better, the closer the optimum is.
LARGEST_FORCING = 0.1
MOST_PRODUCTS = 500
# A sample has this share of the rows, and is worth its trouble with so many rows a parameter and numbers in all.
SAMPLE_SHARE, ROWS_FOR_A_START, WORTH_A_START = 8, 10, 1e6
STEPS_TO_A_START = 10
# Of fewer parameters all couplings are made up for in a few products.
WORTH_A_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class NewtonCG:
    """w ← w + t d with H d ≈ -g by preconditioned conjugate gradients, see ``preconditioner``; t as in ``Newton``.

    A product with H costs two passes over the rows.  tol: the certified gap relative to the objective; the certificate is
    the ridge's, so that every column needs a penalty: InvalidParameter otherwise.  max_iter: Newton steps.
    Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed., section 7.1.
    """

    tol: float = 1e-10
    max_iter: int = 100
    name: ClassVar[str] = "newton-cg"
    promises_optimum: ClassVar[bool] = True

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        if not (objective.rows.l2 > 0).all():
            raise InvalidParameter('solver="newton-cg" needs a penalty on every column: a finite C')
        w, curve, passes, gap, n_iter = _start(objective, start), [], 0, math.inf, 0
        value, gradient = objective.value_and_gradient(w)
        block: HeavyBlock | None = None
        while True:
            curve.append(value)
            passes += 1
            if least_ridge_gap(objective, gradient) <= self.tol * value or n_iter == self.max_iter:
                gap = ridge_gap_bound(objective, w)
                passes += 4
            if gap <= self.tol * value or n_iter == self.max_iter:
                break
            product, diagonal = objective.hessian_product(w)
            if n_iter == 1 and objective.n_params >= WORTH_A_BLOCK:
                # Not at the start, which is too far from the optimum to be worth a factor.
                block = HeavyBlock.of(objective, w, np.where(diagonal > 0, diagonal, 1.0))
            proven = partial(self._is_proven, objective, value)
            step, n_products = solve(product, diagonal, -gradient, block, is_enough=proven)
            w, _ = take_step(objective, w, objective.centred(step))
            passes += 2 * n_products + 2
            n_iter += 1
            value, gradient = objective.value_and_gradient(w)
        status = Status.OPTIMAL if gap <= self.tol * value else Status.BUDGET_SPENT
        return Solution(w, status, value, gap, n_iter, passes, np.array(curve) / objective.rows.total_weight)

    def _is_proven(self, objective: Objective, value: float, residual: Vector) -> bool:
        """Whether a step with this residual leads to where the gap is 1 % of what is allowed, if P were quadratic."""
        return least_ridge_gap(objective, residual) <= 0.01 * self.tol * value


def _start(objective: Objective, start: Vector) -> Vector:
    """Close to the optimum of an eighth of the rows, where that has rows enough to say something."""
    rows = objective.rows
    size = rows.n_rows // SAMPLE_SHARE
    if size < ROWS_FOR_A_START * rows.width or rows.n_rows * rows.row_numbers < WORTH_A_START:
        return start.copy()
    sample = draw_sample(objective.class_index(), size, 1, np.random.default_rng(rows.n_rows))
    part, w = objective.subset(sample.index, sample.factor), start.copy()
    for _ in range(STEPS_TO_A_START):
        value, gradient = part.value_and_gradient(w)
        product, diagonal = part.hessian_product(w)
        step, _ = solve(product, diagonal, -gradient)
        w, _ = take_step(part, w, part.centred(step))
        if -0.5 * float(step @ gradient) <= 1e-2 * part.n_params / size * value:
            break
    return w


def solve(
    product: Callable[[Vector], Vector],
    diagonal: Vector,
    b: Vector,
    block: HeavyBlock | None = None,
    *,
    is_enough: Callable[[Vector], bool] = lambda _: False,
) -> tuple[Vector, int]:
    """(x, products) with H x ≈ b for positive semi-definite H, by conjugate gradients in the metric of its diagonal,
    and of the heavy block if there is one.  is_enough: of a residual with which nothing better is asked for.
    """
    scale = np.where(diagonal > 0, diagonal, 1.0)

    def preconditioned(residual: Vector) -> Vector:
        return residual / scale if block is None else block.apply(residual, scale)

    x, residual = np.zeros_like(b), b.copy()
    z = preconditioned(residual)
    direction, rho = z.copy(), float(residual @ z)
    first = rho
    # Superlinear at the end: the forcing falls with the gradient (Nocedal and Wright, theorem 7.2).
    enough = first * min(LARGEST_FORCING, math.sqrt(first)) ** 2
    for n_products in range(1, MOST_PRODUCTS + 1):
        image = product(direction)
        curvature = float(direction @ image)
        if curvature <= 0:
            return (x if n_products > 1 else direction), n_products
        alpha = rho / curvature
        x += alpha * direction
        residual -= alpha * image
        z = preconditioned(residual)
        rho, before = float(residual @ z), rho
        if rho <= enough or is_enough(residual):
            break
        direction = z + rho / before * direction
    return x, n_products
