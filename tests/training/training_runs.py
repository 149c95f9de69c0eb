"""Training runs on columns drawn with a fixed seed, and on the built-in data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from service.record import Provenance
from service.tabular.datasets import load_dataset
from service.tabular.table import Column, Table
from service.training.labels import labels_from_column
from service.training.options import parse_options
from service.training.train import TrainedModel, TrainingData, train

PROVENANCE = Provenance(logitd="0", numpy="0", data="drawn", data_sha256=None, command=None)
N_ROWS = 80

_rng = np.random.default_rng(20)
A, B = _rng.normal(size=(2, N_ROWS))
# Follows A without being told apart by it.
Y = (_rng.random(N_ROWS) < 1 / (1 + np.exp(-A))).astype(np.int64)


def table_of(columns: Mapping[str, npt.ArrayLike]) -> Table:
    """Numbers as numeric columns, strings and None as text."""
    cells = tuple(map(_column, columns.values()))
    return Table(tuple(columns), cells, len(cells[0]))


def _column(values: npt.ArrayLike) -> Column:
    cells = np.asarray(values)
    return cells.astype(np.float64) if cells.dtype.kind in "fi" else np.asarray(values, dtype=np.object_)


def trained(
    columns: Mapping[str, npt.ArrayLike],
    labels: npt.ArrayLike = Y,
    *,
    sample_weight: npt.ArrayLike | None = None,
    **options: Any,
) -> TrainedModel:
    """A run on the columns with the options given by name."""
    weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    return train(TrainingData(table_of(columns), np.asarray(labels), weights), parse_options(options), PROVENANCE)


def trained_on(name: str, **options: Any) -> TrainedModel:
    """A run on a built-in data set with the options given by name."""
    dataset = load_dataset(name)
    labels = labels_from_column(dataset.table.column(dataset.target), dataset.target)
    data = TrainingData(dataset.table.without(dataset.target), labels, None, dataset.missing_values)
    return train(data, parse_options(options), PROVENANCE)
