"""The step along a Newton direction, for every solver that has one."""

from __future__ import annotations

import numpy as np

from service.linear.certificate import damping
from service.linear.columns.arrays import Vector
from service.linear.objective import Objective

SAFE_CHANGE = 0.5


def take_step(objective: Objective, w: Vector, step: Vector) -> tuple[Vector, float]:
    """The point w + t · step, t = 1 or log(1 + u)/u, whichever decreases P more; and u, the largest change of a logit by t = 1.

    Costs two passes, one of them spared where the full step is safe.
    """
    raw_step = objective.raw_prediction(step)
    u = objective.largest_change(raw_step)
    # The full step decreases P by 4/5 of what its model promises at least (see ``damping``), and close to the optimum,
    # where P changes less than its rounding, nothing else would.
    if u < SAFE_CHANGE:
        return w + step, u
    raw = objective.raw_prediction(w)
    lengths = (1.0, damping(u))
    values = [objective.value_at(raw + t * raw_step, w + t * step) for t in lengths]
    return w + lengths[int(np.argmin(values))] * step, u
