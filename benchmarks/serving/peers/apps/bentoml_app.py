"""A BentoML service: the signature is the body and the answer."""

# No postponed annotations: BentoML reads the types.
import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Linear:
    """Probabilities of scikit-learn's estimator."""

    def __init__(self) -> None:
        self.estimator = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities of rows."""
        return self.estimator.predict_proba(rows)
