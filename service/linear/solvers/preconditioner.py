"""A preconditioner for many parameters: the Hessian's diagonal, and a dense block for its heaviest columns.

Most of what couples parameters is in few columns: common words, frequent categories, numbers.  Their block of the
Hessian, from some of the rows, is factored once; later Hessians differ from it most by their diagonal, which is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.linear.columns.arrays import Index, Vector
from service.linear.factor import Factor, factorise
from service.linear.objective import Objective
from service.linear.solvers.kept_metric import draw_sample

HEAVY_COLUMNS, ROWS_A_COLUMN = 500, 20


@dataclass(frozen=True, slots=True)
class HeavyBlock:
    """The factor of the inverse block of the parameters at ``index``, (m,), and the root of the diagonal there, (m,)."""

    index: Index
    factor: Factor
    root: Vector

    @classmethod
    def of(cls, objective: Objective, w: Vector, diagonal: Vector) -> HeavyBlock:
        """The block at w, where the Hessian has this diagonal."""
        rows = objective.rows
        n_logits = objective.n_params // rows.width
        weight = diagonal.reshape(n_logits, -1)[:, : rows.n_columns].sum(axis=0)
        heavy = np.sort(np.argsort(-weight, kind="stable")[: max(1, HEAVY_COLUMNS // n_logits)])
        sample = draw_sample(
            objective.class_index(), ROWS_A_COLUMN * HEAVY_COLUMNS, 1, np.random.default_rng(rows.n_rows)
        )
        part, start = objective.subset(sample.index, sample.factor).restricted(heavy, w)
        _, _, hessian = part.value_gradient_hessian(start)
        own = np.append(heavy, np.arange(rows.n_columns, rows.width))
        index = (np.arange(n_logits)[:, None] * rows.width + own).ravel()
        return cls(index, factorise(hessian), np.sqrt(diagonal[index]))

    def apply(self, residual: Vector, diagonal: Vector) -> Vector:
        """M⁻¹ r for a Hessian with this diagonal, (n_params,)."""
        result = residual / diagonal
        root = self.root / np.sqrt(diagonal[self.index])
        result[self.index] = root * self.factor.solve(root * residual[self.index])
        return result
