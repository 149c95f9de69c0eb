"""Separation and its witness: a direction along which the log-loss falls for ever.

A witness δ has every row on its right side or on the border, and at least one row off it: for two classes
yᵢ δᵀ(xᵢ, 1) ≥ 0 with y in ±1, for K classes (δ_own - δ_k)ᵀ(xᵢ, 1) ≥ 0 for every other class k.  With all of them strictly
positive the classes are completely separated, else quasi-completely; either way no finite optimum exists without a
penalty (A. Albert, J. Anderson, On the existence of maximum likelihood estimates in logistic regression models,
Biometrika 71, 1984).  A witness is checked in exact arithmetic where rounding could decide.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np

from service.linear.columns import Block, Columns
from service.linear.columns.columns import Index, Matrix, Vector
from service.linear.lanes import parts_of

# Directions are looked for among fractions with denominators up to this: dummies, counts and their small combinations.
LARGEST_DENOMINATOR = 1000
# So many rows on the border are checked by fractions; with more, the answer is "undecided".
MOST_EXACT_ROWS = 20_000


def verdict(columns: Columns, index: Index, direction: Matrix) -> Literal["complete", "quasi"] | None:
    """What ``direction``, (k, p + 1) with the intercept last, proves of rows X (n, p) of classes ``index``; None: nothing."""
    some_positive, unsure_rows = False, []
    for part in parts_of(slice(0, columns.shape[0]), columns.pass_height):
        margins, noise = _margins(columns.block(part), index[part], direction)
        if (margins < -noise).any():
            return None
        some_positive = some_positive or bool((margins > noise).any())
        unsure_rows.append(part.start + np.flatnonzero((margins <= noise).any(axis=1)))
    rows = np.concatenate(unsure_rows)
    if not len(rows):
        return "complete"
    if len(rows) > MOST_EXACT_ROWS:
        return None
    # A row at a time: a sparse row may be wide.
    cells = (columns.block(slice(row, row + 1)).dense()[0] for row in rows.tolist())
    exact = [
        margin for row, x in zip(rows, cells, strict=True) for margin in _exact_margins(x, int(index[row]), direction)
    ]
    if any(margin < 0 for margin in exact):
        return None
    some_positive = some_positive or any(margin > 0 for margin in exact)
    if not some_positive:
        return None
    return "quasi" if any(margin == 0 for margin in exact) else "complete"


def rounded_direction(direction: Matrix) -> Matrix:
    """The direction with its largest coordinate 1 and the others near small fractions made those: where 1e-12 means 0."""
    if len(direction) > 1:
        # Softmax knows differences only: the last class is 0.
        direction = direction - direction[-1]
    largest = float(np.abs(direction).max(initial=0.0))
    if not np.isfinite(largest) or largest == 0:
        return np.zeros_like(direction)
    scaled = direction / largest
    fractions = [float(Fraction(float(value)).limit_denominator(LARGEST_DENOMINATOR)) for value in scaled.ravel()]
    return np.array(fractions).reshape(direction.shape)


def _margins(block: Block, index: Index, direction: Matrix) -> tuple[Matrix, Matrix]:
    """The margins (n, number of other classes) and a bound on their rounding."""
    coef = np.ascontiguousarray(direction[:, :-1].T)
    raw = block.product(coef) + direction[:, -1]
    size = block.magnitudes().product(np.abs(coef)) + np.abs(direction[:, -1])
    error = (block.shape[1] + 8) * float(np.finfo(np.float64).eps)
    if len(direction) == 1:
        return np.where(index > 0, 1.0, -1.0)[:, None] * raw, error * size
    own = np.arange(len(raw)), index
    others = np.ones_like(raw, dtype=np.bool_)
    others[own] = False
    margins = (raw[own][:, None] - raw)[others].reshape(len(raw), -1)
    return margins, error * (size[own][:, None] + size)[others].reshape(len(raw), -1)


def _exact_margins(row: Vector, label: int, direction: Matrix) -> list[Fraction]:
    """The margins of one row as fractions: floats are fractions, and sums of fractions are exact."""
    cells = [*map(Fraction, row.tolist()), Fraction(1)]
    logits = [
        sum((c * Fraction(d) for c, d in zip(cells, one, strict=True)), Fraction(0)) for one in direction.tolist()
    ]
    if len(logits) == 1:
        return [logits[0] if label > 0 else -logits[0]]
    return [logits[label] - logit for k, logit in enumerate(logits) if k != label]
