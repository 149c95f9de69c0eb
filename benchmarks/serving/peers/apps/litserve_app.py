"""A LitServe API: the four methods of its documentation.  Its argument is the port."""

from __future__ import annotations

import sys
from typing import Any

import joblib
import litserve
import numpy as np


class Linear(litserve.LitAPI):
    """Probabilities of scikit-learn's estimator."""

    def setup(self, device: str) -> None:
        """Read the estimator in the worker."""
        self.estimator = joblib.load("model.joblib")

    def decode_request(self, request: dict[str, Any]) -> Any:
        """The rows of the body."""
        return np.array(request["input"])

    def predict(self, rows: Any) -> Any:
        """Class probabilities of rows."""
        return self.estimator.predict_proba(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer."""
        return {"output": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Linear(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False)
