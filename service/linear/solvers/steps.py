"""The step along a Newton direction, for every solver that has one."""

from __future__ import annotations

import numpy as np

from service.linear.certificate import damping
from service.linear.objective import Objective, Vector


def take_step(objective: Objective, w: Vector, step: Vector) -> tuple[Vector, float]:
    """The point w + t · step, t = 1 or log(1 + u)/u, whichever decreases P more; and u, the largest change of a logit by t = 1.

    Costs two passes, one of them spared close to the optimum.
    """
    raw_step = objective.raw_prediction(step)
    u = objective.largest_change(raw_step)
    # Close to the optimum P changes less than its rounding, and the full step is safe by theory, not by value.
    if u < 1e-3:
        return w + step, u
    raw = objective.raw_prediction(w)
    lengths = (1.0, damping(u))
    values = [objective.value_at(raw + t * raw_step, w + t * step) for t in lengths]
    return w + lengths[int(np.argmin(values))] * step, u
