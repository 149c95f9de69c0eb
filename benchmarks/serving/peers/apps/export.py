"""Write scikit-learn's estimator with the coefficients of coefficients.json: model.joblib, or with "mlflow" its folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression


def estimator() -> LogisticRegression:
    """The estimator as ``fit`` would leave it."""
    written = json.loads(Path("coefficients.json").read_text(encoding="utf-8"))
    model = LogisticRegression()
    model.coef_, model.intercept_ = np.array([written["coef"]]), np.array([written["intercept"]])
    model.classes_, model.n_features_in_ = np.array([0, 1]), len(written["coef"])
    return model


def save_for_mlflow() -> None:
    """The folder model, whose ``predict`` gives probabilities."""
    import mlflow.sklearn  # noqa: PLC0415 — only one peer has it

    # Without a list of requirements MLflow would run the model to find them out.
    mlflow.sklearn.save_model(
        estimator(), "model", pyfunc_predict_fn="predict_proba", pip_requirements=["scikit-learn"]
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["mlflow"]:
        save_for_mlflow()
    else:
        joblib.dump(estimator(), "model.joblib")
