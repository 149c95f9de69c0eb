"""Model: probabilities, labels and explanations of a table."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.errors import InvalidParameter
from service.model import Label, Matrix, Model
from service.tabular.schema import CategoricalFeature, NumericFeature, Schema
from service.tabular.table import Table

NUMBERS = Schema(
    features=(
        NumericFeature(name="a", mean=0.25, minimum=-1.0, maximum=1.0),
        NumericFeature(name="b", mean=-3.0, minimum=-9.0, maximum=9.0),
    )
)
MIXED = Schema(
    features=(
        NumericFeature(name="a", mean=0.1, minimum=-1.0, maximum=1.0),
        CategoricalFeature(name="t", categories=("u", "v", "w"), frequencies=(0.5, 0.25, 0.25)),
    )
)
HOLES = Schema(
    features=(
        NumericFeature(name="a", mean=0.1, minimum=-1.0, maximum=1.0, missing_share=0.2, has_indicator=True),
        CategoricalFeature(
            name="t", categories=("u", "v"), frequencies=(0.75, 0.25), missing_share=0.4, has_indicator=True
        ),
    ),
    missing="impute",
)


def binary(coef: list[float], intercept: float = 0.0, classes: tuple[Label, ...] = ("no", "yes")) -> Model:
    return Model(NUMBERS, classes, np.array([coef]), np.array([intercept]))


def multinomial(coef: Matrix) -> Model:
    return Model(NUMBERS, ("x", "y", "z"), coef, np.array([0.5, -0.25, 0.0]))


def numbers(*rows: tuple[float, float]) -> Table:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return Table(("a", "b"), (columns[0], columns[1]), len(rows))


def test_two_classes_are_the_sigmoid_of_the_logit() -> None:
    """P(second class) is 1 / (1 + e^-z), and each row sums to one."""
    model = binary([2.0, -1.0], intercept=0.5)

    probabilities = model.probabilities(numbers((1.0, 1.0), (0.0, 3.0)))

    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp([-1.5, 2.5])), rtol=1e-15)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-15)


def test_more_classes_are_the_softmax_of_the_logits() -> None:
    """The probabilities are e^z over their sum, in the order of the classes."""
    model = multinomial(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))

    probabilities = model.probabilities(numbers((1.0, 2.0)))

    odds = np.exp([1.5, 1.75, -3.0])
    np.testing.assert_allclose(probabilities, [odds / odds.sum()], rtol=1e-15)


def test_labels_are_the_most_probable_classes() -> None:
    """A label has the type of its class, and a tie goes to the first class."""
    model = binary([1.0, 0.0], classes=(3, 7))

    labels = model.labels(model.probabilities(numbers((1.0, 0.0), (-1.0, 0.0), (0.0, 0.0))))

    assert labels == [7, 3, 3]
    assert multinomial(np.zeros((3, 2))).labels(np.array([[0.25, 0.375, 0.375]])) == ["y"]


def test_threshold_is_the_most_that_is_still_the_first_class() -> None:
    """The second class needs more than the threshold; at 1 it never is, at 0 it is unless it is impossible."""
    model = binary([1.0, 0.0])
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])

    assert model.labels(probabilities, 0.5) == ["no", "no", "yes", "yes"]
    assert model.labels(probabilities, 0.0) == ["no", "yes", "yes", "yes"]
    assert model.labels(probabilities, 1.0) == ["no"] * 4


def test_threshold_is_for_two_classes() -> None:
    """With three classes a threshold has no meaning."""
    with pytest.raises(InvalidParameter) as caught:
        multinomial(np.zeros((3, 2))).labels(np.full((1, 3), 1 / 3), 0.5)

    assert caught.value.errors[0].pointer == "/threshold"


@pytest.mark.parametrize("value", [1e308, 1.7976931348623157e308, -1.7976931348623157e308])
@pytest.mark.parametrize(
    "coef",
    [
        [1.0, 1.0],
        [1.0, 0.0],
        [1.0, -1.0],
        [3.0, 5.0],
        [-1e-3, 0.5],
    ],
    ids=str,
)
def test_largest_inputs_have_finite_probabilities(value: float, coef: list[float]) -> None:
    """Inputs at the end of the doubles give probabilities in [0, 1] that sum to one, without a warning."""
    table = numbers((value, value))

    two = binary(coef).probabilities(table)
    three = multinomial(np.array([coef, [-c for c in coef], [0.0, 0.0]])).probabilities(table)

    for probabilities in (two, three):
        assert np.isfinite(probabilities).all()
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)


def test_logits_that_overflow_keep_their_sign() -> None:
    """A logit beyond the doubles is a certain answer, and rows beside it are as exact as ever."""
    model = binary([4.0, 0.0], intercept=1.0)

    logits = model.logits(numbers((1e308, 0.0), (-1e308, 0.0), (0.5, 0.0)))

    assert np.isfinite(logits).all()
    assert logits[0, 0] > 1e307
    assert logits[1, 0] < -1e307
    assert logits[2, 0] == 3.0


@pytest.mark.parametrize("k", [1, 3])
def test_a_row_beyond_the_doubles_changes_no_other(k: int) -> None:
    """P28: the rows beside one whose logits overflow keep their bits."""
    rng = np.random.default_rng(4)
    coef = rng.normal(size=(k, 3))
    model = binary(coef[0].tolist()) if k == 1 else multinomial(coef)
    rows = rng.normal(scale=5, size=(200, 3))

    beside = model.probabilities(np.vstack([rows, np.full((1, 3), 1.79e308)]))

    assert np.array_equal(beside[:-1], model.probabilities(rows))


@pytest.mark.parametrize("cell", [5e307, 1e308, 1.7976931348623157e308])
def test_two_logits_beyond_the_doubles_are_told_apart(cell: float) -> None:
    """P9: of several classes whose logits overflow the largest is certain, and only equal ones share."""
    model = multinomial(np.array([[3.0, 0.0], [2.0, 0.0], [-1.0, 0.0]]))
    tied = multinomial(np.array([[3.0, 0.0], [3.0, 0.0], [-1.0, 0.0]]))

    assert model.probabilities(np.array([[cell, 0.0]])).tolist() == [[1.0, 0.0, 0.0]]
    assert model.probabilities(np.array([[-cell, 0.0]])).tolist() == [[0.0, 0.0, 1.0]]
    assert tied.probabilities(np.array([[cell, 0.0]])).tolist() == [[0.5, 0.5, 0.0]]


moderate = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(moderate, st.sampled_from("uvw")), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_explanation_adds_up_exactly(rows: list[tuple[float, str]], seed: int) -> None:
    """Baseline and contributions sum to the logit with no rounding at all, and it is the model's logit."""
    rng = np.random.default_rng(seed)
    model = Model(MIXED, ("x", "y", "z"), rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-3, 3), rng.normal(size=3))
    cells = (np.array([a for a, _ in rows]), np.array([t for _, t in rows], dtype=np.object_))
    table = Table(("a", "t"), cells, len(rows))

    explanations = model.explain(table)

    for explanation, logits in zip(explanations, model.logits(table), strict=True):
        assert explanation.contributions.shape == (2, 3)
        terms = np.vstack([explanation.baseline, explanation.contributions])
        for k, logit in enumerate(explanation.logit):
            assert sum(map(Fraction, terms[:, k])) == Fraction(logit)
        # Rounding is relative to the largest term, not to their sum.
        np.testing.assert_allclose(explanation.logit, logits, atol=1e-14 * (1 + np.abs(terms).max()))


