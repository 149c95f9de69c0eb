"""``Design``: from a ``Table`` to the numeric matrix of a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.tabular.schema import NumericFeature, Schema
from service.tabular.table import Column, Table

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """The matrix columns of a schema: one for a numeric feature, one for each category of a text feature.

    drop_first: leave out the first category of each text feature.  With a penalty all categories stay, so that none
    is special; without one they would add up to the intercept, and the first becomes the reference.
    """

    schema: Schema
    drop_first: bool = False

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """``age`` for a numeric feature, ``island=Biscoe`` for a category."""
        return tuple(
            feature.name if isinstance(feature, NumericFeature) else f"{feature.name}={category}"
            for feature in self.schema.features
            for category in ([""] if isinstance(feature, NumericFeature) else feature.categories[self.drop_first :])
        )

    @cached_property
    def feature_of_column(self) -> tuple[int, ...]:
        """For each matrix column, the index of the feature that it comes from."""
        return tuple(
            index
            for index, feature in enumerate(self.schema.features)
            for _ in range(1 if isinstance(feature, NumericFeature) else len(feature.categories) - int(self.drop_first))
        )

    @cached_property
    def means(self) -> Vector:
        """The training mean of each matrix column, shape (n_columns,)."""
        parts = [
            [feature.mean] if isinstance(feature, NumericFeature) else feature.frequencies[self.drop_first :]
            for feature in self.schema.features
        ]
        return np.array([value for part in parts for value in part], dtype=np.float64)

    def matrix(self, table: Table) -> Matrix:
        """The rows of ``table`` on the raw scale, shape (n_rows, n_columns).

        The table is checked and imputed by the schema first: see ``Schema.conform`` for the errors.
        """
        conformed = self.schema.conform(table)
        matrix = np.empty((conformed.n_rows, len(self.column_names)))
        position = 0
        for feature, column in zip(self.schema.features, conformed.columns, strict=True):
            if isinstance(feature, NumericFeature):
                matrix[:, position] = column
                position += 1
                continue
            width = len(feature.categories) - int(self.drop_first)
            matrix[:, position : position + width] = one_hot(column, feature.categories)[:, self.drop_first :]
            position += width
        return matrix


def one_hot(column: Column, categories: tuple[str, ...]) -> Matrix:
    """1.0 where a row has the category, else 0.0, shape (n_rows, len(categories))."""
    code = {category: index for index, category in enumerate(categories)}
    matrix = np.zeros((len(column), len(categories)))
    codes = np.fromiter((code[cell] for cell in column.tolist()), dtype=np.intp, count=len(column))
    matrix[np.arange(len(column)), codes] = 1.0
    return matrix
