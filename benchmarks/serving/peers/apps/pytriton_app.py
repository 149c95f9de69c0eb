"""A function bound to Triton.  Its arguments are the ports of HTTP, gRPC and metrics."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

import joblib
import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

LARGEST_BATCH = 10_000

estimator = joblib.load("model.joblib")


@batch
def probabilities(rows: Any) -> list[Any]:
    """Class probabilities of rows."""
    return [estimator.predict_proba(rows)]


def end(*_: object) -> NoReturn:
    """Leave ``serve``, so that Triton cleans up its shared memory."""
    sys.exit()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    http, grpc, metrics = map(int, sys.argv[1:])
    config = TritonConfig(http_address="127.0.0.1", http_port=http, grpc_port=grpc, metrics_port=metrics)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="model",
            infer_func=probabilities,
            inputs=[Tensor(name="rows", dtype=np.float64, shape=(-1,))],
            outputs=[Tensor(name="probabilities", dtype=np.float64, shape=(-1,))],
            config=ModelConfig(max_batch_size=LARGEST_BATCH),
        )
        triton.serve()
