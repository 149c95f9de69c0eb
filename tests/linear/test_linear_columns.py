"""The forms that a matrix may be kept in: the same arithmetic, and the same fit, in every one of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from service import LogisticRegression
from service.errors import EmptyInput, NonFinite
from service.linear import checks
from service.linear.columns import Block, CodedColumns, Columns, ColumnsOnDemand, DenseColumns, SparseColumns
from service.linear.columns.arrays import Matrix
from service.linear.scaling import Scaling
from service.linear.solvers import newton_cg, preconditioner

N_ROWS, LEVELS = 400, (3, 7)


def table() -> tuple[Matrix, Any]:
    """Two numbers a row and codes of two categoricals, some of them none."""
    rng = np.random.default_rng(4)
    numbers = rng.normal(size=(N_ROWS, 2))
    return numbers, np.column_stack([rng.integers(-1, level, N_ROWS) for level in LEVELS])


def one_hot(numbers: Matrix, codes: Any) -> Matrix:
    parts = [np.eye(level + 1)[code][:, :level] for level, code in zip(LEVELS, codes.T, strict=True)]
    return np.column_stack([numbers, *parts])


NUMBERS, CODES = table()
DENSE = one_hot(NUMBERS, CODES)
LABELS = (np.random.default_rng(5).normal(size=N_ROWS) + DENSE @ np.linspace(-1, 1, DENSE.shape[1]) > 0).astype(int)
THREE_LABELS = np.digitize(np.random.default_rng(6).normal(size=N_ROWS) + DENSE[:, 0], [-0.5, 0.7])

FORMS: dict[str, Columns] = {
    "dense": DenseColumns(DENSE),
    "on demand": ColumnsOnDemand.of_array(np.asfortranarray(DENSE)),
    "sparse": SparseColumns(sparse.csr_array(DENSE)),
    "coded": CodedColumns.of(NUMBERS, CODES, LEVELS),
    "coded in another order": CodedColumns.of(
        NUMBERS[:, ::-1], CODES[:, ::-1], LEVELS[::-1], places=np.array([1, 0, *range(5, 12), *range(2, 5)])
    ),
}


def whole(columns: Columns) -> Block:
    return columns.block(slice(0, columns.shape[0]))


@pytest.mark.parametrize("columns", FORMS.values(), ids=FORMS.keys())
def test_every_form_has_the_arithmetic_of_the_matrix(columns: Columns) -> None:
    """Products, sums of squares and Gram matrices of every form are those of the matrix that it stands for."""
    rng = np.random.default_rng(0)
    w, W = rng.normal(size=len(DENSE[0])), rng.normal(size=(len(DENSE[0]), 3))
    positive: Matrix = np.square(w)
    v, V, s = rng.normal(size=N_ROWS), rng.normal(size=(N_ROWS, 3)), rng.uniform(0, 1, N_ROWS)
    ones = np.column_stack([DENSE, np.ones(N_ROWS)])
    block = whole(columns)

    computed = {
        "dense": (block.dense(), DENSE),
        "X w": (block.product(w), DENSE @ w),
        "X W": (block.product(W), DENSE @ W),
        "Xt v": (block.transposed_product(v), DENSE.T @ v),
        "Xt V": (block.transposed_product(V), V.T @ DENSE),
        "gram": (block.gram(s, with_ones=False), DENSE.T @ (s[:, None] * DENSE)),
        "gram with ones": (block.gram(s, with_ones=True), ones.T @ (s[:, None] * ones)),
        "row gram": (block.row_gram(positive), (DENSE * positive) @ DENSE.T),
        "|X| w": (block.magnitudes().product(w), np.abs(DENSE) @ w),
        "X² w": (block.squares().product(w), DENSE**2 @ w),
        "norms": (block.square_norms(), (DENSE**2).sum(axis=1)),
        "largest": (columns.largest_magnitudes(), np.abs(DENSE).max(axis=0)),
    }
    for name, (actual, expected) in computed.items():
        np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("columns", FORMS.values(), ids=FORMS.keys())
def test_parts_and_scaled_columns_are_those_of_the_matrix(columns: Columns) -> None:
    """A block, rows taken by number, and columns divided by units are the same numbers in every form."""
    index = np.array([0, 3, 17, 18, 399])
    unit = Scaling(np.zeros(DENSE.shape[1]), np.linspace(0.5, 2.0, DENSE.shape[1]))

    assert np.array_equal(columns.block(slice(100, 250)).dense(), DENSE[100:250])
    assert np.array_equal(whole(columns.take(index)).dense(), DENSE[index])
    np.testing.assert_allclose(whole(columns.scaled(unit)).dense(), DENSE / unit.scale, rtol=1e-15)


@pytest.mark.parametrize("form", ["sparse", "coded"])
def test_a_form_full_of_zeros_is_not_centred(form: str) -> None:
    """Centring, which would fill the zeros, is refused."""
    centred = Scaling(np.ones(DENSE.shape[1]), np.ones(DENSE.shape[1]))

    with pytest.raises(ValueError, match="centred"):
        FORMS[form].scaled(centred)


@pytest.mark.parametrize("solver", ["newton", "newton-cg"])
@pytest.mark.parametrize("y", [LABELS, THREE_LABELS], ids=["two classes", "three"])
@pytest.mark.parametrize("columns", FORMS.values(), ids=FORMS.keys())
def test_every_form_gives_the_same_fit(columns: Columns, y: Any, solver: str) -> None:
    """The optimum of a matrix does not depend on the form that it is kept in, nor do the predictions."""
    expected = LogisticRegression(C=2.0, solver="newton", tol=1e-13).fit(DENSE, y)

    fitted = LogisticRegression(C=2.0, solver=solver, tol=1e-13).fit(columns, y)

    assert fitted.certificate_.status == "optimal"
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(columns), expected.predict_proba(DENSE), rtol=1e-6)


@pytest.mark.parametrize("shift", [0.0, 1e4], ids=["idle", "to be centred"])
def test_a_matrix_read_on_demand_has_the_bits_of_one_in_memory(shift: float, tmp_path: Path) -> None:
    """A mapped file, one of any order, and the array in memory give the same bits, scaled on the way or not."""
    X = np.random.default_rng(1).normal(size=(3000, 5)) + shift
    y = (X.sum(axis=1) - 5 * shift + np.random.default_rng(2).normal(size=3000) > 0).astype(int)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    fits = [LogisticRegression().fit(rows, y) for rows in (X, mapped, ColumnsOnDemand.of_array(np.asfortranarray(X)))]

    assert isinstance(checks.as_columns(mapped), ColumnsOnDemand)
    assert len({fit.coef_.tobytes() + fit.intercept_.tobytes() for fit in fits}) == 1


def test_single_precision_stays_so_in_memory() -> None:
    """A large float32 array is not converted as a whole, and its fit is that of the same numbers as doubles."""
    X = np.random.default_rng(1).normal(size=(1_100_000, 4)).astype(np.float32)
    y = (X[:, 0] + np.random.default_rng(2).normal(size=len(X)) > 0).astype(int)

    columns = checks.as_columns(X)
    single, double = LogisticRegression().fit(columns, y), LogisticRegression().fit(X.astype(np.float64), y)

    assert isinstance(columns, ColumnsOnDemand)
    assert single.coef_.tobytes() == double.coef_.tobytes()


def test_sparse_input_of_any_kind_is_taken() -> None:
    """CSC, COO, other types, and cells stored twice are the matrix that they add up to."""
    expected = LogisticRegression().fit(DENSE, LABELS).coef_
    twice = sparse.coo_array(np.vstack([DENSE / 2, DENSE / 2]))
    twice = sparse.coo_array((twice.data, (twice.coords[0] % N_ROWS, twice.coords[1])), shape=DENSE.shape)

    for X in (sparse.csc_matrix(DENSE), sparse.coo_array(DENSE), sparse.csr_array(DENSE, dtype=np.float64), twice):
        np.testing.assert_allclose(LogisticRegression().fit(X, LABELS).coef_, expected, rtol=1e-9)


def test_wide_sparse_rows_are_certified() -> None:
    """Rows of text, far more columns than rows, reach scikit-learn's optimum with a certificate."""
    rng = np.random.default_rng(3)
    X = sparse.random_array((300, 9000), density=0.01, rng=rng, format="csr")
    y = (X[:, :50].sum(axis=1) > np.median(X[:, :50].sum(axis=1))).astype(int)

    fitted = LogisticRegression(C=10.0, solver="newton-cg").fit(X, y)
    rows = LogisticRegression(C=10.0, solver="row-space").fit(X, y)

    assert fitted.certificate_.gap_relative <= 1e-10
    np.testing.assert_allclose(fitted.coef_, rows.coef_, atol=1e-5)


