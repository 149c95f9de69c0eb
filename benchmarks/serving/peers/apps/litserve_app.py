"""A LitServe API: the four methods of its documentation.  Its argument is the port."""

# Without annotations, as there: LitServe would take those of the first and last method for schemas to validate.
import sys

import joblib
import litserve
import numpy as np


class Linear(litserve.LitAPI):
    """Probabilities of scikit-learn's estimator."""

    def setup(self, device):
        """Read the estimator in the worker."""
        self.estimator = joblib.load("model.joblib")

    def decode_request(self, request):
        """The rows of the body."""
        return np.array(request["input"])

    def predict(self, rows):
        """Class probabilities of rows."""
        return self.estimator.predict_proba(rows)

    def encode_response(self, output):
        """The answer."""
        return {"output": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Linear(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False)
