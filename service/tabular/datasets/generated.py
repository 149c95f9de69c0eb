"""The data sets that are drawn: always the same rows, since the seed is fixed."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.tabular.datasets.dataset import Dataset
from service.tabular.table import Table

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]

SEED = 0
_SOURCE = "generated with NumPy, seed 0"
_LICENCE = "none needed"


def moons() -> Dataset:
    """Two half circles of radius 1 that reach into each other, normal noise with standard deviation 0.2."""
    rng = np.random.default_rng(SEED)
    angle = np.linspace(0, np.pi, 200)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    points = np.vstack([upper, lower]) + rng.normal(scale=0.2, size=(400, 2))
    return _dataset("moons", points, "moon", np.repeat([0.0, 1.0], 200), "400 points on two half moons")


def spiral() -> Dataset:
    """Three arms of 100 points, each 4 radians long, from the origin to radius 1."""
    rng = np.random.default_rng(SEED)
    arm = np.repeat([0.0, 1.0, 2.0], 100)
    radius = np.tile(np.linspace(0, 1, 100), 3)
    angle = 4 * (arm + radius) + rng.normal(scale=0.2, size=300)
    points = np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])
    return _dataset("spiral", points, "arm", arm, "300 points on three spiral arms")


def random() -> Dataset:
    """Standardised normal columns; P(y = 1) = 1 / (1 + exp(-(1.5 x1 - x2 + 0.5 x3))), so x4 means nothing."""
    rng = np.random.default_rng(SEED)
    drawn = rng.standard_normal((500, 4))
    points = (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)
    probability = 1 / (1 + np.exp(-(points @ np.array([1.5, -1.0, 0.5, 0.0]))))
    y = (rng.random(500) < probability).astype(np.float64)
    return _dataset("random", points, "y", y, "500 normal points, the classes drawn from a logistic model")


def _dataset(name: str, points: Matrix, target: str, labels: Vector, description: str) -> Dataset:
    features = {f"x{index}": column for index, column in enumerate(points.T, start=1)}
    table = Table((*features, target), (*features.values(), labels), len(labels))
    return Dataset(name, table, target, description, _SOURCE, _LICENCE)