def test_cells_that_are_no_numbers_are_found_in_every_form() -> None:
    """The message names row and column of the first NaN or infinity, wherever the matrix is kept."""
    bad = DENSE.copy()
    bad[77, 1] = math.inf
    codes = CodedColumns.of(bad[:, :2], CODES, LEVELS)

    for X in (bad, sparse.csr_array(bad), codes, ColumnsOnDemand.of_array(bad)):
        with pytest.raises(NonFinite, match=r"infinity.*row 77, column 1"):
            LogisticRegression().fit(X, LABELS)
    with pytest.raises(EmptyInput):
        LogisticRegression().fit(sparse.csr_array((0, 3)), [])


def test_codes_out_of_range_are_refused() -> None:
    """Codes are whole numbers from -1 to the number of levels less one, as many rows as numbers."""
    for codes in ([[3]] * N_ROWS, [[-2]] * N_ROWS, [[0.5]] * N_ROWS, [[0]]):
        with pytest.raises(ValueError, match=r"codes|code must"):
            CodedColumns.of(NUMBERS, codes, (3,))


@pytest.mark.parametrize("columns", FORMS.values(), ids=FORMS.keys())
def test_selected_columns_are_those_of_the_matrix(columns: Columns) -> None:
    """Columns taken by number are the same numbers in every form."""
    index = np.array([0, 3, 4, 8, 11])

    assert np.array_equal(whole(columns.select(index)).dense(), DENSE[:, index])


@pytest.mark.parametrize("y", [LABELS, THREE_LABELS], ids=["two classes", "three"])
def test_a_dense_block_of_heavy_columns_changes_no_optimum(monkeypatch: pytest.MonkeyPatch, y: Any) -> None:
    """Conjugate gradients with the block of a few columns, from a sample, end at the same optimum."""
    expected = LogisticRegression(C=2.0, tol=1e-13).fit(DENSE, y)
    monkeypatch.setattr(newton_cg, "WORTH_A_BLOCK", 1)
    monkeypatch.setattr(newton_cg, "WORTH_A_START", 0)
    monkeypatch.setattr(newton_cg, "ROWS_FOR_A_START", 1)
    monkeypatch.setattr(preconditioner, "HEAVY_COLUMNS", 9)

    fitted = LogisticRegression(C=2.0, solver="newton-cg", tol=1e-13).fit(FORMS["coded"], y)

    assert fitted.certificate_.status == "optimal"
    np.testing.assert_allclose(fitted.coef_, expected.coef_, atol=1e-6)
