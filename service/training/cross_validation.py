"""Cross-validation: how good models are that the same options give on other rows, with the spread between folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from service.errors import InvalidParameter
from service.record import Metrics
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Table
from service.training.design_rows import MEMORY_BYTES
from service.training.evaluate import evaluate
from service.training.options import TrainingOptions
from service.training.split import Index
from service.training.train import TrainingData, fit_model, known_categories, weighted_rows


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The metrics of each fold's rows, by a model that was fitted to the rows of the other folds."""

    folds: tuple[Metrics, ...]

    def mean_and_deviation(self, metric: str) -> tuple[float, float] | None:
        """The mean over folds of a field of ``Metrics`` and its standard deviation (divisor K - 1); None: not defined."""
        values = [getattr(fold, metric) for fold in self.folds]
        if None in values:
            return None
        return float(np.mean(values)), float(np.std(values, ddof=1))

    def as_json(self) -> list[dict[str, Any]]:
        """The folds' metrics, as ``Metrics`` has them."""
        return [fold.model_dump(mode="json") for fold in self.folds]


def cross_validate(
    data: TrainingData,
    options: TrainingOptions,
    n_folds: int,
    *,
    jobs: int = 1,
    memory_bytes: int = MEMORY_BYTES,
) -> CrossValidation:
    """Fit ``n_folds`` models by ``options``, each to the rows of the other folds, and evaluate it on its own.

    Everything that training learns is learnt anew: schema, scaling, and C where it is "auto".  The folds hold each
    class in its share and follow from ``options.seed``; ``validation_fraction`` plays no part.  jobs: processes, -1 for
    one a processor, but this one alone for rows on disk; the bits do not depend on it.  memory_bytes: of each process, see
    ``design_rows``.  A row with a category that the other folds lack is left out.
    Raises InvalidParameter when a class has fewer rows than there are folds, and what ``train`` raises.
    """
    # Before the folds, so that an error names the row by its number in ``data``.
    infer_schema(data.table, missing=options.missing, missing_values=data.missing_values)
    data = weighted_rows(data)
    fold_of_row = stratified_folds(data.labels, n_folds, np.random.default_rng(options.seed))
    # Processes, not threads: each keeps its BLAS to one thread, which is a setting of the whole process.
    folds = Parallel(n_jobs=jobs if isinstance(data.table, Table) else 1)(
        delayed(evaluate_fold)(data, options, fold_of_row == fold, memory_bytes) for fold in range(n_folds)
    )
    return CrossValidation(tuple(folds))


def stratified_folds(labels: npt.NDArray[Any], n_folds: int, rng: np.random.Generator) -> Index:
    """The fold 0…K-1 of each row, (n,): of a class with m rows each fold has m / K, rounded up or down, drawn by ``rng``.

    Raises InvalidParameter unless there are from 2 folds to as many as the rarest class has rows.
    """
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if not 2 <= n_folds <= counts.min():
        raise InvalidParameter(f"folds must be from 2 to {counts.min()}, the number of rows of the rarest class")
    fold_of_row = np.empty(len(labels), dtype=np.intp)
    start = 0
    for label, count in enumerate(counts):
        # Where one class ends the next goes on, so that the folds are of one size.
        fold_of_row[rng.permutation(np.flatnonzero(index == label))] = (start + np.arange(count)) % n_folds
        start += int(count)
    return fold_of_row


def evaluate_fold(
    data: TrainingData, options: TrainingOptions, is_own: npt.NDArray[np.bool_], memory_bytes: int
) -> Metrics:
    """The metrics on the rows of the fold, where ``is_own`` (n,), of the model fitted to the others."""
    model, _, _ = fit_model(data.rows(np.flatnonzero(~is_own)), options, memory_bytes)
    held_out = known_categories(data.rows(np.flatnonzero(is_own)), model.schema)
    if held_out is None:
        raise InvalidParameter("a fold has no row whose categories the other folds know; use fewer folds")
    return evaluate(model, held_out.table, held_out.labels)
