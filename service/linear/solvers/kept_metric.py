"""Quasi-Newton passes in a metric that is made once: the Hessian of a sample of the rows, or of all, where it was cheap.

A Newton step on n rows costs n p² operations for its Hessian and n p for everything else.  The Hessian of a random sample
with m rows differs from the whole by a relative √(p/m), which L-BFGS started from it makes up for in a few passes of n p.
The certificate needs no other Hessian either: see ``Metric.gap_bound``.

Sources: R. Byrd et al., On the use of stochastic Hessian information in optimization methods for machine learning,
SIAM J. Optim. 21, 2011; J. Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35, 1980.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from service.linear.certificate import bound_from_decrement, least_ridge_gap, ridge_gap_bound
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.factor import Factor, factorise
from service.linear.objective import Objective
from service.linear.solvers.steps import take_step

MEMORY = 10
# Armijo's constant: the decrease asked for, as a share of the slope.
SUFFICIENT = 1e-4
STEPS_TO_A_START = 10
# Multiplications for a Hessian above which halving their time matters.
WORTH_SINGLE = 3e8
# From so many parameters on, a Hessian is dearer than the passes that a proof without it costs.
MANY_PARAMS = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows drawn by class, sorted, and what each stands for: (m,) numbers of rows and (m,) factors ≥ 1."""

    index: Index
    factor: Vector


def draw_sample(class_index: Index, size: int, fewest: int, rng: np.random.Generator) -> Sample:
    """About ``size`` rows, of each class in its share, but at least ``fewest`` (or all that there are)."""
    drawn, factors = [], []
    for label in np.flatnonzero(np.bincount(class_index)):
        rows = np.flatnonzero(class_index == label)
        wanted = min(len(rows), max(fewest, math.ceil(size * len(rows) / len(class_index))))
        # One of each stretch of len / wanted rows: nothing to sort, and no row twice.
        drawn.append(rows[((np.arange(wanted) + rng.random(wanted)) * (len(rows) / wanted)).astype(np.intp)])
        factors.append(np.full(wanted, len(rows) / wanted))
    index, factor = np.concatenate(drawn), np.concatenate(factors)
    order = np.argsort(index)
    return Sample(index[order], factor[order])


@dataclass(frozen=True)
class Metric:
    """A factor of the inverse Hessian of ``sample`` at ``anchor``, the logits there, and the largest row factor.

    sample: an objective of some of the rows with their weights raised by factors, or of all of them.
    """

    sample: Objective
    anchor: Matrix
    factor: Factor
    largest_factor: float

    @classmethod
    def at(cls, sample: Objective, w: Vector, largest_factor: float) -> Metric:
        _, _, factor = value_gradient_factor(sample, w)
        return cls(sample, sample.raw_prediction(w), factor, largest_factor)

    def gap_bound(self, objective: Objective, w: Vector, gradient: Vector) -> float:
        """Bound (B) of ``certificate`` on P(w) - P*, with a lower bound of the Hessian in its place; inf if u is not < 1.

        Any H_lo ⪯ H(w) may stand in for H(w), since ν and R only grow.  The rows of the sample with their own weights
        are some of the terms of H; and a logit that moves by Δ (a range by Δ, for softmax) changes its row's curvature
        by a factor e^-Δ at least.  So H_lo = e^-Δ / largest factor · (Hessian of the sample at the anchor), where the
        penalty only gains.  R ≤ largest row norm · ‖F‖; the rounding of the gradient is bounded by the same norm.
        """
        if self.factor.rank < objective.n_params or math.isinf(self.factor.slack):
            return math.inf
        moved = self.sample.largest_change(self.sample.raw_prediction(w) - self.anchor)
        looser = math.sqrt(self.largest_factor * math.exp(min(moved, 700.0)))
        F, norm = self.factor.F, objective.rows.largest_norm
        spread = self.factor.spread * looser
        n_logits = objective.n_params // objective.rows.width
        rounding = objective.rows.summation_error * norm * objective.rows.total_weight
        rounding *= 1.0 + 0.25 * norm * float(np.linalg.norm(w)) * n_logits
        decrement = float(np.linalg.norm(F.T @ gradient)) * looser + spread * rounding * math.sqrt(n_logits)
        # A pair of classes differs by two rows: (e_k - e_j) ⊗ x has norm √2 ‖x‖.
        leverage = spread * norm * (math.sqrt(2.0) if n_logits > 1 else 1.0)
        return bound_from_decrement(decrement * self.factor.slack, leverage * self.factor.slack)


