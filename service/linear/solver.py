"""The contract of a solver: what it is given, what it returns, and why it may stop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from service.linear.columns.arrays import Vector
from service.linear.objective import Objective

# The Hessian of so many parameters takes 800 MB.
MAX_HESSIAN_PARAMS = 10_000


class Status(Enum):
    """Why a solver stopped; the value is the message."""

    OPTIMAL = "optimal"
    BUDGET_SPENT = "budget spent"
    NO_FINITE_OPTIMUM = "no finite optimum"


@dataclass(frozen=True, slots=True)
class Solution:
    """Where a solver stopped.

    w: (n_params,).  objective: P at w.  gap_bound: P - P* is at most this, inf when nothing is known.
    passes: how many times all rows were read.  loss_curve: P per unit of weight at evenly spaced iterations, the
    first at the start and the last at w; every ``curve_stride`` iterations (the last step may be shorter).
    rank: of (X, 1), where the solver came to know it.
    recession: the last step that moved a logit, when there is no finite optimum: it points to where P falls for ever.
    """

    w: Vector
    status: Status
    objective: float
    gap_bound: float
    n_iter: int
    passes: int
    loss_curve: Vector
    curve_stride: int = 1
    recession: Vector | None = None
    rank: int | None = None

    @property
    def gap_relative(self) -> float:
        """gap_bound / objective: inf when no bound is known, 0 when both vanish."""
        if self.gap_bound == 0:
            return 0.0
        return self.gap_bound / self.objective if self.objective > 0 else math.inf


class Solver(Protocol):
    """A frozen set of hyper-parameters with one method; it knows objectives, never the estimator.

    promises_optimum: whether a solution that is not certified is a failure (Newton) or what was asked for (gradient
    descent, which promises only its budget).
    """

    @property
    def name(self) -> str: ...
    @property
    def promises_optimum(self) -> bool: ...

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        """Minimise from ``start``, (n_params,).  An outcome is a value: see ``Status``."""
