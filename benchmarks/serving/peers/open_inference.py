"""Bodies and answers of the Open Inference Protocol, which MLServer and PyTriton speak."""

from __future__ import annotations

from typing import Any

from benchmarks.serving.shapes import Matrix


def tensor(X: Matrix, name: str) -> dict[str, Any]:
    """The rows as an input tensor."""
    return {"name": name, "shape": list(X.shape), "datatype": "FP64", "data": X.ravel().tolist()}


def second_of_output(answer: dict[str, Any]) -> list[float]:
    """The second column of the only output tensor, whether its rows are flattened or not."""
    output = answer["outputs"][0]
    data = output["data"]
    return [row[1] for row in data] if isinstance(data[0], list) else data[1 :: output["shape"][1]]
