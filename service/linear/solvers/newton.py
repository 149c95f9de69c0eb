"""Newton's method with a step length that needs no line search, and the certificate as its stopping rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from service.linear.certificate import damping, gap_bound
from service.linear.factor import factorise
from service.linear.objective import Objective, Vector
from service.linear.solver import Solution, Status

# Unpenalised and still without a certificate after so many steps: on data with a finite optimum ten are usual.
STEPS_WITHOUT_OPTIMUM = 50


@dataclass(frozen=True, slots=True)
class Newton:
    """w ← w - t H⁻¹g with t = 1 or log(1 + u)/u, whichever decreases P more; global, quadratic at the end.

    tol: the certified gap relative to the objective at which it stops.  max_iter: Newton steps.
    Each step reads the rows once for value, gradient and Hessian and once for the step's change of the logits.
    """

    tol: float = 1e-10
    max_iter: int = 100
    name: ClassVar[str] = "newton"
    promises_optimum: ClassVar[bool] = True

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        w, curve, passes = start.copy(), [], 0
        gap = math.inf
        for n_iter in range(self.max_iter + 1):
            value, gradient, hessian = objective.value_gradient_hessian(w)
            factor = factorise(hessian)
            curve.append(value)
            passes += 1
            step = -factor.solve(gradient)
            if self._is_worth_a_bound(value, -float(step @ gradient)) or n_iter == self.max_iter:
                gap = gap_bound(objective, w, gradient, factor)
                passes += 2
            status = self._status(objective, w, gap / value if value > 0 else gap, n_iter)
            if status is not None:
                break
            w = self._advance(objective, w, step)
            passes += 1
        if status is Status.OPTIMAL and n_iter < self.max_iter:
            # The next step is at hand, and so close to the optimum it only lowers P: the bound stays true.
            w, n_iter, passes = w + step, n_iter + 1, passes + 1
            value = objective.value_at(objective.raw_prediction(w), w)
            curve.append(value)
        per_weight = np.array(curve) / objective.rows.total_weight
        return Solution(w, status or Status.BUDGET_SPENT, value, gap, n_iter, passes, per_weight)

    def _is_worth_a_bound(self, value: float, squared_decrement: float) -> bool:
        """The bound is never below ν²/2: where that exceeds the tolerance, it need not be computed."""
        return 0.5 * squared_decrement <= self.tol * value

    def _status(self, objective: Objective, w: Vector, gap_relative: float, n_iter: int) -> Status | None:
        if gap_relative <= self.tol:
            return Status.OPTIMAL
        unpenalised = not objective.l2_params.any()
        if unpenalised and (n_iter >= STEPS_WITHOUT_OPTIMUM or objective.separates(w)):
            return Status.NO_FINITE_OPTIMUM
        return None if n_iter < self.max_iter else Status.BUDGET_SPENT

    def _advance(self, objective: Objective, w: Vector, step: Vector) -> Vector:
        raw_step = objective.raw_prediction(step)
        u = objective.largest_change(raw_step)
        # Close to the optimum P changes less than its rounding, and the full step is safe by theory, not by value.
        if u < 1e-3:
            return w + step
        raw = objective.raw_prediction(w)
        lengths = (1.0, damping(u))
        values = [objective.value_at(raw + t * raw_step, w + t * step) for t in lengths]
        best = lengths[int(np.argmin(values))]
        return np.asarray(w + best * step, dtype=np.float64)
