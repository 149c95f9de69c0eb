"""Versions that tell whether they are whole: one number in the manifest, the same in every coefficient."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from service.model import Model
from service.record import CertificateRecord, Metrics, MetricsRecord, Provenance, TrainingRecord, VersionDraft
from service.store.manifest import Manifest
from service.store.model_store import ModelStore, StoredModel
from service.tabular.schema import NumericFeature, Schema

NAME = "churn"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FEATURES = tuple(NumericFeature(name=f"x{column}", mean=0.0, minimum=-1.0, maximum=1.0) for column in range(3))


def publish(store: ModelStore, number: int) -> Manifest:
    """Publish a version that holds ``number``."""
    model = Model(Schema(features=FEATURES), ("no", "yes"), np.full((1, len(FEATURES)), float(number)), np.zeros(1))
    return store.put(NAME, _draft(model, number), model, now=NOW)


def check_whole(stored: StoredModel) -> None:
    """Raise AssertionError unless the coefficients hold the number of the manifest: both are of one publication."""
    number = float(stored.manifest.provenance.data)
    if not (stored.model.coef == number).all():
        raise AssertionError(f"version {stored.manifest.version} has a manifest and parameters of two publications")


def _draft(model: Model, number: int) -> VersionDraft:
    metrics = Metrics(
        rows=4, accuracy=1.0, log_loss=0.1, brier=0.1, roc_auc=1.0, f1_macro=1.0, confusion_matrix=((2, 0), (0, 2))
    )
    return VersionDraft(
        classes=model.classes,
        feature_schema=model.schema,
        drop_first=model.drop_first,
        certificate=CertificateRecord(
            objective=0.1,
            gap_bound=0.0,
            gap_relative=0.0,
            status="converged",
            rank=3,
            separation="none",
            witness=None,
            solver="newton",
            reason="made by hand",
            passes=1,
        ),
        metrics=MetricsRecord(training=metrics, held_out=None),
        training=TrainingRecord(options={}, rows=4, penalty="none"),
        provenance=Provenance(logitd="0", numpy="0", data=str(number), data_sha256=None, command=None),
        warnings=(),
    )
