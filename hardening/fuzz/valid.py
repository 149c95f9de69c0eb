"""Requests that are answered with success: what byte mutations begin with."""

from __future__ import annotations

import gzip
import json

from hardening.fuzz.cases import NUMBER, Request

JSON, CSV = ("Content-Type", "application/json"), ("Content-Type", "text/csv")
IRIS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
# A model with a text column and missing cells, which the shipped ones have not.
MIXED = "mixed"
MIXED_NAMES = ("height", "colour")
MIXED_CATEGORIES = ("red", "green", "blue")

_ROWS = [[5.1, 3.5, 1.4, 0.2], [float(NUMBER), 2.9, 4.3, 1.3], [6.3, 3.3, 6.0, 2.5]]
_BODY = json.dumps({"instances": _ROWS}).encode()
_RECORD = json.dumps({"instances": [dict(zip(IRIS, _ROWS[1], strict=True))]}).encode()
_SPLIT = json.dumps({"columns": IRIS[::-1], "data": _ROWS[:2]}).encode()
_TABLE = "\n".join([",".join(IRIS), *(",".join(map(str, row)) for row in _ROWS), ""]).encode()
_MIXED = json.dumps({"instances": [{"height": None, "colour": "red"}, {"height": 1.5, "colour": "blue"}]}).encode()
_TRAINING = {
    "model": "tiny",
    "instances": [[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 3.0], [2.5, 2.5], [3.5, 4.0]],
    "targets": ["low", "low", "high", "high", "high", "low"],
    "options": {"C": 1.0, "max_iter": 50, "seed": 1},
    "promote": False,
}
_TRAINING_TABLE = b"x,y\n1,low\n2,low\n3,high\n2.5,high\n1.5,low\n"


def _many(n_rows: int) -> bytes:
    return json.dumps({"instances": _ROWS * (n_rows // 3)}).encode()


# Name, request.  Those that train take a process each, and are drawn less often.
PREDICTIONS = {
    "json": Request("POST", "/predict", (JSON,), _BODY),
    "proba": Request("POST", "/predict_proba?interval=0.95", (JSON,), _BODY),
    "record": Request("POST", "/predict_proba?explain=true", (JSON,), _RECORD),
    "split": Request("POST", "/predict?model=iris@live", (JSON,), _SPLIT),
    "csv": Request("POST", "/predict?model=iris/1", (CSV,), _TABLE),
    "gzip": Request("POST", "/predict", (JSON, ("Content-Encoding", "gzip")), gzip.compress(_BODY, mtime=0)),
    "mixed": Request("POST", f"/predict?model={MIXED}", (JSON,), _MIXED),
    "long": Request("POST", "/predict", (JSON, ("X-Request-Id", "mine")), _many(3000)),
}
PAGES = {
    "models": Request("GET", "/models?limit=1"),
    "model": Request("GET", "/models/iris"),
    "version": Request("GET", "/models/iris/versions/1"),
    "summary": Request("HEAD", "/models/iris/versions/live/summary"),
    "alias": Request("PUT", "/models/iris/aliases/shadow", (JSON,), b'{"version": 1, "reason": "a try"}'),
    "example": Request("GET", "/models/breast-cancer/example"),
    "page": Request("GET", "/problems/invalid-json", (("Accept", "application/json"),)),
}
TRAININGS = {
    "train": Request("POST", "/train", (JSON,), json.dumps(_TRAINING).encode()),
    "train-csv": Request("POST", "/train?model=tiny&target=y&promote=false", (CSV,), _TRAINING_TABLE),
}
WHOLE = PREDICTIONS | PAGES | TRAININGS

# What the model ``mixed`` is trained with.
MIXED_TRAINING = json.dumps(
    {
        "model": MIXED,
        "instances": [
            {"height": None if i % 5 == 0 else float(i % 7), "colour": MIXED_CATEGORIES[i % 3]} for i in range(60)
        ],
        "targets": ["yes" if (i * i) % 7 < 3 else "no" for i in range(60)],
        "options": {"missing": "impute", "C": 1.0},
        "promote": "always",
    }
).encode()
