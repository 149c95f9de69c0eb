"""``infer_schema``: the feature contract that a training table implies."""

from __future__ import annotations

from collections import Counter

import numpy as np

from service.errors import EmptyInput, InvalidInput, MissingValue, NonFinite, quoted
from service.tabular.schema import CategoricalFeature, Feature, MissingPolicy, NumericFeature, Schema
from service.tabular.table import Column, NumericColumn, Tabular, TextColumn, is_numeric, missing_cells

MAX_CATEGORIES = 1_000


def infer_schema(table: Tabular, *, missing: MissingPolicy = "reject", missing_values: tuple[str, ...] = ()) -> Schema:
    """The schema of the features in ``table``: means, ranges, categories and shares of the cells that are present.

    Columns are looked at one after another, each of them whole, so that rows on disk give the same bits.
    missing_values: the words that stood for a missing cell in the training file.
    Raises EmptyInput without rows or columns; MissingValue under ``reject``; NonFinite; InvalidInput for a column
    without any value or a text column of more than 1 000 categories.
    """
    if not table.n_rows or not table.names:
        raise EmptyInput("expected at least one row and one feature column")
    features = tuple(
        _feature(name, _present(name, column, index, missing)) for index, (name, column) in enumerate(table)
    )
    return Schema(features=features, missing=missing, missing_values=missing_values)


def _present(name: str, column: Column, index: int, missing: MissingPolicy) -> Column:
    """The cells that have a value."""
    is_missing = missing_cells(column)
    if is_missing.any() and missing == "reject":
        row = int(np.argmax(is_missing))
        raise MissingValue(
            f"row {row}, column {quoted(name)} is missing",
            pointer=f"/instances/{row}/{index}",
            hint='fill or leave out the row, or impute: missing="impute", --missing impute',
        )
    if is_missing.all():
        raise InvalidInput(f"column {quoted(name)} has no value in any row; remove it")
    return column[~is_missing]


def _feature(name: str, present: Column) -> Feature:
    if is_numeric(present):
        return _numeric_feature(name, present.astype(np.float64, copy=False))
    return _categorical_feature(name, present.astype(np.object_, copy=False))


def _numeric_feature(name: str, numbers: NumericColumn) -> NumericFeature:
    if np.isinf(numbers).any():
        raise NonFinite(f"column {quoted(name)} holds an infinite number")
    minimum, maximum = float(numbers.min()), float(numbers.max())
    return NumericFeature(
        # Rounding may put the mean of equal numbers beside them.
        name=name,
        mean=min(max(_mean(numbers), minimum), maximum),
        minimum=minimum,
        maximum=maximum,
    )


def _mean(numbers: NumericColumn) -> float:
    with np.errstate(over="ignore"):
        mean = float(np.mean(numbers))
    # A sum beyond the largest double: divide first, and lose a bit of the last place.
    return mean if np.isfinite(mean) else float(np.sum(numbers / len(numbers)))


def _categorical_feature(name: str, texts: TextColumn) -> CategoricalFeature:
    counts = Counter(texts.tolist())
    if len(counts) > MAX_CATEGORIES:
        raise InvalidInput(
            f"column {quoted(name)} has more than {MAX_CATEGORIES} categories; is it an identifier? If so, remove it"
        )
    categories = tuple(sorted(counts))
    return CategoricalFeature(
        name=name, categories=categories, frequencies=tuple(counts[category] / len(texts) for category in categories)
    )
