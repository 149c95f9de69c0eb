"""``TrainingRequest``: the body of ``/train``, JSON or CSV, as rows, labels and options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.errors import (
    InvalidInput,
    InvalidWeights,
    LengthMismatch,
    TargetMissing,
    UnknownField,
    WrongType,
    quoted,
)
from service.linear.checks import LARGEST_MAGNITUDE
from service.tabular.csv_reader import read_csv
from service.tabular.json_rows import infer_table
from service.tabular.limits import Limits
from service.tabular.schema import nearest
from service.tabular.strict_json import parse_json
from service.tabular.table import Tabular
from service.training.labels import labels_from_column, labels_from_json
from service.training.options import Promotion, TrainingOptions, parse_options, parse_promotion
from service.training.train import TrainingData

FIELDS = ("model", "instances", "targets", "feature_names", "sample_weight", "options", "promote")
CSV_PARAMETERS = ("model", "target", "promote", "missing_values", "categorical")


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train, and how; ``model`` is the name it is published under, not yet checked."""

    model: str
    data: TrainingData
    options: TrainingOptions
    promote: Promotion


def request_from_json(body: bytes, limits: Limits) -> TrainingRequest:
    """``{"model", "instances", "targets", "feature_names"?, "sample_weight"?, "options"?, "promote"?}``.

    Raises the readers' errors, UnknownField, WrongType, InvalidInput for a key that is missing, and the errors of
    labels, weights and options.
    """
    value = parse_json(body)
    if not isinstance(value, dict):
        raise WrongType("expected an object with the keys model, instances and targets", pointer="")
    for key in value:
        if key not in FIELDS:
            raise UnknownField(f"{quoted(key)} is not a field of /train", pointer="", hint=nearest(key, FIELDS))
    for key in FIELDS[:3]:
        if key not in value:
            raise InvalidInput(f"the field {key!r} is missing", pointer="")
    targets = _typed(value["targets"], list, "/targets", "a list of labels")
    options = parse_options(_options(value.get("options")))
    table = infer_table(value["instances"], _names(value.get("feature_names")), limits)
    data = TrainingData(table, labels_from_json(targets), _weights(value.get("sample_weight"), table.n_rows))
    return TrainingRequest(
        model=_typed(value["model"], str, "/model", "a string"),
        data=data,
        options=options,
        promote=parse_promotion(value.get("promote", True)),
    )


def request_from_csv(body: bytes, parameters: Mapping[str, str], limits: Limits) -> TrainingRequest:
    """CSV with a header row; ``model``, ``target``, ``promote``, ``missing_values`` and options as query parameters.

    Raises the reader's errors, UnknownField, InvalidInput for a parameter that is missing, TargetMissing, and the
    errors of labels and options.
    """
    for key in ("model", "target"):
        if not parameters.get(key):
            raise InvalidInput(f"the query parameter {key!r} is missing: /train?model=NAME&target=COLUMN", pointer="")
    options = parse_options({k: v for k, v in parameters.items() if k not in CSV_PARAMETERS}, from_text=True)
    missing_values = tuple(word for word in parameters.get("missing_values", "").split(",") if word)
    categorical = tuple(name for name in parameters.get("categorical", "").split(",") if name)
    target = parameters["target"]
    table = read_csv(body, missing_values=missing_values, categorical=categorical, target=target, limits=limits)
    return TrainingRequest(
        model=parameters["model"],
        data=data_with_target(table, target, missing_values),
        options=options,
        promote=parse_promotion(parameters.get("promote", "true")),
    )


def data_with_target(table: Tabular, target: str, missing_values: tuple[str, ...] = ()) -> TrainingData:
    """The table split into features and labels; raises TargetMissing with the nearest name."""
    if target not in table.names:
        raise TargetMissing(
            f"there is no column {quoted(target)}; the columns are "
            + ", ".join(quoted(name) for name in table.names[:10])
            + (", …" if len(table.names) > 10 else ""),
            hint=_nearest_column(target, table),
        )
    features = table.without(target)
    if not features.names:
        raise InvalidInput("the target is the only column; there is nothing to learn from")
    return TrainingData(features, labels_from_column(table.column(target), target), None, missing_values)


def _nearest_column(name: str, table: Tabular) -> str | None:
    near = difflib.get_close_matches(name, table.names, n=1)
    return f"did you mean {quoted(near[0])}?" if near else None


def _typed(value: Any, kind: type[Any], pointer: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise WrongType(f"expected {expected}", pointer=pointer)
    return value


def _options(value: object) -> dict[str, object]:
    options: dict[str, object] = {} if value is None else _typed(value, dict, "/options", "an object")
    return options


def _names(value: object) -> list[str] | None:
    if value is None:
        return None
    names: list[object] = _typed(value, list, "/feature_names", "a list of column names")
    return [_typed(name, str, f"/feature_names/{index}", "a string") for index, name in enumerate(names)]


def _weights(value: object, n_rows: int) -> npt.NDArray[np.float64] | None:
    if value is None:
        return None
    weights: list[object] = _typed(value, list, "/sample_weight", "a list of numbers")
    if len(weights) != n_rows:
        raise LengthMismatch(f"{len(weights)} weights for {n_rows} rows", pointer="/sample_weight")
    for row, weight in enumerate(weights):
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= LARGEST_MAGNITUDE:
            raise InvalidWeights(
                f"a weight is not a number from 0 to {LARGEST_MAGNITUDE:g}", pointer=f"/sample_weight/{row}"
            )
    array = np.array(weights, dtype=np.float64)
    if not array.any():
        raise InvalidWeights("all weights are 0", pointer="/sample_weight")
    return array
