"""``C="auto"``: the strength with the least leave-one-out log-loss, and what the record says of it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from training_runs import A, B, Y, table_of, trained, trained_on

from service.errors import InvalidParameter, NumericOverflow
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Index, Matrix
from service.linear.estimator import LogisticRegression
from service.training import selection
from service.training.options import parse_options
from service.training.selection import FittingRows, choose_strength, refine, strength_grid, strength_of


def random_rows() -> tuple[Matrix, Index]:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(120, 8))
    return X, (X[:, 0] + 0.5 * X[:, 1] + rng.logistic(size=120) > 0).astype(np.intp)


def some_rows(name: str) -> FittingRows:
    """Rows on standardised columns, few enough to leave each one out."""
    if name == "random":
        X, y = random_rows()
    else:
        data = {"iris": load_iris, "breast-cancer": load_breast_cancer}[name]()
        X, y = data.data[:: len(data.data) // 150], data.target[:: len(data.data) // 150].astype(np.intp)
    return FittingRows(DenseColumns((X - X.mean(axis=0)) / X.std(axis=0)), y, np.ones(len(y)), fit_intercept=True)


def refitted_loss(rows: FittingRows, C: float) -> float:
    """The mean log-loss of each row by a fit without it."""
    model, total = LogisticRegression(C=C, tol=1e-6, warm_start=True), 0.0
    X = rows.X.block(slice(0, len(rows.index))).dense()
    for row in range(len(X)):
        kept = np.arange(len(X)) != row
        log_p = model.fit(X[kept], rows.index[kept]).predict_log_proba(X[row : row + 1])
        total -= log_p[0, rows.index[row]]
    return total / len(X)


@pytest.mark.parametrize("name", ["iris", "breast-cancer", "random"])
def test_choice_is_the_best_of_refits(name: str) -> None:
    """The C chosen from one fit each is within one grid step of the best by a refit for each row and C."""
    rows = some_rows(name)
    grid = strength_grid(rows.spread)
    step = math.log(grid[1] / grid[0])

    choice = choose_strength(rows)

    near = [C for C in grid if abs(math.log(C / choice.C)) < 2.2 * step]
    best = min(near, key=lambda C: refitted_loss(rows, C))
    assert choice.end is None
    assert abs(math.log(best / choice.C)) <= 1.02 * step


def test_choice_is_the_least_of_its_path() -> None:
    """The path is told with C ascending, holds the chosen C once, and no entry is below it."""
    choice = choose_strength(some_rows("random"))

    strengths = [C for C, _ in choice.path]
    assert strengths == sorted(set(strengths))
    assert min(choice.path, key=lambda point: point[1])[0] == choice.C
    assert float(f"{choice.C:.3g}") == choice.C
    assert choice.reason == "chosen by leave-one-out log-loss"


def test_choice_is_the_same_for_the_same_rows() -> None:
    """Two choices are equal to the bit, and weights times 7 divide C by 7."""
    rows = some_rows("random")
    heavier = FittingRows(rows.X, rows.index, 7 * rows.weights, fit_intercept=True)

    first, second, scaled = choose_strength(rows), choose_strength(rows), choose_strength(heavier)

    assert first == second
    ratio = first.C / scaled.C
    assert ratio == pytest.approx(7.0, rel=0.02)


def test_separated_classes_take_the_weakest_penalty() -> None:
    """Where the loss only falls, the end of the grid is taken, and said."""
    x = np.linspace(-1.0, 1.0, 40)[:, None] + np.repeat([-3.0, 3.0], 20)[:, None]

    choice = choose_strength(FittingRows(DenseColumns(x), np.repeat([0, 1], 20), np.ones(40), fit_intercept=True))

    assert choice.end == "weak"
    assert choice.reason.endswith("the weakest tried")


def test_noise_takes_the_strongest_penalty() -> None:
    """Columns that tell nothing, each row being there with both labels, are all but left out, and the path is not followed to its end."""
    X = np.repeat(np.random.default_rng(1).normal(size=(50, 5)), 2, axis=0)

    choice = choose_strength(FittingRows(DenseColumns(X), np.arange(100) % 2, np.ones(100), fit_intercept=True))

    assert choice.end == "strong"
    assert choice.reason.endswith("the strongest tried")
    assert len(choice.path) == 3


def test_refinement_closes_in_on_a_minimum() -> None:
    """Golden sections over [1, 100] come within 10 % of the minimum of a function with one valley."""
    tried = refine(lambda C: (math.log(C) - math.log(17.0)) ** 2, 1.0, 100.0)

    best = min(tried, key=lambda C: tried[C])
    assert best == pytest.approx(17.0, rel=0.1)
    assert len(tried) == selection.REFINEMENTS + 1


@pytest.mark.parametrize(
    ("options", "C", "reason"),
    [
        ({"C": 0.3}, 0.3, ""),
        ({"C": "inf"}, math.inf, ""),
        ({"solver": "gradient-descent"}, 1.0, "gradient descent choosing none"),
    ],
)
def test_strength_that_is_not_chosen(options: dict[str, object], C: float, reason: str) -> None:
    """A number is taken as it is; gradient descent falls back to 1 and says so."""
    strength = strength_of(parse_options(options), some_rows("random"))

    assert (strength.C, strength.reason, strength.path) == (C, reason, ())


def test_too_many_parameters_fall_back_to_one() -> None:
    """Beyond a thousand parameters C is 1, the penalty says why, and there is no leave-one-out."""
    X = np.random.default_rng(0).normal(size=(6, selection.MOST_PARAMS))
    rows = FittingRows(DenseColumns(X), np.array([0, 1] * 3), np.ones(6), fit_intercept=True)

    strength = strength_of(parse_options({}), rows)

    assert strength.penalty(on_standardized=True) == (
        "L2 with C = 1, the data being too large to choose it by leave-one-out, "
        "on standardised columns, the intercept free"
    )
    assert selection.leave_one_out_record(rows, LogisticRegression()) is None


def test_many_rows_are_weighed_with_the_parameters() -> None:
    """Rows times parameters squared decide, the parameters of all classes counted."""
    X = np.zeros((2500, 299))

    binary = FittingRows(DenseColumns(X), np.arange(2500) % 2, np.ones(2500), fit_intercept=True)
    softmax = FittingRows(DenseColumns(X), np.arange(2500) % 3, np.ones(2500), fit_intercept=True)

    assert (binary.n_params, binary.is_affordable) == (300, True)
    assert (softmax.n_params, softmax.is_affordable) == (900, False)


def test_training_chooses_by_default_and_says_so() -> None:
    """The default run records the chosen C, its path, the words of the penalty, and the leave-one-out figures."""
    record = trained({"a": A, "b": B}).draft.training

    assert record.options["C"] == "auto"
    assert record.C is not None
    assert record.penalty == (
        f"L2 with C = {record.C:g}, chosen by leave-one-out log-loss, on standardised columns, the intercept free"
    )
    assert record.leave_one_out is not None
    assert min(loss for _, loss in record.strength_path) == pytest.approx(record.leave_one_out.log_loss, rel=1e-4)
    assert record.leave_one_out.calibration_slope == pytest.approx(1.0, abs=0.3)


def test_chosen_strength_can_be_asked_for() -> None:
    """The run with the chosen C given by name is the same model within the certified gap."""
    auto = trained_on("iris")

    again = trained_on("iris", C=auto.draft.training.C)

    np.testing.assert_allclose(again.model.coef, auto.model.coef, rtol=1e-6)
    assert again.draft.training.strength_path == ()


def test_record_without_penalty_or_certificate() -> None:
    """Without a penalty C is None and leave-one-out is told; a fit that is not certified tells none."""
    free = trained({"a": A, "b": B}, C="inf").draft.training
    cut_short = trained({"a": A, "b": B}, solver="gradient-descent", max_iter=1).draft.training

    assert free.C is None
    assert free.leave_one_out is not None
    assert cut_short.C == 1.0
    assert cut_short.leave_one_out is None
    assert "gradient descent choosing none" in cut_short.penalty


def test_raw_columns_have_a_grid_of_their_own_scale() -> None:
    """Without standardising, columns in other units give the same fit with another C."""
    thousandth, whole = (trained({"a": unit * A}, standardize=False) for unit in (1e-3, 1.0))

    strengths = [run.draft.training.C or 0.0 for run in (thousandth, whole)]
    assert strengths[0] == pytest.approx(1e6 * strengths[1], rel=0.02)
    np.testing.assert_allclose(1e-3 * thousandth.model.coef, whole.model.coef, rtol=0.02)


def test_words_for_the_strength() -> None:
    """C is a number above 0, "inf" or "auto"; anything else is InvalidParameter, at /options/C."""
    assert [parse_options({"C": value}).C for value in ("auto", "inf", 2)] == ["auto", math.inf, 2.0]
    assert [parse_options({"C": text}, from_text=True).C for text in ("auto", "inf", "0.5")] == ["auto", math.inf, 0.5]
    assert parse_options({}).as_json()["C"] == "auto"
    for value in (0, -1, "best", None, True, math.inf):
        with pytest.raises(InvalidParameter) as caught:
            parse_options({"C": value})
        assert [error.pointer for error in caught.value.errors] == ["/options/C"]


def test_numbers_out_of_range_stay_the_fits_to_refuse() -> None:
    """Raw columns at the ends of the doubles are NumericOverflow, as with a C that is given."""
    with pytest.raises(NumericOverflow):
        trained({"a": A * 1e300, "b": B}, Y, standardize=False)


def rare_rows() -> tuple[dict[str, npt.NDArray[np.float64]], Index]:
    """Two columns, and a second class of some tenth of the rows."""
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=(2, 600))
    return {"a": a, "b": b}, (a + rng.logistic(size=600) > 2.6).astype(np.intp)


def test_class_weight_keeps_the_ranking_and_the_population() -> None:
    """Balanced classes give probabilities whose mean is the share of the class, and the ranking of the weighted fit."""
    columns, y = rare_rows()
    weights = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    weighted = trained(columns, y, sample_weight=weights, C=1.0, validation_fraction=0.0)

    balanced = trained(columns, y, class_weight="balanced", C=1.0, validation_fraction=0.0)

    p, over = (run.model.probabilities(table_of(columns))[:, 1] for run in (balanced, weighted))
    np.testing.assert_array_equal(np.argsort(p), np.argsort(over))
    assert p.mean() == pytest.approx(y.mean(), abs=0.01)
    assert over.mean() > 2 * y.mean()
    assert balanced.draft.metrics.training.log_loss < weighted.draft.metrics.training.log_loss


def test_class_weight_has_its_threshold() -> None:
    """At the threshold named for the class weights, the labels are those of the weighted fit at one half."""
    columns, y = rare_rows()
    weighted = trained(columns, y, sample_weight=np.where(y, 6.0, 1.0), C=1.0, validation_fraction=0.0)

    run = trained(columns, y, class_weight={"1": 6.0}, C=1.0, validation_fraction=0.0)

    left_out = run.draft.training.leave_one_out
    assert left_out is not None
    assert left_out.suggested_thresholds["class_weight"] == pytest.approx(1 / 7)
    p, over = (fit.model.probabilities(table_of(columns)) for fit in (run, weighted))
    assert run.model.labels(p, left_out.suggested_thresholds["class_weight"]) == weighted.model.labels(over)


def test_class_weight_of_more_classes_and_without_intercept() -> None:
    """Three weighted classes keep the population's shares; without an intercept nothing is moved."""
    columns, y = rare_rows()
    three = y + (columns["b"] > 0.5) * (1 - y) * 2

    run = trained(columns, three, class_weight="balanced", C=1.0, validation_fraction=0.0)
    fixed = trained(columns, y, class_weight="balanced", fit_intercept=False)

    means = run.model.probabilities(table_of(columns)).mean(axis=0)
    np.testing.assert_allclose(means, np.bincount(three) / len(three), atol=0.02)
    assert fixed.model.intercept.tolist() == [0.0]


def test_thresholds_are_suggested_for_two_classes() -> None:
    """Two classes have a threshold for each criterion, on leave-one-out predictions; three have none."""
    two = trained(*rare_rows()).draft.training.leave_one_out
    three = trained_on("iris").draft.training.leave_one_out

    assert two is not None
    assert three is not None
    assert list(two.suggested_thresholds) == ["accuracy", "f1", "youden"]
    assert two.suggested_thresholds["youden"] < two.suggested_thresholds["accuracy"]
    assert three.suggested_thresholds == {}


def test_columns_without_spread_are_fitted_all_the_same() -> None:
    """When no column varies there is nothing to shrink: the fit is certified, its probabilities the class's share."""
    run = trained({"a": np.full(80, 3.0)}, validation_fraction=0.0)

    assert run.is_certified
    assert "constant-column" in run.draft.warnings
    np.testing.assert_allclose(run.model.probabilities(table_of({"a": [3.0]}))[0, 1], Y.mean(), rtol=1e-6)
