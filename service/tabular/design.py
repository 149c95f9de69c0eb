"""``Design``: from a ``Table`` to the numeric matrix of a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.tabular.schema import Feature, NumericFeature, Schema
from service.tabular.table import Column, Table, missing_cells

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """The matrix columns of a schema: one for a numeric feature, one for each category of a text feature.

    A feature with an indicator has one more: 1.0 where the cell is missing, which is imputed in the columns before.
    drop_first: leave out the first category of each text feature.  With a penalty all categories stay, so that none
    is special; without one they would add up to the intercept, and the first becomes the reference.
    """

    schema: Schema
    drop_first: bool = False

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """``age`` for a numeric feature, ``island=Biscoe`` for a category, ``age is missing`` for an indicator."""
        return tuple(name for feature in self.schema.features for name in self._names(feature))

    @cached_property
    def feature_of_column(self) -> tuple[int, ...]:
        """For each matrix column, the index of the feature that it comes from."""
        return tuple(index for index, feature in enumerate(self.schema.features) for _ in self._names(feature))

    @cached_property
    def means(self) -> Vector:
        """The training mean of each matrix column, imputed cells included, shape (n_columns,)."""
        return np.array([mean for feature in self.schema.features for mean in self._means(feature)], dtype=np.float64)

    def matrix(self, table: Table) -> Matrix:
        """The rows of ``table`` on the raw scale, shape (n_rows, n_columns).

        The table is checked and imputed by the schema first: see ``Schema.conform`` for the errors.
        """
        conformed = self.schema.conform(table)
        given = dict(table)
        matrix = np.empty((conformed.n_rows, len(self.column_names)))
        position = 0
        for feature, column in zip(self.schema.features, conformed.columns, strict=True):
            if isinstance(feature, NumericFeature):
                matrix[:, position] = column
                position += 1
            else:
                width = len(feature.categories) - int(self.drop_first)
                matrix[:, position : position + width] = one_hot(column, feature.categories)[:, self.drop_first :]
                position += width
            if feature.has_indicator:
                matrix[:, position] = missing_cells(given[feature.name])
                position += 1
        return matrix

    def _names(self, feature: Feature) -> list[str]:
        """The matrix columns of one feature: its own, then its indicator."""
        if isinstance(feature, NumericFeature):
            own = [feature.name]
        else:
            own = [f"{feature.name}={category}" for category in feature.categories[self.drop_first :]]
        return [*own, f"{feature.name} is missing"] if feature.has_indicator else own

    def _means(self, feature: Feature) -> list[float]:
        """The training means of ``_names``."""
        share = feature.missing_share
        if isinstance(feature, NumericFeature):
            own = [feature.mean]
        else:
            imputed = feature.most_frequent
            shares = zip(feature.categories, feature.frequencies, strict=True)
            own = [(1 - share) * of_present + share * (category == imputed) for category, of_present in shares]
            own = own[self.drop_first :]
        return [*own, share] if feature.has_indicator else own


def one_hot(column: Column, categories: tuple[str, ...]) -> Matrix:
    """1.0 where a row has the category, else 0.0, shape (n_rows, len(categories))."""
    code = {category: index for index, category in enumerate(categories)}
    matrix = np.zeros((len(column), len(categories)))
    codes = np.fromiter((code[cell] for cell in column.tolist()), dtype=np.intp, count=len(column))
    matrix[np.arange(len(column)), codes] = 1.0
    return matrix
