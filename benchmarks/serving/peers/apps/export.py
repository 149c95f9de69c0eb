"""Write model.joblib: scikit-learn's estimator with the coefficients of coefficients.json."""

from __future__ import annotations

import json
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


if __name__ == "__main__":
    joblib.dump(estimator(), "model.joblib")
