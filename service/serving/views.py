"""What is told of stored versions, as plain JSON values: the command line and HTTP say the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.errors import Integrity, ServiceError, UnsignedVersion
from service.linear.coefficient_table import INTERCEPT, coefficient_table, footnotes, likelihood_lines
from service.linear.likelihood import Likelihood, null_log_likelihood
from service.model import Model
from service.serving.control_plane import TrainingOutcome
from service.store.manifest import Manifest
from service.store.model_store import ModelStore, StoredModel
from service.store.names import LIVE
from service.store.signature import SignatureState
from service.tabular.schema import NumericFeature

STANDARD_ERRORS_UNKNOWN = (
    "Standard errors are not known: the fit is not certified, has an L1 penalty, or is too large for its covariance."
)


def coefficients(model: Model) -> list[dict[str, Any]]:
    """One entry a coefficient, intercepts last of each class: ``class, name, value, standard_error, shrinkage_bias``
    (None: unknown).

    For two classes the coefficients are those of the second; the values are on the raw scale of the columns.
    """
    classes = model.classes[1:] if model.is_binary else model.classes
    names = [*model.design.column_names, INTERCEPT]
    entries: list[dict[str, Any]] = []
    for k, label in enumerate(classes):
        values = [*model.coef[k].tolist(), float(model.intercept[k])]
        errors, biases = (
            [None] * len(names) if known is None else known[k].tolist()
            for known in (model.standard_errors, model.shrinkage_bias)
        )
        entries += [
            {"class": label, "name": name, "value": value, "standard_error": error, "shrinkage_bias": bias}
            for name, value, error, bias in zip(names, values, errors, biases, strict=True)
        ]
    return entries


def version(store: ModelStore, stored: StoredModel) -> dict[str, Any]:
    """The manifest, with the coefficients and their standard errors, and the state of the signature."""
    return {
        **stored.manifest.model_dump(mode="json", by_alias=True),
        "coefficients": coefficients(stored.model),
        "signature": signature(store, stored.manifest.name, stored.manifest.version),
    }


def signature(store: ModelStore, name: str, version: int) -> SignatureState:
    """The state of a version's signature now; one that cannot be read is invalid."""
    try:
        return store.check_signature(name, version)
    except UnsignedVersion:
        return SignatureState.NONE
    except Integrity:
        return SignatureState.INVALID


def training_answer(outcome: TrainingOutcome) -> dict[str, Any]:
    """What ``/train`` answers and ``logitd train --json`` prints."""
    manifest = outcome.manifest.model_dump(mode="json", by_alias=True)
    return {
        "model": outcome.manifest.name,
        "version": outcome.manifest.version,
        "promoted": outcome.promoted,
        "promotion": outcome.promotion,
        "certificate": manifest["certificate"],
        "metrics": manifest["metrics"],
        "penalty": outcome.manifest.training.penalty,
        "C": outcome.manifest.training.C,
        "leave_one_out": manifest["training"]["leave_one_out"],
        "coefficients": coefficients(outcome.stored.model),
        "warnings": manifest["warnings"],
        "seconds": round(outcome.seconds, 6),
    }


def model(store: ModelStore, name: str) -> dict[str, Any]:
    """One model: its versions, aliases, and the history of its promotions, oldest first."""
    return {
        "name": name,
        "versions": store.versions(name),
        "aliases": {alias: entry.model_dump(mode="json") for alias, entry in sorted(store.aliases(name).items())},
        "history": [entry.model_dump(mode="json") for entry in store.history(name)],
    }


def model_line(store: ModelStore, name: str) -> dict[str, Any]:
    """One model in a list: versions, where its aliases point, and the headline metrics of the live version.

    A model that is damaged has its ``problem`` told instead, and does not hide the others.
    """
    line: dict[str, Any] = {"name": name, "versions": store.versions(name), "aliases": {}, "metrics": None}
    try:
        line["aliases"] = {alias: entry.version for alias, entry in sorted(store.aliases(name).items())}
        if LIVE in line["aliases"]:
            line["metrics"] = headline(store.manifest(name, line["aliases"][LIVE]))
    except ServiceError as error:
        line["problem"] = error.detail
    return line


def headline(manifest: Manifest) -> dict[str, Any]:
    """Accuracy and log-loss on the held-out rows, or on the training rows where none were held out."""
    held_out = manifest.metrics.held_out
    on = "training" if held_out is None else "held_out"
    metrics = held_out or manifest.metrics.training
    return {"on": on, "rows": metrics.rows, "accuracy": metrics.accuracy, "log_loss": metrics.log_loss}


def example(model: Model) -> dict[str, Any]:
    """A request body that works: one record at the middle of the training data."""
    record: dict[str, Any] = {}
    for feature in model.schema.features:
        if isinstance(feature, NumericFeature):
            record[feature.name] = min(max(_three_digits(feature.mean), feature.minimum), feature.maximum)
        else:
            record[feature.name] = feature.most_frequent
    return {"instances": [record]}


def _three_digits(number: float) -> float:
    return float(f"{number:.3g}")


def summary(stored: StoredModel) -> str:
    """The table that a statistician expects: coefficient, standard error, z, P>|z| and the 95 % interval."""
    manifest, model = stored.manifest, stored.model
    certificate = manifest.certificate
    bound = "no bound" if certificate.gap_relative is None else f"at most {certificate.gap_relative:.1e} of it"
    lines = [
        f"Logistic regression {manifest.name}/{manifest.version}, classes: {', '.join(map(str, manifest.classes))}",
        f"rows: {manifest.training.rows}   penalty: {manifest.training.penalty}   rank: {certificate.rank or 'not computed'}",
        f"objective: {certificate.objective:.8g}   distance from the optimum: {bound}   status: {certificate.status}",
        *likelihood_lines(_likelihood(manifest)),
    ]
    # A category may hold anything, and this text is read in terminals.
    names = [*map(printable, model.design.column_names), INTERCEPT]
    for k, label in enumerate(model.classes[1:] if model.is_binary else model.classes):
        known = (None if part is None else part[k] for part in (model.standard_errors, model.shrinkage_bias))
        table = coefficient_table(names, np.append(model.coef[k], model.intercept[k]), *known)
        lines += ["", f"class {label}", *table.lines()]
    has_errors = model.standard_errors is not None
    lines += footnotes(len(model.coef), is_penalised=has_errors and manifest.training.penalty != "none")
    if not has_errors:
        lines += ["", STANDARD_ERRORS_UNKNOWN]
    return "\n".join(lines) + "\n"


def printable(name: str) -> str:
    """The name with what is no printable character escaped."""
    return name if name.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _likelihood(manifest: Manifest) -> Likelihood:
    """The likelihood of the training rows, each counted once."""
    metrics, certificate = manifest.metrics.training, manifest.certificate
    fit_intercept = bool(manifest.training.options.get("fit_intercept", True))
    loss = metrics.log_loss * metrics.rows
    contrasts = len(manifest.classes) - 1
    return Likelihood(
        n_rows=metrics.rows,
        total_weight=float(metrics.rows),
        log_likelihood=-loss,
        null=null_log_likelihood(np.array(metrics.confusion_matrix).sum(axis=1), fit_intercept=fit_intercept),
        # A rank that is not known is of a penalised fit, whose likelihood is not tested.
        n_free=(certificate.rank or 0) * contrasts,
        null_n_free=contrasts * int(fit_intercept),
        # With weights the objective of the fit is another number.
        is_maximised=manifest.training.penalty == "none" and math.isclose(certificate.objective, loss, rel_tol=1e-9),
    )
