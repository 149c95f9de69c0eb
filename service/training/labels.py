"""The target of a training: labels of one type, few enough to be classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import (
    EmptyInput,
    MissingValue,
    MixedLabelTypes,
    NotCategorical,
    SingleClass,
    TooFewRows,
    TooManyClasses,
    quoted,
)
from service.model import Label
from service.tabular.table import Column, NumericColumn, is_numeric, missing_cells

Labels: TypeAlias = npt.NDArray[Any]

MAX_CLASSES = 1000
MAX_LABEL_LENGTH = 256
# Whole numbers beyond this are not all doubles, nor safe in every JSON reader.
LARGEST_LABEL = 2**53


def labels_from_json(targets: Sequence[object]) -> Labels:
    """Labels from JSON values: all booleans, all whole numbers (1.0 is 1), or all strings of 1 to 256 characters.

    Raises EmptyInput, NotCategorical, MixedLabelTypes, and as ``check_labels``.
    """
    if not targets:
        raise EmptyInput("there are no targets", pointer="/targets")
    kinds = {_kind(target, f"/targets/{row}") for row, target in enumerate(targets)}
    if len(kinds) > 1:
        raise MixedLabelTypes(f"the targets mix {' and '.join(sorted(kinds))}; use one type", pointer="/targets")
    if kinds == {"numbers"}:
        return check_labels(np.array([int(target) for target in targets], dtype=np.int64))  # type: ignore[call-overload]  # _kind has seen numbers only
    return check_labels(np.array(targets))


def _kind(target: object, pointer: str) -> str:
    if isinstance(target, bool):
        return "booleans"
    if isinstance(target, (int, float)):
        if not (abs(target) <= LARGEST_LABEL and target == int(target)):
            raise NotCategorical(
                "a target is not a whole number; classes are whole numbers or strings", pointer=pointer
            )
        return "numbers"
    if isinstance(target, str):
        if not _is_label(target):
            raise NotCategorical(f"a target is not a text of 1 to {MAX_LABEL_LENGTH} characters", pointer=pointer)
        return "strings"
    raise NotCategorical("a target is missing, a list or an object; expected a label", pointer=pointer)


def _is_label(text: str) -> bool:
    return 1 <= len(text) <= MAX_LABEL_LENGTH and text.isprintable()


def labels_from_column(column: Column, name: str) -> Labels:
    """Labels from a table's column: whole numbers or text; raises MissingValue, and as ``labels_from_json``."""
    missing = missing_cells(column)
    if missing.any():
        row = int(np.argmax(missing))
        raise MissingValue(
            f"row {row} has no target in column {quoted(name)}; remove the row", pointer=f"/targets/{row}"
        )
    if is_numeric(column):
        return check_labels(_whole(column.astype(np.float64, copy=False)))
    texts: list[str] = column.tolist()
    bad = next((text for text in dict.fromkeys(texts) if not _is_label(text)), None)
    if bad is not None:
        _kind(bad, f"/targets/{texts.index(bad)}")
    return check_labels(np.array(texts))


def _whole(numbers: NumericColumn) -> Labels:
    is_label = (np.abs(numbers) <= LARGEST_LABEL) & (numbers == np.floor(numbers))
    if not is_label.all():
        row = int(np.argmin(is_label))
        _kind(float(numbers[row]), f"/targets/{row}")
    return numbers.astype(np.int64)


def check_labels(labels: Labels) -> Labels:
    """Raises TooFewRows, SingleClass, or TooManyClasses (more than 1 000, or each row its own)."""
    n_classes = len(np.unique(labels))
    if len(labels) < 2:
        raise TooFewRows("one row cannot be split into classes; send at least two", pointer="/targets")
    if n_classes == 1:
        raise SingleClass("the target holds 1 class, a classifier needs at least 2", pointer="/targets")
    if n_classes > MAX_CLASSES or n_classes == len(labels) > 2:
        raise TooManyClasses(
            f"the target holds {n_classes} classes in {len(labels)} rows; is it an identifier?", pointer="/targets"
        )
    return labels


def class_tuple(classes: Labels) -> tuple[Label, ...]:
    """NumPy's classes as plain booleans, integers or strings."""
    return tuple(classes.tolist())


def class_index(labels: Labels, classes: tuple[Label, ...]) -> npt.NDArray[np.intp]:
    """The position of each label in ``classes``, (n,); labels that are none of them are a KeyError."""
    positions = {label: index for index, label in enumerate(classes)}
    return np.array([positions[label] for label in labels.tolist()], dtype=np.intp)
