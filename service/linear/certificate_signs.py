"""A sharper proof under an L1 penalty, once it is known which coefficients vanish and what signs the others have.

Where ξⱼ = sign βⱼ for βⱼ ≠ 0 and |ξⱼ| ≤ 1 else, κⱼ |βⱼ| ≥ κⱼ ξⱼ βⱼ for all β, with equality at the fit: P is nowhere below
the smooth Q = P with κⱼ ξⱼ βⱼ in place of κⱼ |βⱼ|, and equal to it at the fit.  Let S hold the intercepts, every βⱼ ≠ 0,
and the βⱼ = 0 whose correlation is at the edge, |aⱼ| ≈ κⱼ.

With all else held at 0, bound (B) of ``certificate`` says how far Q is above its minimum over S, and that the minimum is
no farther than r / R in the norm of the Hessian, r = -log(1 - u).  No logit (no range of logits over classes) moves by
more than r on the way, no curvature grows by more than e^r, and no correlation moves by more than √(Σ s xⱼ²) / 2 · r / R
· e^{r/2}, by Cauchy and Schwarz.  If that leaves |aⱼ| ≤ κⱼ outside S, the minimum over S is a minimum of Q over
everything, with ξⱼ = aⱼ / κⱼ there, and P* is not below it.

The bound tends to half the squared Newton decrement: quadratic in the error, where the gap by duality is linear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.certificate import bound_from_decrement, leverage_root
from service.linear.certificate_l1 import DualGap, DualPoint, sum_error
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.factor import EPS, Factor, factorise
from service.linear.objective import Objective

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SignedPart:
    """A part of the columns, as an objective of its own, at w; everything else is 0.

    positions: its parameters among those of the whole, (q,).  gradient: of its smooth part at w, (q,).  hessian / factor²
    is at most its Hessian at w, (q, q); but for the intercepts without the gauge.
    """

    objective: Objective
    positions: Index
    w: Vector
    gradient: Vector
    hessian: Matrix
    factor: float


def signed_gap(part: SignedPart, whole: DualGap, dual: DualPoint) -> float:
    """A bound on P(w) - P* of ``whole``, where ``dual`` is its dual point at w; inf where signs are not certain.

    Costs a factor of the Hessian, and no pass over the rows.
    """
    l1, correlation = part.objective.l1_params, dual.correlation[part.positions]
    at_edge = np.abs(correlation) + dual.leeway[part.positions] > l1 * (1.0 - 1e-6)
    chosen = (part.w != 0) | (l1 == 0) | at_edge
    inverse = factorise(part.hessian[np.ix_(chosen, chosen)])
    if inverse.rank < int(chosen.sum()):
        return math.inf
    sign = np.where(part.w != 0, np.sign(part.w), np.sign(correlation))
    slope = (part.gradient + l1 * sign)[chosen]
    # The part's sums over the rows run in longer blocks than those of the whole.
    longer = max(1.0, sum_error(part.objective.rows) / sum_error(whole.objective.rows))
    rounding = longer * dual.rounding[part.positions] + 4 * EPS * (l1 + np.abs(part.objective.l2_params * part.w))
    decrement, leverage = _sizes(part, inverse, chosen, slope, rounding[chosen])
    bound = bound_from_decrement(decrement, leverage)
    if not math.isfinite(bound):
        return math.inf
    r = -math.log1p(-decrement * leverage)
    distance = r / leverage if leverage > 0 else decrement
    return bound if _stays_inside(whole, dual, part.positions[chosen], distance * math.exp(r / 2)) else math.inf


def _sizes(part: SignedPart, inverse: Factor, chosen: Mask, slope: Vector, rounding: Vector) -> tuple[float, float]:
    """The Newton decrement ν, and R or a bound on it."""
    F, slack = inverse.F, inverse.slack * part.factor
    decrement = float(np.linalg.norm(np.abs(F.T @ slope) + np.abs(F.T) @ rounding)) * slack
    wide = np.zeros((len(part.w), F.shape[1]))
    wide[chosen] = F
    return decrement, leverage_root(part.objective, inverse, wide, decrement * part.factor) * slack


def _stays_inside(whole: DualGap, dual: DualPoint, chosen: Index, distance: float) -> bool:
    """Whether no correlation outside ``chosen`` exceeds κ within this distance in the norm of the Hessian."""
    objective = whole.objective
    norms = np.tile(whole.column_norms, objective.n_params // objective.rows.width)
    outside: Mask = np.ones(objective.n_params, dtype=np.bool_)
    outside[chosen] = False
    size = np.abs(dual.correlation) + dual.leeway + 0.5 * distance * norms
    return bool((size <= objective.l1_params)[outside].all())
