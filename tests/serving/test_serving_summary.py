"""The summary of a stored version is the table of the estimator that was fitted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import statsmodels.api as sm
from asking import train_into

from service import LogisticRegression
from service.serving import views
from service.store.model_store import ModelStore
from service.tabular.table import Table

SPECTOR = sm.datasets.spector.load_pandas().data
NAMES = ("GPA", "TUCE", "PSI")


def summary_of(root: Path, **options: Any) -> str:
    columns = tuple(SPECTOR[name].to_numpy(dtype=np.float64) for name in (*NAMES, "GRADE"))
    train_into(root, "grades", Table((*NAMES, "GRADE"), columns, 32), "GRADE", validation_fraction=0.0, **options)
    return views.summary(ModelStore(root).load("grades", 1))


def test_a_stored_version_has_the_summary_of_its_fit(tmp_path: Path) -> None:
    """Likelihood, test and table of an unpenalised version are those of ``LogisticRegression.summary``."""
    fitted = LogisticRegression(C=math.inf, covariance="observed").fit(SPECTOR[list(NAMES)], SPECTOR["GRADE"])

    text = summary_of(tmp_path, C="inf")

    ours, theirs = text.splitlines(), fitted.summary().splitlines()
    assert ours[3:5] == theirs[2:4]
    assert ours[-5:] == theirs[-5:]


def test_a_stored_version_has_the_bias_of_its_fit(tmp_path: Path) -> None:
    """Under a penalty the table ends with the bias of each coefficient, as the estimator's own."""
    fitted = LogisticRegression(C=2.0, covariance="observed").fit(SPECTOR[list(NAMES)], SPECTOR["GRADE"])

    text = summary_of(tmp_path, C=2.0, standardize=False)

    ours, theirs = text.splitlines(), fitted.summary().splitlines()
    assert ours[-7:] == theirs[-7:]
    assert [line.split()[-1] for line in ours[-7:-2]] == ["bias", *(f"{bias:.4g}" for bias in fitted.shrinkage_bias_)]


def test_the_test_of_all_columns_needs_a_maximum(tmp_path: Path) -> None:
    """Under a penalty or with class weights the likelihood is no maximum: it is shown, and not tested."""
    penalised = summary_of(tmp_path / "penalised")
    weighted = summary_of(tmp_path / "weighted", C="inf", class_weight="balanced")

    assert "log-likelihood: " in penalised
    assert "likelihood-ratio" not in penalised
    assert "likelihood-ratio" not in weighted
    assert "Under a penalty" in penalised
    assert "Under a penalty" not in weighted
