"""Newton's method with a step length that needs no line search, and the certificate as its stopping rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from service.linear.certificate import gap_bound
from service.linear.columns.arrays import Vector
from service.linear.factor import factorise
from service.linear.objective import Objective
from service.linear.solver import Solution, Status
from service.linear.solvers.kept_metric import Descent, Metric, approach, descend, draw_sample
from service.linear.solvers.steps import take_step

# Unpenalised and still without a certificate after so many steps: on data with a finite optimum ten are usual.
STEPS_WITHOUT_OPTIMUM = 50
# Where a Hessian of all rows costs less than this many multiplications, a metric to keep is not worth its trouble.
CHEAP_HESSIAN = 3e7
# The sample has this share of the rows, and at least so many rows a parameter.
SAMPLE_SHARE, ROWS_PER_PARAM = 16, 100
# With fewer rows a parameter, the optimum of a sample lies far from that of all rows, if there is one.
ROWS_FOR_A_START = 10
PASSES_IN_METRIC = 25
# From a sample too small for an optimum of its own: as far as all rows' Hessian wants to be taken.
PASSES_TO_A_START = 7


@dataclass(frozen=True, slots=True)
class Newton:
    """w ← w - t H⁻¹g with t = 1 or log(1 + u)/u, whichever decreases P more; global, quadratic at the end.

    tol: the certified gap relative to the objective at which it stops.  max_iter: Newton steps, and
    passes in a kept metric, together.  Each step reads the rows once for value, gradient and Hessian and once for the step's change of the logits.
    Where the Hessian is dear, the start comes from a sample of the rows, and passes in the metric of its Hessian take
    the place of most steps: see ``kept_metric``.
    """

    tol: float = 1e-10
    max_iter: int = 100
    name: ClassVar[str] = "newton"
    promises_optimum: ClassVar[bool] = True

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        n_rows, n_params = objective.rows.n_rows, objective.n_params
        # With few rows a parameter a sample says nothing, and a Hessian is not much dearer than its factor.
        if n_rows * float(n_params) ** 2 < CHEAP_HESSIAN or n_rows < 4 * n_params:
            return self.steps(objective, start)
        descent = self._in_kept_metric(objective, start)
        is_optimal = descent.gap <= self.tol * descent.value
        if not is_optimal and descent.passes < self.max_iter:
            # Separated, collinear or otherwise hard: the steps that need no luck, with what is left of the budget.
            solution = replace(self, max_iter=self.max_iter - descent.passes).steps(objective, start)
            return replace(solution, passes=solution.passes + descent.passes)
        curve = np.array(descent.curve) / objective.rows.total_weight
        status = Status.OPTIMAL if is_optimal else Status.BUDGET_SPENT
        return Solution(descent.w, status, descent.value, descent.gap, len(curve), descent.passes, curve)

    def _in_kept_metric(self, objective: Objective, start: Vector) -> Descent:
        """Passes in the metric of a sample, and if they do not end, in that of all rows where they came to."""
        w, metric = _sampled_metric(objective, start)
        most = PASSES_IN_METRIC if w is not start else PASSES_TO_A_START
        first = descend(objective, w, metric, tol=self.tol, max_passes=min(most, self.max_iter))
        left = min(PASSES_IN_METRIC, self.max_iter - first.passes)
        if first.gap <= self.tol * first.value or left < 1 or objective.separates(first.w):
            return first
        metric = Metric.at(objective, first.w, largest_factor=1.0)
        then = descend(objective, first.w, metric, tol=self.tol, max_passes=left)
        return replace(then, curve=[*first.curve, *then.curve[1:]], passes=first.passes + then.passes)

    def steps(self, objective: Objective, start: Vector) -> Solution:
        """Newton steps alone, a Hessian each."""
        w, curve, passes = start.copy(), [], 0
        gap, recession = math.inf, None
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
            w, change = take_step(objective, w, step)
            passes += 1
            if change > 0.5:
                # Steps that go on moving logits point to where P falls for ever; later ones may be rounding.
                recession = step
        if status is Status.OPTIMAL and n_iter < self.max_iter:
            # The next step is at hand, and so close to the optimum it only lowers P: the bound stays true.
            w, n_iter, passes = w + step, n_iter + 1, passes + 1
            value = objective.value_at(objective.raw_prediction(w), w)
            curve.append(value)
        per_weight = np.array(curve) / objective.rows.total_weight
        recession = recession if status is Status.NO_FINITE_OPTIMUM else None
        status = status or Status.BUDGET_SPENT
        return Solution(w, status, value, gap, n_iter, passes, per_weight, recession=recession)

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


def _sampled_metric(objective: Objective, start: Vector) -> tuple[Vector, Metric]:
    """The Hessian of a sample of the rows, and the point where it was taken: the sample's own optimum if it is large."""
    n_rows, n_params, width = objective.rows.n_rows, objective.n_params, objective.rows.width
    # A row of K classes tells of K - 1 logits: the parameters of one logit are what has to be covered.
    size = min(max(n_rows // SAMPLE_SHARE, ROWS_PER_PARAM * width), n_rows // 4)
    # A fixed seed: the same rows give the same fit.
    rng = np.random.default_rng(n_rows)
    w, metric = start, None
    for share in (8, 1):
        sample = draw_sample(objective.class_index(), size // share, min(4 * width, size), rng)
        part, largest = objective.subset(sample.index, sample.factor), float(sample.factor.max())
        if size // share >= ROWS_FOR_A_START * width:
            w, metric = approach(part, w, largest, tol=1e-2 * n_params / size)
    return w, metric or Metric.at(part, w, largest)
