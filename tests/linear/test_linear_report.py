"""The classification report is scikit-learn's text, character by character."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import classification_report as peer_report

from service.errors import LengthMismatch
from service.linear.metrics import Labels
from service.linear.report import classification_report

CAT = np.array(["cat", "dog", "pig", "cat", "dog", "pig"])
GUESS = np.array(["cat", "pig", "dog", "cat", "cat", "dog"])
REPORTS = {
    "strings": (CAT, GUESS, ["cat", "dog", "pig"], {}),
    "booleans": (CAT == "cat", GUESS == "cat", [False, True], {}),
    "integers": (np.array([0, 1, 2, 2]), np.array([0, 0, 2, 2]), [0, 1, 2], {}),
    "names": (np.array([0, 1, 1]), np.array([1, 1, 0]), [0, 1], {"target_names": ["a very long class name", "b"]}),
    "digits": (CAT, GUESS, ["cat", "dog", "pig"], {"digits": 4}),
    "no-digits": (CAT, GUESS, ["cat", "dog", "pig"], {"digits": 0}),
    "wide-digits": (CAT, GUESS, ["cat", "dog", "pig"], {"digits": 15}),
    "class-without-rows": (CAT, GUESS, ["ant", "cat", "dog", "pig"], {}),
    "label-order": (CAT, GUESS, ["pig", "cat", "dog"], {}),
    "unlisted-labels": (CAT, GUESS, ["cat", "dog"], {}),
    "weights": (CAT, GUESS, ["cat", "dog", "pig"], {"sample_weight": np.array([0.5, 2.0, 1.0, 0.0, 3.25, 1.0])}),
}


@pytest.mark.parametrize(("y_true", "y_pred", "labels", "options"), REPORTS.values(), ids=REPORTS)
def test_report_is_the_text_of_scikit_learn(
    y_true: Labels, y_pred: Labels, labels: list[object], options: dict[str, object]
) -> None:
    """Names, digits, weights, empty classes and unlisted labels all print as in scikit-learn."""
    expected = peer_report(y_true, y_pred, labels=labels, zero_division=0, **options)

    report = classification_report(y_true, y_pred, labels, **options)  # type: ignore[arg-type]  # a table of options

    assert report == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=200))
def test_report_of_any_predictions_is_the_text_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """Whatever was predicted, the scores round to the same two digits."""
    y_true, y_pred = (np.array(column) for column in zip(*pairs, strict=True))

    report = classification_report(y_true, y_pred, range(4))

    assert report == peer_report(y_true, y_pred, labels=range(4), zero_division=0)


def test_each_label_has_one_name() -> None:
    """Too few names are refused rather than cutting the report short."""
    with pytest.raises(LengthMismatch, match="2 target names for 3 labels"):
        classification_report(CAT, GUESS, ["cat", "dog", "pig"], target_names=["cat", "dog"])
