"""A model class of KServe's custom predictor: ``--http_port`` and ``--grpc_port`` are read by ``ModelServer``."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
from kserve import Model, ModelServer


class Linear(Model):
    """Probabilities of scikit-learn's estimator."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        """Read the estimator; the server is ready from then on."""
        self.estimator = joblib.load("model.joblib")
        self.ready = True
        return self.ready

    async def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Answer a body of the V1 protocol."""
        return {"predictions": self.estimator.predict_proba(np.array(payload["instances"])).tolist()}


if __name__ == "__main__":
    ModelServer(workers=1).start([Linear("model")])
