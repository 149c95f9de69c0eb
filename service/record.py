"""What is recorded of a version besides its numbers: training writes it, the store keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StrictStr,
)

from service.tabular.schema import Schema


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    return moment.astimezone(UTC)


def printable(text: str) -> str:
    """``text`` with a question mark for each lone surrogate."""
    # File names and arguments that are not UTF-8 reach Python as lone surrogates, which no JSON file can hold.
    return text.encode("utf-8", "replace").decode()


def distinct(classes: tuple[bool | int | str, ...]) -> tuple[bool | int | str, ...]:
    """``classes``, when they are of one type and each is there once; else ValueError."""
    if len(set(classes)) != len(classes) or len({type(label) for label in classes}) > 1:
        raise ValueError("the classes are not of one type, or one is there twice")
    return classes


Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(in_utc)]  # written as ISO 8601 with Z
ForeignText: TypeAlias = Annotated[str, AfterValidator(printable)]


class Record(BaseModel):
    """A frozen part of a stored document: no unknown field, no NaN, no infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )


class Metrics(Record):
    """The quality of predictions on ``rows`` rows.

    log_loss in nats; roc_auc is None where it is not defined; confusion_matrix[i][j] counts the rows of class i that
    were predicted as class j.
    """

    rows: int
    accuracy: float
    log_loss: float
    brier: float
    roc_auc: float | None
    f1_macro: float
    confusion_matrix: tuple[tuple[int, ...], ...]


class MetricsRecord(Record):
    """The metrics on the rows that were trained on, and on the rows that were held out, if any were."""

    training: Metrics
    held_out: Metrics | None


class CertificateRecord(Record):
    """The proof that came with the fit: how far the objective can be from its minimum at most, and why it stopped.

    gap_bound, gap_relative: None when no bound is known.  witness: the direction that separates the classes, or None.
    """

    objective: float
    gap_bound: float | None
    gap_relative: float | None
    status: str
    rank: int | None
    separation: Literal["none", "quasi", "complete", "undecided"]
    witness: tuple[float, ...] | None
    solver: str
    reason: str
    passes: int


class LeaveOneOutRecord(Record):
    """The quality of predictions of each training row by a fit without it: see ``linear.leave_one_out.LeaveOneOut``.

    calibration_slope, calibration_intercept: of two classes, where there is a finite one.  suggested_thresholds: of two
    classes, on the probability of the second, by criterion.
    """

    log_loss: float
    accuracy: float
    brier: float
    roc_auc: float | None
    calibration_slope: float | None
    calibration_intercept: float | None
    suggested_thresholds: dict[str, float] = {}


class TrainingRecord(Record):
    """How the model was fitted: the options that were asked for, the rows, and the penalty with its scale in words.

    C: what was fitted with, None without a penalty.  strength_path: the (C, leave-one-out log-loss) among which C was
    chosen, if it was.  leave_one_out: None where the fit is not certified or it would have been too dear.
    """

    options: dict[str, JsonValue]
    rows: int
    penalty: str
    C: float | None = None
    strength_path: tuple[tuple[float, float], ...] = ()
    leave_one_out: LeaveOneOutRecord | None = None


class Provenance(Record):
    """Where the model comes from: releases of logitd and NumPy, name and SHA-256 of the data, and the command."""

    logitd: str
    numpy: str
    data: ForeignText
    data_sha256: str | None
    command: ForeignText | None


class VersionDraft(Record):
    """What training knows of a version; ``ModelStore.put`` adds its identity.

    classes: booleans, integers or strings, each once, in the order of the model; True stays True and 1 stays 1.
    feature_schema: the field ``schema`` of the file.
    """

    classes: Annotated[tuple[StrictBool | StrictInt | StrictStr, ...], AfterValidator(distinct)] = Field(min_length=2)
    feature_schema: Schema = Field(alias="schema")
    drop_first: bool
    certificate: CertificateRecord
    metrics: MetricsRecord
    training: TrainingRecord
    provenance: Provenance
    warnings: tuple[str, ...] = ()
