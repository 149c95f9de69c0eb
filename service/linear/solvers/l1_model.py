"""The quadratic model of a proximal Newton step: its minimum under an absolute penalty, by an active set.

::

    minimise over x    gᵀ(x - w) + ½ (x - w)ᵀH(x - w) + Σⱼ κⱼ |xⱼ|

Newton's step on the free coordinates with their signs held, each that would change its sign set to 0, is the minimum
itself once the signs are right, which takes a few steps.  Where it is cut short, passes of accelerated proximal gradient
in the scale of H's diagonal find better signs; they need no factor, and no H of full rank.

Sources: A. Beck, M. Teboulle, A fast iterative shrinkage-thresholding algorithm, SIAM J. Imaging Sci. 2, 2009;
B. O'Donoghue, E. Candès, Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 15, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import inverse_of_lower
from service.linear.solvers.newton_cg import solve as solve_by_products

Mask: TypeAlias = npt.NDArray[np.bool_]

MOST_ROUNDS = 12
PASSES_A_ROUND = 30
# A model is minimised to this share of the residual that it starts with: the next one has a better H.
RESIDUAL_SHARE = 1e-8
POWER_STEPS = 12
# What a step adds to H, relative to its diagonal, so that it exists where columns depend on each other.
RIDGE = 1e-8


class Curvature(Protocol):
    """H of a model, symmetric and positive semi-definite, (q, q)."""

    @property
    def diagonal(self) -> Vector: ...

    def product(self, v: Vector) -> Vector:
        """H v."""

    def solve(self, free: Mask, b: Vector) -> Vector:
        """The z with (H + RIDGE · diag H) z = b on the free coordinates, 0 elsewhere."""


@dataclass(frozen=True)
class DenseCurvature:
    """H as a matrix."""

    hessian: Matrix

    @cached_property
    def diagonal(self) -> Vector:
        return np.diag(self.hessian).copy()

    def product(self, v: Vector) -> Vector:
        moved = np.flatnonzero(v)
        return self.hessian @ v if 2 * len(moved) > len(v) else self.hessian[:, moved] @ v[moved]

    def solve(self, free: Mask, b: Vector) -> Vector:
        index = np.flatnonzero(free)
        unit = np.sqrt(np.where(self.diagonal[index] > 0, self.diagonal[index], np.inf))
        correlation = self.hessian[np.ix_(index, index)] / unit[:, None] / unit
        # Where there is no curvature at all, 1 keeps the factor, and dividing by inf the step at 0.
        correlation[np.diag_indices(len(index))] = 1.0 + RIDGE
        inverse = inverse_of_lower(np.asarray(np.linalg.cholesky(correlation), dtype=np.float64))
        z = np.zeros_like(b)
        z[index] = inverse.T @ (inverse @ (b[index] / unit)) / unit
        return z


@dataclass(frozen=True)
class ProductCurvature:
    """H as a function v → H v and its diagonal, where the matrix would be too large; ``solve`` is by conjugate gradients."""

    multiply: Callable[[Vector], Vector]
    diagonal: Vector

    def product(self, v: Vector) -> Vector:
        return self.multiply(v)

    def solve(self, free: Mask, b: Vector) -> Vector:
        def on_free(v: Vector) -> Vector:
            return np.where(free, self.multiply(v) + RIDGE * self.diagonal * v, 0.0)

        return solve_by_products(on_free, self.diagonal, np.where(free, b, 0.0))[0]


@dataclass(frozen=True)
class L1Model:
    """The model around w, with gradient g and penalty κ = l1, all (q,)."""

    w: Vector
    gradient: Vector
    curvature: Curvature
    l1: Vector

    def minimum(self) -> Vector:
        """The minimiser x, (q,), or a point below w where that would take too long; exact zeros."""
        x, slope, enough = self.w.copy(), self.gradient.copy(), 0.0
        signs_held = False
        for n_round in range(MOST_ROUNDS):
            sign, free = self._orthant(x, slope)
            residual = np.where(free, slope + self.l1 * sign, 0.0)
            size = float(np.max(np.abs(residual) * self._scale, initial=0.0))
            enough = max(enough, RESIDUAL_SHARE * size)
            if size <= enough or (signs_held and not (free & (x == 0) & (self.l1 > 0)).any()):
                break
            before = x
            x, slope, signs_held = self._newton_step(x, slope, sign, self.curvature.solve(free, -residual))
            if x is before or (n_round > 1 and not signs_held):
                x, slope = self._gradient_passes(x, slope)
        return x

    @cached_property
    def _scale(self) -> Vector:
        """1 / √diag H, 0 where a coordinate has no curvature."""
        diagonal = self.curvature.diagonal
        return np.asarray(1.0 / np.sqrt(np.where(diagonal > 0, diagonal, np.inf)), dtype=np.float64)

    def _orthant(self, x: Vector, slope: Vector) -> tuple[Vector, Mask]:
        """The signs to hold, and which coordinates are free: all but those at 0 that are better off there."""
        sign = np.where(x != 0, np.sign(x), -np.sign(slope))
        return sign, (x != 0) | (np.abs(slope) > self.l1)

    def _newton_step(self, x: Vector, slope: Vector, sign: Vector, step: Vector) -> tuple[Vector, Vector, bool]:
        """The point x + step if all signs held, else the lower of two: what leaves its sign set to 0, or the best of the way.

        And the slope there, and whether all signs held.
        """
        candidate = x + step
        leaves = (self.l1 > 0) & (candidate * sign < 0)
        candidate[leaves] = 0.0
        bend = self.curvature.product(candidate - x)
        if not leaves.any():
            return candidate, slope + bend, True
        on_the_way = self._best_on_the_way(x, slope, step)
        bend_on_the_way = self.curvature.product(on_the_way - x)
        if self._rise(x, slope, on_the_way, bend_on_the_way) < self._rise(x, slope, candidate, bend):
            return on_the_way, slope + bend_on_the_way, False
        return candidate, slope + bend, False

    def _best_on_the_way(self, x: Vector, slope: Vector, step: Vector) -> Vector:
        """The minimum over x + t · step, t ≥ 0, where the model is a piecewise quadratic with kinks at changes of sign."""
        with np.errstate(divide="ignore", invalid="ignore"):
            times = np.where((x * step < 0) & (self.l1 > 0), -x / step, np.inf)
        order = np.argsort(times)
        # The slope along the way after each kink that is passed, but for the curvature.
        kinks, jumps = times[order], 2.0 * (self.l1 * np.abs(step))[order]
        first = float(slope @ step + self.l1 @ np.where(x != 0, np.sign(x) * step, np.abs(step)))
        bend = float(step @ self.curvature.product(step))
        before = first + np.concatenate([[0.0], np.cumsum(jumps[:-1])])
        with np.errstate(invalid="ignore"):
            past = before + bend * kinks + jumps >= 0
        k = int(np.argmax(past)) if past.any() else len(kinks) - 1
        t = min(float(kinks[k]), -float(before[k]) / bend if bend > 0 else math.inf)
        if not 0 < t < math.inf:
            return x
        new = x + t * step
        if t == kinks[k]:
            new[order[k]] = 0.0
        return new

    def _rise(self, x: Vector, slope: Vector, new: Vector, bend: Vector) -> float:
        """By how much the model is higher at ``new`` than at x, where its slope is ``slope``; bend: H (new - x)."""
        return float((slope + 0.5 * bend) @ (new - x) + self.l1 @ (np.abs(new) - np.abs(x)))

    def _gradient_passes(self, x: Vector, slope: Vector) -> tuple[Vector, Vector]:
        """Accelerated proximal gradient from x, where the model has this slope; and the slope where it ends."""
        rate = self._scale**2 / self._largest_eigenvalue
        point, bend, momentum = x, np.zeros_like(x), 1.0
        ahead, bend_ahead = point, bend
        for _ in range(PASSES_A_ROUND):
            moved = ahead - rate * (slope + bend_ahead)
            new = np.sign(moved) * np.maximum(np.abs(moved) - rate * self.l1, 0.0)
            new_bend = self.curvature.product(new - x)
            if (ahead - new) @ ((new - point) / np.where(rate > 0, rate, np.inf)) > 0:
                momentum = 1.0
            larger = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
            share = (momentum - 1.0) / larger
            ahead, bend_ahead = new + share * (new - point), new_bend + share * (new_bend - bend)
            point, bend, momentum = new, new_bend, larger
        return (point, slope + bend) if self._rise(x, slope, point, bend) < 0 else (x, slope)

    @cached_property
    def _largest_eigenvalue(self) -> float:
        """Of H in the scale of its diagonal, by power iteration, and a tenth more."""
        v, size = np.random.default_rng(0).normal(size=len(self.w)), 1.0
        for _ in range(POWER_STEPS):
            v = self._scale * self.curvature.product(self._scale * (v / np.linalg.norm(v)))
            size = float(np.linalg.norm(v))
        return 1.1 * size
