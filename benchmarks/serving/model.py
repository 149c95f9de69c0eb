"""What is served: a logistic regression with coefficients from a seed, for this service and for scikit-learn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import service
from benchmarks.serving.shapes import Matrix, Vector
from service.model import Model
from service.record import CertificateRecord, Metrics, MetricsRecord, Provenance, TrainingRecord, VersionDraft
from service.store.model_store import ModelStore
from service.tabular.schema import NumericFeature, Schema

MODEL_SEED = 2
CLASSES = (0, 1)


@dataclass(frozen=True, slots=True)
class Linear:
    """The log-odds of the second class: X coef + intercept.  coef: (n_columns,)."""

    coef: Vector
    intercept: float

    def probabilities(self, X: Matrix) -> Vector:
        """P(second class | row), (n_rows,)."""
        return np.asarray(1.0 / (1.0 + np.exp(-(X @ self.coef + self.intercept))), dtype=np.float64)


def drawn(n_columns: int) -> Linear:
    """The model of so many columns; logits of normal rows have a spread of about 1."""
    rng = np.random.default_rng([MODEL_SEED, n_columns])
    return Linear(rng.standard_normal(n_columns) / np.sqrt(n_columns), float(rng.standard_normal()))


def write_coefficients(model: Linear, path: Path) -> None:
    """The file from which ``peers/apps/export.py`` makes scikit-learn's estimator in each peer's own environment."""
    path.write_text(json.dumps({"coef": model.coef.tolist(), "intercept": model.intercept}), encoding="utf-8")


def publish(linear: Linear, name: str, root: Path) -> None:
    """Store the model as this service's own, alive under a name."""
    n_columns = len(linear.coef)
    features = tuple(NumericFeature(name=f"x{j}", mean=0.0, minimum=-9.0, maximum=9.0) for j in range(n_columns))
    model = Model(Schema(features=features), CLASSES, linear.coef[None, :], np.array([linear.intercept]))
    store, now = ModelStore(root), datetime.now(UTC)
    version = store.put(name, _draft(model), model, now=now).version
    store.set_alias(name, "live", version, reason="benchmark", now=now)


def _draft(model: Model) -> VersionDraft:
    """The record of a training that never was: it is served, not looked at."""
    metrics = Metrics(
        rows=2, accuracy=1.0, log_loss=0.0, brier=0.0, roc_auc=None, f1_macro=1.0, confusion_matrix=((1, 0), (0, 1))
    )
    certificate = CertificateRecord(
        objective=0.0,
        gap_bound=None,
        gap_relative=None,
        status="optimal",
        rank=None,
        separation="undecided",
        witness=None,
        solver="none",
        reason="the coefficients were drawn",
        passes=0,
    )
    return VersionDraft(
        classes=model.classes,
        feature_schema=model.schema,
        drop_first=model.drop_first,
        certificate=certificate,
        metrics=MetricsRecord(training=metrics, held_out=None),
        training=TrainingRecord(options={}, rows=2, penalty="none"),
        provenance=Provenance(
            logitd=service.__version__, numpy=np.__version__, data="drawn", data_sha256=None, command=None
        ),
    )
