"""Rows to train on and rows to hold out, each class in its share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Index: TypeAlias = npt.NDArray[np.intp]


def stratified_split(
    labels: npt.NDArray[Any], held_out_fraction: float, rng: np.random.Generator
) -> tuple[Index, Index]:
    """(training, held-out) row numbers, each ascending, drawn by class.

    Of a class with m rows, round(m · fraction) are held out, but never all of them: every class stays in training.
    """
    held_out: list[Index] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held_out.append(rows[: min(round(len(rows) * held_out_fraction), len(rows) - 1)])
    chosen = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen
