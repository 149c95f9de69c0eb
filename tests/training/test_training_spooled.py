"""Runs on rows that do not fit into memory: the same model, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training_runs import PROVENANCE, A, B, Y

from service.errors import MissingValue, NotCategorical
from service.linear.columns import ColumnsOnDemand, DenseColumns
from service.store.artifact import encode_parameters
from service.tabular import table as table_module
from service.tabular.datasets import load_dataset
from service.tabular.spooled_table import spooled
from service.tabular.table import Table
from service.training.cross_validation import cross_validate
from service.training.design_rows import design_rows
from service.training.labels import labels_from_column
from service.training.options import parse_options
from service.training.request import data_with_target
from service.training.train import TrainedModel, TrainingData, train

OPTIONS: list[dict[str, Any]] = [
    {"missing": "impute"},
    {"missing": "impute", "C": 1.0, "standardize": False, "class_weight": "balanced", "fit_intercept": False},
    {"missing": "impute", "C": 2.0, "validation_fraction": 0.0},
]


@pytest.fixture(autouse=True)
def few_rows_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some twenty blocks for the penguins."""
    monkeypatch.setattr(table_module, "BLOCK_CELLS", 120)


def penguins() -> TrainingData:
    dataset = load_dataset("penguins")
    return data_with_target(dataset.table, dataset.target, dataset.missing_values)


def on_disk(data: TrainingData) -> TrainingData:
    return replace(data, table=spooled(data.table.blocks()))


def trained(data: TrainingData, options: dict[str, Any], memory_bytes: int) -> TrainedModel:
    return train(data, parse_options(options), PROVENANCE, memory_bytes=memory_bytes)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_rows_on_disk_give_the_same_bits(options: dict[str, Any]) -> None:
    """Table and matrix on disk give the parameters and the record of those in memory: text, missing cells, C and all."""
    in_memory = trained(penguins(), options, 1 << 30)

    spilled = trained(on_disk(penguins()), options, 0)

    assert encode_parameters(spilled.model) == encode_parameters(in_memory.model)
    assert spilled.draft == in_memory.draft


def test_weights_and_held_out_rows_follow_the_rows() -> None:
    """Rows of weight 0 and rows that are held out are the same ones on disk."""
    weights = np.where(np.arange(len(Y)) % 7 == 0, 0.0, 1.0 + A**2)
    data = TrainingData(Table(("a", "b"), (A, B), len(Y)), Y, weights)

    in_memory, spilled = trained(data, {"C": 1.0}, 1 << 30), trained(on_disk(data), {"C": 1.0}, 0)

    assert in_memory.held_out is not None
    assert spilled.held_out is not None
    assert spilled.draft == in_memory.draft
    for name in ("a", "b"):
        np.testing.assert_array_equal(spilled.held_out.table.column(name), in_memory.held_out.table.column(name))


def test_folds_on_disk_are_those_in_memory() -> None:
    """Cross-validation gives the same metrics, also when more processes are asked for than rows on disk allow."""
    options = parse_options({"C": 1.0, "missing": "impute"})

    in_memory = cross_validate(penguins(), options, 3)
    spilled = cross_validate(on_disk(penguins()), options, 3, jobs=2, memory_bytes=0)

    assert spilled == in_memory


def test_missing_cell_on_disk_is_named_by_its_row() -> None:
    """Under ``reject`` the row is counted over all blocks."""
    missing = np.where(np.arange(len(Y)) == 71, np.nan, B)

    with pytest.raises(MissingValue, match=r"^row 71, column 'b' is missing"):
        trained(on_disk(TrainingData(Table(("a", "b"), (A, missing), len(Y)), Y)), {}, 0)


def test_matrix_is_on_disk_when_it_is_large() -> None:
    """A matrix of more than a quarter of the memory is on disk, one at the quarter is not; the ranges are the same."""
    table = Table(("a", "b"), (A, B), len(Y))
    design = trained(TrainingData(table, Y), {"C": 1.0}, 1 << 30).model.design
    n_bytes = 8 * len(Y) * 2

    kept, moved = (design_rows(design, table, memory) for memory in (4 * n_bytes, 4 * n_bytes - 1))

    assert isinstance(kept.X, DenseColumns)
    assert isinstance(moved.X, ColumnsOnDemand)
    np.testing.assert_array_equal(moved.X.block(slice(0, len(Y))).dense(), kept.X.array)
    for rows in (kept, moved):
        assert rows.minimum.tolist() == [min(A), min(B)]
        assert rows.maximum.tolist() == [max(A), max(B)]


@pytest.mark.parametrize(
    ("cells", "row"), [([1.0, 2.0, 0.5], 2), ([1.0, 2.0**54, 2.0], 1), (["a", "b", "b\n", "b\n"], 2), (["a", ""], 1)]
)
def test_label_that_is_none_is_named_by_its_row(cells: list[Any], row: int) -> None:
    """The first number that is not whole, or text that no label can be, is told by its row."""
    column = np.array(cells) if isinstance(cells[0], float) else np.array(cells, dtype=np.object_)

    with pytest.raises(NotCategorical) as error:
        labels_from_column(column, "y")

    assert error.value.errors[0].pointer == f"/targets/{row}"
