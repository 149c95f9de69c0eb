"""A valid model and its manifest draft, and a store on a real directory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from service.model import Label, Model
from service.record import CertificateRecord, Metrics, MetricsRecord, Provenance, TrainingRecord, VersionDraft
from service.store.manifest import Manifest
from service.store.model_store import ModelStore
from service.tabular.schema import CategoricalFeature, NumericFeature, Schema

MakeModel: TypeAlias = Callable[..., Model]
MakeDraft: TypeAlias = Callable[[Model], VersionDraft]
Put: TypeAlias = Callable[..., Manifest]


@pytest.fixture(scope="session")
def now() -> datetime:
    """A fixed moment: the store never asks for the time."""
    return datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Build a model with a numeric and a text column for any classes; ``coef_scale`` tells versions apart."""

    def build(classes: tuple[Label, ...] = ("no", "yes"), coef_scale: float = 1.0, *, errors: bool = True) -> Model:
        schema = Schema(
            features=(
                NumericFeature(name="âge (années)", mean=40.5, minimum=18.0, maximum=90.0),
                CategoricalFeature(name="island", categories=("Biscoe", "Dream"), frequencies=(0.25, 0.75)),
            )
        )
        k, d = (1 if len(classes) == 2 else len(classes)), 3
        coef = coef_scale * np.arange(1.0, k * d + 1).reshape(k, d) / 7
        standard_errors = np.full((k, d + 1), 0.125) if errors else None
        return Model(schema, classes, coef, np.linspace(-0.1, 0.1, k), standard_errors=standard_errors)

    return build


@pytest.fixture(scope="session")
def make_draft() -> MakeDraft:
    """Build the manifest draft that describes a model."""

    def build(model: Model) -> VersionDraft:
        n_classes = len(model.classes)
        metrics = Metrics(
            rows=120,
            accuracy=0.925,
            log_loss=0.21,
            brier=0.1,
            roc_auc=0.97 if model.is_binary else None,
            f1_macro=0.92,
            confusion_matrix=tuple(tuple(40 if i == j else 3 for j in range(n_classes)) for i in range(n_classes)),
        )
        return VersionDraft(
            classes=model.classes,
            feature_schema=model.schema,
            drop_first=model.drop_first,
            certificate=CertificateRecord(
                objective=0.2125,
                gap_bound=1e-12,
                gap_relative=None,
                status="converged",
                rank=3,
                separation="none",
                witness=None,
                solver="newton",
                reason="the certified gap is below tol",
                passes=6,
            ),
            metrics=MetricsRecord(training=metrics, held_out=None),
            training=TrainingRecord(options={"C": 1.0, "solver": "auto"}, rows=120, penalty="l2, 1/(2 C n) |coef|²"),
            provenance=Provenance(logitd="0.1.0", numpy="2.0.0", data="churn.csv", data_sha256=None, command=None),
            warnings=("collinear",),
        )

    return build


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store in a directory that does not exist yet."""
    return ModelStore(tmp_path / "store")


@pytest.fixture
def put(store: ModelStore, make_model: MakeModel, make_draft: MakeDraft, now: datetime) -> Put:
    """Publish a version of ``churn`` (or of another name) and return its manifest."""

    def publish(name: str = "churn", coef_scale: float = 1.0, at: datetime = now) -> Manifest:
        model = make_model(coef_scale=coef_scale)
        return store.put(name, make_draft(model), model, now=at)

    return publish


@pytest.fixture
def churn(tmp_path: Path) -> Path:
    """The directory of the model ``churn`` in ``store``."""
    return tmp_path / "store" / "churn"
