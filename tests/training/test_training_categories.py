"""Many categories are fitted as codes: the same model as with their one-hot columns written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_runs import PROVENANCE

from service.linear.columns import CodedColumns, DenseColumns
from service.tabular.design import Design
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Table
from service.training import design_rows as room
from service.training.options import parse_options
from service.training.train import TrainingData, train

N_ROWS = 3000
RNG = np.random.default_rng(8)
CITY = RNG.integers(0, 120, N_ROWS)
KIND = RNG.integers(0, 4, N_ROWS)
AGE = np.where(RNG.random(N_ROWS) < 0.05, np.nan, RNG.normal(40, 9, N_ROWS))
LOGIT = 0.05 * (np.nan_to_num(AGE, nan=60) - 40) + np.linspace(-1, 1, 120)[CITY] + 0.5 * KIND - 0.75
LABELS = (LOGIT + RNG.logistic(size=N_ROWS) > 0).astype(int)


def table() -> Table:
    """Two text columns, of 120 and 4 categories, around a number with missing cells."""
    texts = [np.array([f"{word}{code}" for code in codes], dtype=object) for word, codes in (("c", CITY), ("k", KIND))]
    return Table(("city", "age", "kind"), (texts[0], AGE, texts[1]), N_ROWS)


@pytest.mark.parametrize("drop_first", [False, True])
def test_codes_stand_for_the_columns_of_the_design(*, drop_first: bool) -> None:
    """The coded columns of a table are its design matrix, ranges included."""
    given = table()
    design = Design(infer_schema(given, missing="impute"), drop_first=drop_first)

    rows = room.design_rows(design, given, 1 << 30)

    matrix = design.matrix(given)
    assert isinstance(rows.X, CodedColumns)
    assert np.array_equal(rows.X.block(slice(0, N_ROWS)).dense(), matrix)
    assert np.array_equal(rows.minimum, matrix.min(axis=0))
    assert np.array_equal(rows.maximum, matrix.max(axis=0))


@pytest.mark.parametrize(
    "options", [{}, {"C": 1.0}, {"C": 1.0, "fit_intercept": False}, {"C": "inf"}], ids=["auto", "1", "0", "inf"]
)
def test_codes_give_the_model_of_the_columns(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    """Coefficients, standard errors, chosen C and leave-one-out figures are those of the columns written out."""
    data, asked = TrainingData(table(), LABELS), parse_options({"missing": "impute", **options})

    coded = train(data, asked, PROVENANCE)
    monkeypatch.setattr(room, "MANY_CATEGORIES", 1000)
    dense = train(data, asked, PROVENANCE)

    assert coded.is_certified
    assert dense.is_certified
    assert (coded.draft.training.C or 0.0) == pytest.approx(dense.draft.training.C or 0.0, rel=1e-3)
    np.testing.assert_allclose(coded.model.coef, dense.model.coef, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(coded.model.intercept, dense.model.intercept, rtol=1e-3, atol=1e-4)
    assert coded.model.standard_errors is not None
    assert dense.model.standard_errors is not None
    np.testing.assert_allclose(coded.model.standard_errors, dense.model.standard_errors, rtol=1e-3)
    assert coded.draft.training.leave_one_out is not None
    assert dense.draft.training.leave_one_out is not None
    expected = pytest.approx(dense.draft.training.leave_one_out.log_loss, rel=1e-4)
    assert coded.draft.training.leave_one_out.log_loss == expected


def test_few_categories_are_columns() -> None:
    """Below a hundred one-hot columns the matrix is an array."""
    few = Table(("kind",), (np.array([f"k{code}" for code in KIND], dtype=object),), N_ROWS)

    rows = room.design_rows(Design(infer_schema(few)), few, 1 << 30)

    assert isinstance(rows.X, DenseColumns)