def value_gradient_factor(objective: Objective, w: Vector) -> tuple[float, Vector, Factor]:
    """P and ∇P at w, and a factor of the inverse Hessian, by single precision where that is much faster and good enough.

    It is good enough where its error is bounded, or where the ridge's bound proves the fit without it.
    """
    rows, n_params = objective.rows, objective.n_params
    if rows.n_rows * float(n_params) ** 2 > WORTH_SINGLE and rows.X.moments.fit_single_precision:
        value, gradient, hessian = objective.value_gradient_hessian(w, single=True)
        factor = factorise(hessian, element_error=rows.single_rounding)
        if factor.rank and (factor.slack < math.inf or (n_params > MANY_PARAMS and (rows.l2 > 0).all())):
            return value, gradient, factor
    value, gradient, hessian = objective.value_gradient_hessian(w)
    return value, gradient, factorise(hessian)


def approach(sample: Objective, w: Vector, largest_factor: float, *, tol: float) -> tuple[Vector, Metric]:
    """Newton steps until the decrement promises no more than tol · P, and the metric of the last Hessian.

    The optimum of a sample is a start and no answer: no bound is taken.
    """
    for _ in range(STEPS_TO_A_START):
        value, gradient, factor = value_gradient_factor(sample, w)
        step = -factor.solve(gradient)
        before, (w, _) = w, take_step(sample, w, step)
        if -0.5 * float(step @ gradient) <= tol * value:
            break
    return w, Metric(sample, sample.raw_prediction(before), factor, largest_factor)


@dataclass
class Memory:
    """The last steps s and changes of the gradient y, for the two-loop recursion around a fixed metric."""

    metric: Factor
    pairs: list[tuple[Vector, Vector]] = field(default_factory=list)

    def add(self, s: Vector, y: Vector) -> None:
        """Keep a pair, unless rounding has taken its curvature."""
        if s @ y > 1e-12 * float(np.linalg.norm(s) * np.linalg.norm(y)):
            self.pairs = [*self.pairs[-(MEMORY - 1) :], (s, y)]

    def direction(self, gradient: Vector) -> Vector:
        """-H_k g, with H_0 the inverse metric (Nocedal 1980)."""
        q, coefficients = gradient.copy(), []
        for s, y in reversed(self.pairs):
            alpha = (s @ q) / (s @ y)
            coefficients.append(alpha)
            q -= alpha * y
        r = self.metric.solve(q)
        for (s, y), alpha in zip(self.pairs, reversed(coefficients), strict=True):
            r += (alpha - (y @ r) / (s @ y)) * s
        return -r


@dataclass(frozen=True, slots=True)
class Descent:
    """Where passes in a metric ended: w, P and its gap bound there, the values on the way, the passes."""

    w: Vector
    value: float
    gap: float
    curve: list[float]
    passes: int


def descend(objective: Objective, start: Vector, metric: Metric, *, tol: float, max_passes: int) -> Descent:
    """L-BFGS in ``metric`` until the certified gap is at most tol · P, or ``max_passes`` are spent."""
    w, memory = start, Memory(metric.factor)
    value, gradient = objective.value_and_gradient(w)
    curve, passes, gap = [value], 1, math.inf
    while True:
        gap = metric.gap_bound(objective, w, gradient)
        if gap > tol * value and least_ridge_gap(objective, gradient) <= tol * value:
            gap, passes = min(gap, ridge_gap_bound(objective, w)), passes + 4
        if gap <= tol * value or passes >= max_passes:
            return Descent(w, value, gap, curve, passes)
        step = memory.direction(gradient)
        slope = float(gradient @ step)
        length = 1.0
        # Near the optimum P changes less than its rounding: a step is refused only for what is clearly a rise.
        noise = 16 * float(np.finfo(np.float64).eps) * abs(value)
        while True:
            candidate = w + length * step
            new_value, new_gradient = objective.value_and_gradient(candidate)
            passes += 1
            if new_value <= value + SUFFICIENT * length * slope + noise or passes >= max_passes:
                break
            length *= 0.5
        if new_value > value + noise:
            return Descent(w, value, gap, curve, passes)
        memory.add(candidate - w, new_gradient - gradient)
        w, value, gradient = candidate, new_value, new_gradient
        curve.append(value)
