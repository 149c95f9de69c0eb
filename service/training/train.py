"""A training run: split → schema → design → fit → evaluate → what is known of the new version."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.errors import InvalidInput, LengthMismatch, NumericOverflow, SeparationError, Underdetermined, quoted
from service.linear.certificate import Certificate
from service.linear.checks import as_weights, check_classes, classes_and_index, with_class_weight
from service.linear.columns import Columns
from service.linear.estimator import LogisticRegression
from service.linear.inference import standard_errors
from service.linear.scaling import Scaling
from service.linear.solver import Status
from service.model import Label, Model
from service.record import CertificateRecord, MetricsRecord, Provenance, TrainingRecord, VersionDraft
from service.tabular.design import Design
from service.tabular.schema import CategoricalFeature, Schema
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Tabular
from service.training.design_rows import MEMORY_BYTES, DesignRows, design_rows
from service.training.evaluate import evaluate
from service.training.labels import class_tuple
from service.training.options import TrainingOptions
from service.training.selection import FittingRows, Strength, leave_one_out_record, strength_of
from service.training.split import stratified_split
from service.training.uncertainty import raw_covariance, raw_shrinkage_bias

# The covariance holds the square of this many numbers, and costs its cube.
MAX_PARAMS_WITH_COVARIANCE = 2000
MAX_NAMED_COLUMNS = 5
# A stored covariance of so many takes 2 MB.
MAX_STORED_PARAMS = 500


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Rows and their labels (n,), weights (n,) or None, and the words that stood for missing cells."""

    table: Tabular
    labels: npt.NDArray[Any]
    sample_weight: npt.NDArray[np.float64] | None = None
    missing_values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) != self.table.n_rows:
            raise LengthMismatch(f"{len(self.labels)} targets for {self.table.n_rows} rows", pointer="/targets")

    def rows(self, index: npt.NDArray[np.intp]) -> TrainingData:
        weights = None if self.sample_weight is None else self.sample_weight[index]
        return TrainingData(self.table.rows(index), self.labels[index], weights, self.missing_values)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model, what the store will keep of its training, and the rows that it has not seen (None: there are none)."""

    model: Model
    draft: VersionDraft
    held_out: TrainingData | None

    @property
    def is_certified(self) -> bool:
        return self.draft.certificate.status == Status.OPTIMAL.value


def train(
    data: TrainingData,
    options: TrainingOptions,
    provenance: Provenance,
    *,
    on_phase: Callable[[str], None] = lambda _: None,
    memory_bytes: int = MEMORY_BYTES,
) -> TrainedModel:
    """Fit ``data`` by ``options``; deterministic: the same rows, options and seed give the same model.

    A row of weight 0 is a row that is not there.  on_phase: is told what begins.  memory_bytes: see ``design_rows``.
    Raises the InvalidInput subclasses of ``infer_schema`` and of ``LogisticRegression.fit``, and Underdetermined,
    NumericOverflow, OutOfMemory.
    """
    on_phase("splitting")
    # Before the split, so that an error names the row by its number in ``data``.
    infer_schema(data.table, missing=options.missing, missing_values=data.missing_values)
    data = weighted_rows(data)
    training_rows, held_out_rows = stratified_split(
        data.labels, options.validation_fraction, np.random.default_rng(options.seed)
    )
    training = data.rows(training_rows)
    held_out = data.rows(held_out_rows) if len(held_out_rows) else None
    on_phase("fitting")
    model, fitted, rows = fit_model(training, options, memory_bytes)
    estimator = fitted.estimator
    on_phase("evaluating")
    held_out = known_categories(held_out, model.schema)
    draft = VersionDraft(
        classes=model.classes,
        feature_schema=model.schema,
        drop_first=model.drop_first,
        certificate=certificate_record(estimator.certificate_),
        metrics=MetricsRecord(
            training=evaluate(model, training.table, training.labels),
            held_out=None if held_out is None else evaluate(model, held_out.table, held_out.labels),
        ),
        training=training_record(fitted, training, options),
        provenance=provenance,
        warnings=warnings_of(estimator.certificate_, model.design, rows, options),
    )
    return TrainedModel(model, draft, held_out)


def fit_model(
    training: TrainingData, options: TrainingOptions, memory_bytes: int = MEMORY_BYTES
) -> tuple[Model, Fitted, DesignRows]:
    """The model of the training rows, the fit it comes from, and the matrix of its design, see ``design_rows``."""
    schema = infer_schema(training.table, missing=options.missing, missing_values=training.missing_values)
    design = Design(schema, drop_first=not options.is_penalised)
    rows = design_rows(design, training.table, memory_bytes)
    try:
        fitted = fit(rows.X, training, options)
    except SeparationError as error:
        raise with_columns(error, design) from None
    return assemble(schema, design, fitted), fitted, rows


def with_columns(error: SeparationError, design: Design) -> SeparationError:
    """The refusal with the names of the columns that its witness rests on, where it has one."""
    if error.witness is None:
        return error
    weights = np.abs(np.array(error.witness))[:, : len(design.column_names)].max(axis=0)
    telling = [quoted(design.column_names[j]) for j in np.argsort(-weights, kind="stable") if weights[j] > 0]
    more = ", …" if len(telling) > MAX_NAMED_COLUMNS else ""
    named = SeparationError(error.detail, hint=f"it shows in {', '.join(telling[:MAX_NAMED_COLUMNS])}{more}")
    named.witness = error.witness
    return named


def weighted_rows(data: TrainingData) -> TrainingData:
    """The rows whose weight is above 0; raises InvalidWeights."""
    counts = as_weights(data.sample_weight, data.table.n_rows) > 0
    return data if counts.all() else data.rows(np.flatnonzero(counts))


@dataclass(frozen=True, slots=True)
class Fitted:
    """The estimator, the rows it was fitted to on the scale of ``scaling``, and the strength of its penalty."""

    estimator: LogisticRegression
    scaling: Scaling
    rows: FittingRows
    strength: Strength


def fit(columns: Columns, training: TrainingData, options: TrainingOptions) -> Fitted:
    """The estimator fitted to the columns, standardised if the options say so, with C chosen if they say so."""
    n_rows, n_columns = columns.shape
    if not n_columns:
        raise InvalidInput("every column has one value in all rows; there is nothing to learn from")
    if not options.is_penalised and options.solver != "gradient-descent" and n_rows < n_columns + 1:
        raise Underdetermined(
            f"{n_rows} training rows cannot determine {n_columns} columns without a penalty; use a finite C"
        )
    scaling = scaling_of(columns, options)
    # Numbers that leave the range of doubles are looked for in what comes out: see ``assemble``.
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # Not converging is told by the certificate and by the warnings of the record.
        warnings.simplefilter("ignore", UserWarning)
        rows = fitting_rows(columns.scaled(scaling), training, options)
        strength = strength_of(options, rows)
        estimator = LogisticRegression(
            C=strength.C,
            l1_ratio=options.l1_ratio,
            fit_intercept=options.fit_intercept,
            solver=options.solver,
            tol=options.tol,
            max_iter=options.max_iter,
            learning_rate=options.learning_rate,
            covariance="observed" if rows.n_params <= MAX_PARAMS_WITH_COVARIANCE and not options.has_l1 else None,
        )
        estimator.fit(rows.X, training.labels, rows.weights)
    return Fitted(estimator, scaling, rows, strength)


def fitting_rows(columns: Columns, training: TrainingData, options: TrainingOptions) -> FittingRows:
    """The rows as the mathematics takes them; raises SingleClass, TooManyClasses, InvalidWeights."""
    classes, index = classes_and_index(training.labels)
    check_classes(classes)
    weights = as_weights(training.sample_weight, columns.shape[0])
    if options.class_weight is None:
        return FittingRows(columns, index, weights, options.fit_intercept)
    by_label = class_weight_by_label(options.class_weight, training.labels)
    weighted = with_class_weight(weights, index, classes, by_label)
    first = np.unique(index, return_index=True)[1]
    return FittingRows(columns, index, weighted, options.fit_intercept, weighted[first] / weights[first])


def training_record(fitted: Fitted, training: TrainingData, options: TrainingOptions) -> TrainingRecord:
    """What was asked for, what was chosen, and what leave-one-out says of a fit that is certified and has no L1 penalty."""
    is_certified = fitted.estimator.certificate_.status == Status.OPTIMAL.value
    is_answerable = is_certified and not options.has_l1
    C = fitted.strength.C
    return TrainingRecord(
        options=options.as_json(),
        rows=len(training.labels),
        penalty=fitted.strength.penalty(on_standardized=options.standardizes),
        C=C if math.isfinite(C) else None,
        strength_path=fitted.strength.path,
        leave_one_out=leave_one_out_record(fitted.rows, fitted.estimator) if is_answerable else None,
    )


def scaling_of(columns: Columns, options: TrainingOptions) -> Scaling:
    """How columns are scaled; without an intercept they keep their zero, since centring would bring a constant back."""
    if not options.standardizes:
        return Scaling.identity(columns.shape[1])
    scaling = columns.conditioning()
    return scaling if options.fit_intercept else Scaling(np.zeros_like(scaling.centre), scaling.scale)


def class_weight_by_label(
    given: str | dict[str, float] | None, labels: npt.NDArray[Any]
) -> str | dict[Label, float] | None:
    """The class weights with the labels themselves as keys: JSON writes every key as a string."""
    if given is None or isinstance(given, str):
        return given
    by_text = {label_text(label): label for label in np.unique(labels).tolist()}
    return {by_text.get(text, text): weight for text, weight in given.items()}


def label_text(label: Label) -> str:
    """A label as a JSON key: the string itself, ``1``, or ``true``."""
    return label if isinstance(label, str) else json.dumps(label)


def assemble(schema: Schema, design: Design, fitted: Fitted) -> Model:
    """The model on raw columns, its probabilities those of the population: see ``FittingRows.prior_shift``.

    Raises NumericOverflow when a coefficient leaves the range of doubles there.
    """
    estimator, scaling = fitted.estimator, fitted.scaling
    with np.errstate(over="ignore", invalid="ignore"):
        coef, intercept = scaling.to_raw(estimator.coef_, estimator.intercept_ + fitted.rows.prior_shift)
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise NumericOverflow("a column is so small that its coefficient overflows; rescale the column")
    covariance = raw_covariance(estimator, scaling)
    return Model(
        schema=schema,
        classes=class_tuple(estimator.classes_),
        coef=coef,
        intercept=intercept,
        drop_first=design.drop_first,
        standard_errors=None if covariance is None else standard_errors(covariance).reshape(len(coef), -1),
        shrinkage_bias=None if covariance is None else raw_shrinkage_bias(estimator, scaling),
        covariance=covariance if covariance is not None and len(covariance) <= MAX_STORED_PARAMS else None,
    )


def known_categories(held_out: TrainingData | None, schema: Schema) -> TrainingData | None:
    """The held-out rows less those with a category that no training row has: the model cannot answer them."""
    if held_out is None:
        return None
    known = np.ones(held_out.table.n_rows, dtype=np.bool_)
    for feature in schema.features:
        if isinstance(feature, CategoricalFeature):
            seen = {*feature.categories, None}
            known &= np.array([cell in seen for cell in held_out.table.column(feature.name)])
    return held_out.rows(np.flatnonzero(known)) if known.any() else None


def expected_rank(design: Design, options: TrainingOptions) -> int:
    """The rank of a design without accidents: all its columns and the intercept, less one for each full set of dummies.

    A text feature of one category is a constant column, not a set.
    """
    full_sets = sum(
        isinstance(feature, CategoricalFeature) and len(feature.categories) > 1 for feature in design.schema.features
    )
    redundant = full_sets if not design.drop_first and options.fit_intercept else max(full_sets - 1, 0)
    return len(design.column_names) + int(options.fit_intercept) - (0 if design.drop_first else redundant)


def warnings_of(
    certificate: Certificate, design: Design, rows: DesignRows, options: TrainingOptions
) -> tuple[str, ...]:
    """The names of what a user should know of the data and the fit."""
    # Beside an intercept a constant column adds nothing to the rank; without one, only a column of zeros does not.
    idle = int((rows.is_constant & (options.fit_intercept | (rows.minimum == 0))).sum())
    left_out = any(
        isinstance(feature, CategoricalFeature) and len(feature.categories) == 1 for feature in design.schema.features
    )
    said = {
        "separation": certificate.separation in {"quasi", "complete"},
        "constant-column": left_out or bool(rows.is_constant.any()),
        "collinear": certificate.rank is not None
        and certificate.rank < min(expected_rank(design, options) - idle, rows.X.shape[0]),
        "not-converged": certificate.status != Status.OPTIMAL.value,
    }
    return tuple(name for name, holds in said.items() if holds)


def certificate_record(certificate: Certificate) -> CertificateRecord:
    """The certificate as it is stored: no infinities, the witness flat."""
    bound, relative = (
        value if math.isfinite(value) else None for value in (certificate.gap_bound, certificate.gap_relative)
    )
    witness = None if certificate.witness is None else tuple(certificate.witness.ravel().tolist())
    return CertificateRecord(
        objective=certificate.objective,
        gap_bound=bound,
        gap_relative=relative,
        status=certificate.status,
        rank=certificate.rank,
        separation=certificate.separation,
        witness=witness,
        solver=certificate.solver,
        reason=certificate.reason,
        passes=certificate.passes,
    )
