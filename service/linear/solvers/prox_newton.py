"""Proximal Newton in a working set of columns, for an L1 penalty or an elastic net."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from service.errors import InvalidParameter
from service.linear.certificate_l1 import DualGap, DualPoint
from service.linear.certificate_signs import SignedPart, signed_gap
from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import EPS
from service.linear.objective import Objective
from service.linear.solver import Solution, Status
from service.linear.solvers.kept_metric import SUFFICIENT
from service.linear.solvers.l1_model import L1Model
from service.linear.solvers.newton import Newton
from service.linear.solvers.working_set import FAR, SAMPLE_SHARE, LocalMetric, WorkingSet, is_cheap, needed_columns

# Steps whose gain is below the rounding of P: more of them would not improve the certificate.
MOST_IDLE = 4
MOST_HALVINGS = 40
# A metric is kept until the model's gain falls by less than this factor from step to step.
SLOW = 0.25


@dataclass(frozen=True, slots=True)
class ProxNewton:
    """w ← w + t (x - w), x the minimum of the quadratic model of P with its absolute penalty; t by backtracking.

    A step treats the columns that have a coefficient, and those whose correlation with the residuals exceeds κ; one pass
    over all columns tells which they are, and certifies: see ``WorkingSet``, ``L1Model``, ``DualGap``, ``signed_gap``.
    tol: the certified gap relative to the objective at which it stops.  max_iter: steps.  Raises InvalidParameter where a
    column has no absolute penalty.
    Source: J. Lee, Y. Sun, M. Saunders, Proximal Newton-type methods, SIAM J. Optim. 24, 2014.
    """

    tol: float = 1e-10
    max_iter: int = 100
    name: ClassVar[str] = "prox-newton"
    promises_optimum: ClassVar[bool] = True

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        rows = objective.rows
        if len(rows.l1) != len(rows.l2) or not (rows.l1 > 0).all():
            raise InvalidParameter('solver="prox-newton" needs an L1 penalty: l1_ratio above 0 and a finite C')
        whole, w = DualGap(objective), with_intercepts(objective, start)
        raw, step, idle = objective.raw_prediction(w), None, 0
        value = objective.value_at(raw, w)
        curve = [value]
        while True:
            dual = whole.at(w, raw)
            gap = dual.gap
            if gap <= self.tol * value:
                break
            step = Step.at(w, raw, working_set(objective, w, dual, step), step)
            idle = idle + 1 if step.gain <= EPS * value else 0
            # The bound by signs is never below half the gain.
            if 0.5 * step.gain <= max(self.tol, EPS) * value:
                gap = min(gap, step.signed_gap(whole, dual))
            if len(curve) > self.max_iter or idle == MOST_IDLE:
                break
            # Also the last step, where signs have certified: it is at hand, and only lowers P.
            certified = gap <= self.tol * value
            w, raw = step.taken(w)
            value = objective.value_at(raw, w)
            curve.append(value)
            if certified:
                break
        status = Status.OPTIMAL if gap <= self.tol * value else Status.BUDGET_SPENT
        n_iter = len(curve) - 1
        return Solution(w, status, value, gap, n_iter, 1 + 6 * n_iter, np.array(curve) / rows.total_weight)


@dataclass(frozen=True)
class Step:
    """A step from ``here`` to ``target``, (q,), in a working set: the logits and the smooth gradient here, the model's gain.

    is_slow: whether the model gains little less than the last one with the same metric did.
    """

    working: WorkingSet
    here: Vector
    raw: Matrix
    gradient: Vector
    metric: LocalMetric
    target: Vector
    gain: float
    is_slow: bool

    @classmethod
    def at(cls, w: Vector, raw: Matrix, working: WorkingSet, last: Step | None) -> Step:
        """The step from w, (n_params,), with the logits ``raw``."""
        part, here = working.objective, w[working.positions]
        _, gradient = part.value_and_gradient(here)
        metric = _metric(working, here, raw, last)
        target = L1Model(here, gradient, metric.curvature, part.l1_params).minimum()
        gain = -float(gradient @ (target - here) + part.l1_params @ (np.abs(target) - np.abs(here)))
        is_slow = last is not None and metric is last.metric and gain > SLOW * last.gain
        return cls(working, here, raw, gradient, metric, target, gain, is_slow)

    def taken(self, w: Vector) -> tuple[Vector, Matrix]:
        """Where P has fallen enough on the way to the target, as parameters of the whole, and the logits there."""
        part = self.working.objective
        raw_step = part.raw_prediction(self.target - self.here)
        value = part.value_at(self.raw, self.here)
        # Near the optimum P changes less than its rounding: a step is refused only for what is clearly a rise.
        noise, length, reached = 8 * EPS * abs(value), 1.0, self.target
        for _ in range(MOST_HALVINGS):
            reached = self.target.copy() if length == 1.0 else self.here + length * (self.target - self.here)
            if part.value_at(self.raw + length * raw_step, reached) <= value - SUFFICIENT * length * self.gain + noise:
                break
            length *= 0.5
        else:
            reached = self.here
        # Moving all intercepts alike changes nothing; it must not add up.
        by_logit = reached.reshape(-1, part.rows.width)
        if len(by_logit) > 1 and part.rows.fit_intercept:
            by_logit[:, -1] -= by_logit[:, -1].mean()
        w = w.copy()
        w[self.working.positions] = by_logit.ravel()
        return w, part.raw_prediction(by_logit.ravel())

    def signed_gap(self, whole: DualGap, dual: DualPoint) -> float:
        """The bound of ``certificate_signs`` on P - P* here; inf without a Hessian."""
        hessian, part = self.metric.hessian, self.working.objective
        if hessian is None:
            return math.inf
        looseness = self.metric.looseness(part, self.raw)
        signed = SignedPart(part, self.working.positions, self.here, self.gradient, hessian, looseness)
        return signed_gap(signed, whole, dual)


def with_intercepts(objective: Objective, start: Vector) -> Vector:
    """The start; where it is all 0, with the best intercepts, so that correlations mean something."""
    if start.any() or not objective.rows.fit_intercept:
        return start.copy()
    inner, intercepts = objective.restricted(np.zeros(0, dtype=np.intp), start)
    by_logit = start.reshape(-1, objective.rows.width).copy()
    by_logit[:, -1] = Newton(tol=1e-12).steps(inner, intercepts).w
    return by_logit.ravel()


def working_set(objective: Objective, w: Vector, dual: DualPoint, last: Step | None) -> WorkingSet:
    """The columns that w needs now; the last set again, where it is the same."""
    columns = needed_columns(objective, w, dual)
    if last is not None and np.array_equal(columns, last.working.columns):
        return last.working
    return WorkingSet.of(objective, columns)


def _metric(working: WorkingSet, here: Vector, raw: Matrix, last: Step | None) -> LocalMetric:
    """The Hessian here, or, where it is dear, the last one for as long as it serves, then one of more rows."""
    part = working.objective
    if is_cheap(part) or last is None:
        return LocalMetric.at(part, here, raw, 1 if is_cheap(part) else SAMPLE_SHARE)
    old = last.metric
    is_far = part.largest_change(raw - old.anchor) > FAR
    if working is not last.working or old.hessian is None or is_far:
        return LocalMetric.at(part, here, raw, old.share)
    return LocalMetric.at(part, here, raw, max(1, old.share // 4)) if last.is_slow else old
