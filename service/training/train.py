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

from service.errors import InvalidInput, LengthMismatch, NumericOverflow, Underdetermined
from service.linear.certificate import Certificate
from service.linear.checks import as_weights
from service.linear.estimator import LogisticRegression
from service.linear.scaling import Scaling
from service.linear.solver import Status
from service.model import Label, Model
from service.record import CertificateRecord, MetricsRecord, Provenance, TrainingRecord, VersionDraft
from service.tabular.design import Design
from service.tabular.schema import CategoricalFeature, Schema
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Table
from service.training.evaluate import evaluate
from service.training.labels import class_tuple
from service.training.options import TrainingOptions
from service.training.split import stratified_split

# The covariance holds the square of this many numbers, and costs its cube.
MAX_PARAMS_WITH_COVARIANCE = 2000


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Rows and their labels (n,), weights (n,) or None, and the words that stood for missing cells."""

    table: Table
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
) -> TrainedModel:
    """Fit ``data`` by ``options``; deterministic: the same rows, options and seed give the same model.

    A row of weight 0 is a row that is not there.  on_phase: is told what begins.  Raises the InvalidInput subclasses of
    ``infer_schema`` and of ``LogisticRegression.fit``, and Underdetermined, NumericOverflow.
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
    schema = infer_schema(training.table, missing=options.missing, missing_values=data.missing_values)
    design = Design(schema, drop_first=not options.is_penalised)
    matrix = design.matrix(training.table)
    estimator, scaling = fit(matrix, training, options)
    on_phase("evaluating")
    model = assemble(schema, design, estimator, scaling)
    held_out = known_categories(held_out, schema)
    draft = VersionDraft(
        classes=model.classes,
        feature_schema=schema,
        drop_first=model.drop_first,
        certificate=certificate_record(estimator.certificate_),
        metrics=MetricsRecord(
            training=evaluate(model, training.table, training.labels),
            held_out=None if held_out is None else evaluate(model, held_out.table, held_out.labels),
        ),
        training=TrainingRecord(options=options.as_json(), rows=len(training_rows), penalty=options.penalty),
        provenance=provenance,
        warnings=warnings_of(estimator.certificate_, design, matrix, options),
    )
    return TrainedModel(model, draft, held_out)


def weighted_rows(data: TrainingData) -> TrainingData:
    """The rows whose weight is above 0; raises InvalidWeights."""
    counts = as_weights(data.sample_weight, data.table.n_rows) > 0
    return data if counts.all() else data.rows(np.flatnonzero(counts))


def fit(
    matrix: npt.NDArray[np.float64], training: TrainingData, options: TrainingOptions
) -> tuple[LogisticRegression, Scaling]:
    """The estimator fitted to the matrix, standardised if the options say so, and the scaling that was used."""
    n_rows, n_columns = matrix.shape
    if not n_columns:
        raise InvalidInput("every column has one value in all rows; there is nothing to learn from")
    if not options.is_penalised and options.solver != "gradient-descent" and n_rows < n_columns + 1:
        raise Underdetermined(
            f"{n_rows} training rows cannot determine {n_columns} columns without a penalty; use a finite C"
        )
    scaling = scaling_of(matrix, options)
    n_classes = len(np.unique(training.labels))
    n_params = (n_columns + 1) * (n_classes if n_classes > 2 else 1)
    estimator = LogisticRegression(
        C=options.C,
        fit_intercept=options.fit_intercept,
        class_weight=class_weight_by_label(options.class_weight, training.labels),
        solver=options.solver,
        tol=options.tol,
        max_iter=options.max_iter,
        learning_rate=options.learning_rate,
        covariance="observed" if n_params <= MAX_PARAMS_WITH_COVARIANCE else None,
    )
    weights = as_weights(training.sample_weight, n_rows)
    # Numbers that leave the range of doubles are looked for in what comes out: see ``assemble``.
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # Not converging is told by the certificate and by the warnings of the record.
        warnings.simplefilter("ignore", UserWarning)
        estimator.fit(scaling.apply(matrix), training.labels, weights)
    return estimator, scaling


def scaling_of(matrix: npt.NDArray[np.float64], options: TrainingOptions) -> Scaling:
    """How columns are scaled; without an intercept they keep their zero, since centring would bring a constant back."""
    if not options.standardizes:
        return Scaling.identity(matrix.shape[1])
    scaling = Scaling.standard(matrix)
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


def assemble(schema: Schema, design: Design, estimator: LogisticRegression, scaling: Scaling) -> Model:
    """The model on raw columns; raises NumericOverflow when a coefficient leaves the range of doubles there."""
    with np.errstate(over="ignore", invalid="ignore"):
        coef, intercept = scaling.to_raw(estimator.coef_, estimator.intercept_)
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise NumericOverflow("a column is so small that its coefficient overflows; rescale the column")
    return Model(
        schema=schema,
        classes=class_tuple(estimator.classes_),
        coef=coef,
        intercept=intercept,
        drop_first=design.drop_first,
        standard_errors=raw_standard_errors(estimator, scaling),
    )


def raw_standard_errors(estimator: LogisticRegression, scaling: Scaling) -> npt.NDArray[np.float64] | None:
    """Standard errors of the raw coefficients, the intercept last, (k, p + 1); None away from the optimum."""
    if estimator.certificate_.status != Status.OPTIMAL.value or not hasattr(estimator, "covariance_"):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = scaling.covariance_to_raw(estimator.covariance_, has_intercept=estimator.fit_intercept)
    n_logits = len(estimator.coef_)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0)).reshape(n_logits, -1)
    if not estimator.fit_intercept:
        errors = np.column_stack([errors, np.zeros(n_logits)])
    return errors if np.isfinite(errors).all() else None


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
    certificate: Certificate, design: Design, matrix: npt.NDArray[np.float64], options: TrainingOptions
) -> tuple[str, ...]:
    """The names of what a user should know of the data and the fit."""
    is_constant = np.ptp(matrix, axis=0) == 0
    # Beside an intercept a constant column adds nothing to the rank; without one, only a column of zeros does not.
    idle = int((is_constant & (options.fit_intercept | (matrix[0] == 0))).sum())
    left_out = any(
        isinstance(feature, CategoricalFeature) and len(feature.categories) == 1 for feature in design.schema.features
    )
    said = {
        "separation": certificate.separation in {"quasi", "complete"},
        "constant-column": left_out or bool(is_constant.any()),
        "collinear": certificate.rank < min(expected_rank(design, options) - idle, len(matrix)),
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