def test_missing_cell_contributes_by_its_indicator() -> None:
    """What a missing cell adds is told of its feature: the imputed value, and that it is missing, against the average."""
    model = Model(HOLES, ("no", "yes"), np.array([[2.0, 8.0, 1.0, -1.0, 4.0]]), np.array([0.5]))
    table = Table(("a", "t"), (np.array([np.nan, 0.6]), np.array(["v", None], dtype=np.object_)), 2)

    missing_a, missing_t = model.explain(table)

    # The means of the matrix are 0.1, 0.2, 0.85, 0.15, 0.4: of the rows without t, all are imputed as u.
    np.testing.assert_allclose(missing_a.baseline, [0.5 + 0.2 + 1.6 + 0.85 - 0.15 + 1.6], rtol=1e-15)
    np.testing.assert_allclose(missing_a.contributions[:, 0], [0.0 + 8 * 0.8, -0.85 - 0.85 - 1.6], rtol=1e-15)
    np.testing.assert_allclose(missing_t.contributions[:, 0], [2 * 0.5 - 8 * 0.2, 0.15 + 0.15 + 4 * 0.6], rtol=1e-15)
    logits = model.logits(table)[:, 0]
    for explanation, logit in zip((missing_a, missing_t), logits, strict=True):
        terms = [*explanation.baseline, *explanation.contributions[:, 0]]
        assert sum(map(Fraction, terms)) == Fraction(explanation.logit[0])
        np.testing.assert_allclose(explanation.logit, logit, rtol=1e-14)


def test_average_row_has_no_contributions() -> None:
    """The row of training means is explained by the baseline alone."""
    (explanation,) = binary([2.0, -1.0], intercept=0.5).explain(numbers((0.25, -3.0)))

    assert explanation.contributions.tolist() == [[0.0], [0.0]]
    assert explanation.baseline.tolist() == explanation.logit.tolist() == [4.0]


def test_order_of_columns_does_not_matter() -> None:
    """A table is matched by name."""
    model = binary([2.0, -1.0])
    table = numbers((1.0, 5.0))

    swapped = Table(("b", "a"), table.columns[::-1], 1)

    assert model.logits(swapped).tolist() == model.logits(table).tolist()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_certain_model_has_intervals_of_no_width(n_classes: int) -> None:
    """Where the coefficients vary by nothing, low and high are the probability to rounding, and hold it."""
    model = binary([2.0, -1.0]) if n_classes == 2 else multinomial(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
    certain = replace(model, covariance=np.zeros((3 * len(model.coef),) * 2))
    table = numbers((1.0, 1.0), (0.0, 3.0), (-40.0, 2.0))

    found = certain.intervals(table, 0.95)

    p = certain.probabilities(table)
    assert found.level == 0.95
    assert ((found.limits[..., 0] <= p) & (p <= found.limits[..., 1])).all()
    np.testing.assert_allclose(found.limits, np.stack([p, p], axis=-1), rtol=1e-13)


def test_intervals_need_a_covariance_and_a_level() -> None:
    """A model without covariance, and a level that is no probability, are InvalidParameter with the reason."""
    model = binary([2.0, -1.0])

    with pytest.raises(InvalidParameter, match="which this version has not; train anew"):
        model.intervals(numbers((1.0, 1.0)), 0.95)
    with pytest.raises(InvalidParameter, match="above 0 and below 1"):
        replace(model, covariance=np.eye(3)).intervals(numbers((1.0, 1.0)), 95)
