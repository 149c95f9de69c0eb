"""``infer_schema``: the feature contract that a training table implies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np

from service.errors import EmptyInput, InvalidInput, MissingValue, NonFinite, quoted
from service.tabular.schema import (
    QUANTILE_LEVELS,
    CategoricalFeature,
    Feature,
    MissingPolicy,
    NumericFeature,
    Schema,
)
from service.tabular.table import Column, NumericColumn, Tabular, TextColumn, cell_pointer, is_numeric, missing_cells

MAX_CATEGORIES = 1_000
# Ten events a coefficient (P. Peduzzi et al., Journal of Clinical Epidemiology 49, 1996): from fewer rows an indicator
# learns their labels, which leave-one-out pays for with a poor C for all columns.
MIN_INDICATED_ROWS = 10


def infer_schema(table: Tabular, *, missing: MissingPolicy = "reject", missing_values: tuple[str, ...] = ()) -> Schema:
    """The schema of the features in ``table``: what the present cells are like, and the share of the missing ones.

    A feature with at least ``MIN_INDICATED_ROWS`` missing cells has an indicator.
    Columns are looked at one after another, each of them whole, so that rows on disk give the same bits.
    missing_values: the words that stood for a missing cell in the training file.
    Raises EmptyInput without rows or columns; MissingValue under ``reject``; NonFinite; InvalidInput for a column
    without any value or a text column of more than 1 000 categories.
    """
    if not table.n_rows or not table.names:
        raise EmptyInput("expected at least one row and one feature column")
    features = tuple(
        _feature(
            name, _present(name, column, missing, partial(cell_pointer, table, name=name, index=index)), table.n_rows
        )
        for index, (name, column) in enumerate(table)
    )
    return Schema(features=features, missing=missing, missing_values=missing_values)


def _present(name: str, column: Column, missing: MissingPolicy, pointer: Callable[[int], str]) -> Column:
    """The cells that have a value; ``pointer``: from a row to the JSON pointer of its cell."""
    is_missing = missing_cells(column)
    if is_missing.any() and missing == "reject":
        row = int(np.argmax(is_missing))
        raise MissingValue(
            f"row {row}, column {quoted(name)} is missing",
            pointer=pointer(row),
            hint='fill or leave out the row, or impute: missing="impute", --missing impute',
        )
    if is_missing.all():
        raise InvalidInput(f"column {quoted(name)} has no value in any row; remove it")
    return column[~is_missing]


def _feature(name: str, present: Column, n_rows: int) -> Feature:
    n_missing = n_rows - len(present)
    if is_numeric(present):
        return _numeric_feature(name, present.astype(np.float64, copy=False), n_missing)
    return _categorical_feature(name, present.astype(np.object_, copy=False), n_missing)


def _numeric_feature(name: str, numbers: NumericColumn, n_missing: int) -> NumericFeature:
    if np.isinf(numbers).any():
        raise NonFinite(f"column {quoted(name)} holds an infinite number")
    quantiles = _quantiles(numbers)
    minimum, maximum = quantiles[0], quantiles[-1]
    return NumericFeature(
        # Rounding may put the mean of equal numbers beside them.
        name=name,
        mean=min(max(_mean(numbers), minimum), maximum),
        minimum=minimum,
        maximum=maximum,
        quantiles=quantiles,
        missing_share=n_missing / (n_missing + len(numbers)),
        has_indicator=n_missing >= MIN_INDICATED_ROWS,
    )


def _quantiles(numbers: NumericColumn) -> tuple[float, ...]:
    """The values at ``QUANTILE_LEVELS``, by ranks."""
    # In whole numbers: np.quantile takes 55 % of 100 rows for 55.00000000000001, and so for the 56th.
    ranks = [max(-(-level * len(numbers) // 100), 1) for level in QUANTILE_LEVELS]
    return tuple(np.sort(numbers)[np.array(ranks) - 1].tolist())


def _mean(numbers: NumericColumn) -> float:
    with np.errstate(over="ignore"):
        mean = float(np.mean(numbers))
    # A sum beyond the largest double: divide first, and lose a bit of the last place.
    return mean if np.isfinite(mean) else float(np.sum(numbers / len(numbers)))


def _categorical_feature(name: str, texts: TextColumn, n_missing: int) -> CategoricalFeature:
    counts = Counter(texts.tolist())
    if len(counts) > MAX_CATEGORIES:
        raise InvalidInput(
            f"column {quoted(name)} has more than {MAX_CATEGORIES} categories; is it an identifier? If so, remove it"
        )
    categories = tuple(sorted(counts))
    return CategoricalFeature(
        name=name,
        categories=categories,
        frequencies=tuple(counts[category] / len(texts) for category in categories),
        missing_share=n_missing / (n_missing + len(texts)),
        has_indicator=n_missing >= MIN_INDICATED_ROWS,
    )
