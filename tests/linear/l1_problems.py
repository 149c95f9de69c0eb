"""Fitting problems with an L1 penalty or an elastic net, each with its optimum by Newton's method in 80-bit numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from problems import PROBLEMS, Problem, Wide, drawn, solve_semidefinite, value_gradient_hessian

from service.linear.columns.arrays import Vector
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.solvers import ProxNewton


@dataclass(frozen=True, eq=False)
class L1Problem:
    """A problem whose penalty is l1_ratio / C on |coef| and (1 - l1_ratio) / C on coef²/2.

    problem: the rows, with C the strength of both.
    """

    problem: Problem
    l1_ratio: float

    def __str__(self) -> str:
        return f"{self.problem} {self.l1_ratio:g}"

    @cached_property
    def smooth(self) -> Problem:
        """The same rows with the quadratic penalty alone."""
        share = 1.0 - self.l1_ratio
        return replace(self.problem, C=self.problem.C / share if share > 0 else math.inf)

    @property
    def l1(self) -> float:
        return self.l1_ratio / self.problem.C

    @cached_property
    def objective(self) -> BinaryObjective | SoftmaxObjective:
        rows = self.smooth.objective.rows
        return replace(self.smooth.objective, rows=replace(rows, l1=np.full(rows.X.shape[1], self.l1)))

    @cached_property
    def start(self) -> Vector:
        return np.zeros(self.objective.n_params)

    def true_gap(self, w: Vector) -> float:
        """P(w) - P* in 80 bits."""
        return float(value_of(self, np.asarray(w, dtype=np.longdouble)) - reference_optimum(self))


def value_of(problem: L1Problem, w: Wide) -> np.longdouble:
    """P at w in 80 bits."""
    value = value_gradient_hessian(problem.smooth, w)[0]
    absolute = problem.objective.l1_params.astype(np.longdouble) @ np.abs(w)
    return np.longdouble(value + absolute)


@cache
def reference_minimiser(problem: L1Problem) -> Wide:
    """The optimum in 80 bits: on the signs that the solver found, by Newton; then its conditions are checked in full."""
    w = ProxNewton(tol=1e-12).minimise(problem.objective, problem.start).w.astype(np.longdouble)
    l1 = problem.objective.l1_params.astype(np.longdouble)
    free, sign = (w != 0) | (l1 == 0), np.sign(w)
    for _ in range(20):
        value, gradient, hessian = value_gradient_hessian(problem.smooth, w)
        slope = (gradient + l1 * sign)[free]
        step = -solve_semidefinite(hessian[np.ix_(free, free)], slope)
        w = w.copy()
        w[free] += step
        if -slope @ step <= 1e-19 * value:
            break
    gradient = value_gradient_hessian(problem.smooth, w)[1]
    assert (np.sign(w) == sign)[free & (l1 > 0)].all()
    assert (np.abs(gradient) <= l1)[~free].all()
    assert (
        np.abs(gradient + l1 * sign)[free] <= 1e-12 * (np.abs(problem.smooth.X).sum() + len(problem.smooth.X))
    ).all()
    return np.asarray(w, dtype=np.longdouble)


@cache
def reference_optimum(problem: L1Problem) -> np.longdouble:
    """P* in 80 bits."""
    return value_of(problem, reference_minimiser(problem))


def _names(name: str) -> Problem:
    return next(problem for problem in PROBLEMS if problem.name == name)


def _l1_problems() -> tuple[L1Problem, ...]:
    tables = [
        *("binary", "three-classes", "constant-column", "more-columns", "more-columns-3", "imbalanced"),
        *("no-intercept", "no-intercept-3", "weighted", "separable", "collinear", "one-row-per-class", "log-odds-3"),
    ]
    pure = [L1Problem(_names(name), 1.0) for name in tables]
    nets = [L1Problem(_names(name), 0.5) for name in [*tables, "margins-1e6", "quasi-separable", "separable-3"]]
    weighted = replace(_names("weighted-3"), C=2.0)
    wide = Problem("wide", *drawn(40, 150, seed=4, spread=0.3), C=0.6)
    wide_3 = Problem("wide-3", *drawn(30, 40, 3, seed=4, spread=0.3), C=0.6)
    repeated = _names("binary")
    twice = replace(repeated, name="duplicated", X=np.column_stack([repeated.X, repeated.X[:, 0]]))
    return (
        *pure,
        *nets,
        *(L1Problem(problem, ratio) for problem in (weighted, wide, wide_3) for ratio in (1.0, 0.3)),
        L1Problem(twice, 0.5),
    )


L1_PROBLEMS = _l1_problems()
SMALL_L1 = tuple(problem for problem in L1_PROBLEMS if len(problem.problem.X) < 1000)
