"""The classification report, as the text that scikit-learn prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import LengthMismatch
from service.linear.columns.arrays import Vector
from service.linear.metrics import ClassScores, Labels, precision_recall_f1

HEADERS = ("precision", "recall", "f1-score", "support")
WIDEST_AVERAGE = "weighted avg"

Row: TypeAlias = tuple[str, tuple[str, ...]]
BLANK: Row = ("", ())


def classification_report(
    y_true: Labels,
    y_pred: Labels,
    labels: npt.ArrayLike,
    target_names: Sequence[str] | None = None,
    digits: int = 2,
    *,
    sample_weight: Vector | None = None,
) -> str:
    """Precision, recall, F1, support and averages as a text table; 0/0 is 0.

    The text of ``sklearn.metrics.classification_report(..., zero_division=0)``, to the character.  The ``accuracy``
    line becomes ``micro avg`` when some row has a label that is not in ``labels``.
    target_names: what to print for each of ``labels``; the labels themselves without it.  digits: decimals.
    Raises the errors of ``metrics.precision_recall_f1``, and LengthMismatch unless each label has one name.
    """
    listed = np.asarray(labels).tolist()
    names = [str(label) for label in listed] if target_names is None else list(target_names)
    if len(names) != len(listed):
        raise LengthMismatch(f"there are {len(names)} target names for {len(listed)} labels; give one a label")
    scores = precision_recall_f1(y_true, y_pred, labels, sample_weight=sample_weight)
    if not np.any(y_true == y_pred):
        # Then scikit-learn counts in floating point, and prints a support of 3 as 3.0.
        scores = replace(scores, support=scores.support.astype(np.float64))
    is_complete = {*y_true.tolist(), *y_pred.tolist()} <= set(listed)
    width = max(len(WIDEST_AVERAGE), digits, *map(len, names))
    rows = [("", HEADERS), BLANK, *_class_rows(scores, names, digits), BLANK]
    rows += _average_rows(scores, digits, is_complete=is_complete)
    return "".join(_line(name, cells, width) for name, cells in rows)


def _line(name: str, cells: Sequence[str], width: int) -> str:
    if not cells:
        return "\n"
    return f"{name:>{width}} " + "".join(f" {cell:>9}" for cell in cells) + "\n"


def _row(name: str, scores: Iterable[float], support: object, digits: int) -> Row:
    return name, (*(f"{score:.{digits}f}" for score in scores), f"{support}")


def _class_rows(scores: ClassScores, names: Sequence[str], digits: int) -> list[Row]:
    columns = zip(scores.precision, scores.recall, scores.f1, strict=True)
    return [_row(*row, digits) for row in zip(names, columns, scores.support, strict=True)]


def _average_rows(scores: ClassScores, digits: int, *, is_complete: bool) -> list[Row]:
    total, micro = scores.support.sum(), scores.micro()
    averages = {"micro avg": micro, "macro avg": scores.macro(), WIDEST_AVERAGE: scores.weighted()}
    rows = [_row(name, (mean.precision, mean.recall, mean.f1), total, digits) for name, mean in averages.items()]
    if not is_complete:
        return rows
    _, (_, _, accuracy, n_rows) = rows[0]
    return [("accuracy", ("", "", accuracy, n_rows)), *rows[1:]]
