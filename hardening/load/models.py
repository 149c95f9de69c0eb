"""The models that are served: ``small`` with 4 columns and ``wide`` with 30, in several versions that answer differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.serving.model import Linear, publish

SMALL, WIDE = "small", "wide"
COLUMNS = {SMALL: 4, WIDE: 30}
N_VERSIONS = 3


def store_with_models(folder: Path, n_versions: int = N_VERSIONS) -> Path:
    """Publish them all into a new store in a folder; returns the store."""
    store = folder / "store"
    for name, n_columns in COLUMNS.items():
        for version in range(1, n_versions + 1):
            rng = np.random.default_rng([n_columns, version])
            publish(Linear(rng.standard_normal(n_columns), float(rng.standard_normal())), name, store)
    return store


def rows(n_rows: int, n_columns: int, *, seed: int = 1, digits: int = 3) -> list[list[float]]:
    """Rows of normal columns with few digits, always the same."""
    drawn = np.random.default_rng([seed, n_rows, n_columns]).standard_normal((n_rows, n_columns))
    found: list[list[float]] = drawn.round(digits).tolist()
    return found
