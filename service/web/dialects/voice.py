"""``Voice``: what the answers of one version have in common, written once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from service.model import Explanation, Prediction
from service.store.model_store import StoredModel
from service.web.call import Head


class Voice:
    """Writes the bodies of one version: JSON without NaN, numbers that survive a float64 round trip, a last newline."""

    def __init__(self, stored: StoredModel) -> None:
        manifest = stored.manifest
        self.stored = stored
        self.name, self.version = manifest.name, manifest.version
        self.who = f"{self.name}/{self.version}"
        self.model = stored.model
        self.is_plain = stored.model.is_plain
        self.width = len(stored.model.schema.names)
        self.head = Head([("Content-Type", "application/json"), ("Model-Version", self.who)])
        # Not orjson: a class may be a whole number beyond 64 bits.
        self._labels = [json.dumps(label, ensure_ascii=False).encode() for label in stored.model.classes]
        self._classes = b'{"classes":[%b],"probabilities":' % b",".join(self._labels)
        self._closing = b',"model":"%b","version":%d' % (self.name.encode(), self.version)
        self._end = self._closing + b"}\n"

    def few_predictions(self, probabilities: Sequence[list[float]]) -> bytes:
        """The body of ``/predict`` for a few rows of probabilities, which asks for nothing more."""
        labels = b",".join([self._labels[row.index(max(row))] for row in probabilities])
        return b'{"predictions":[%b]%b' % (labels, self._end)

    def few_probabilities(self, probabilities: Sequence[list[float]]) -> bytes:
        """The body of ``/predict_proba`` for the same."""
        return self._classes + orjson.dumps(probabilities) + self._end

    def row_prediction(self, probabilities: list[float], certainty: float) -> bytes:
        """The body of ``/predict`` for one row, whose largest probability is ``certainty``."""
        return b'{"predictions":[%b]%b' % (self._labels[probabilities.index(certainty)], self._end)

    def row_probabilities(self, probabilities: list[float]) -> bytes:
        """The body of ``/predict_proba`` for one row."""
        return b"%b[%b]%b" % (self._classes, orjson.dumps(probabilities), self._end)

    def predictions(self, prediction: Prediction) -> bytes:
        """The body of ``/predict``."""
        labels = b",".join(map(self._labels.__getitem__, prediction.choices))
        return b'{"predictions":[%b]%b' % (labels, self._with_more(prediction))

    def probabilities(self, prediction: Prediction) -> bytes:
        """The body of ``/predict_proba``."""
        return self._classes + numbers(prediction.probabilities) + self._with_more(prediction)

    def _with_more(self, prediction: Prediction) -> bytes:
        closing = self._closing
        if prediction.explanations is not None:
            closing += b',"explanations":' + orjson.dumps([explanation(one) for one in prediction.explanations])
        if prediction.intervals is not None:
            level, limits = prediction.intervals.level, prediction.intervals.limits
            closing += b',"interval":%b,"intervals":%b' % (orjson.dumps(level), numbers(limits))
        return closing + b"}\n"


def numbers(array: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    """An array as nested JSON lists."""
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def explanation(terms: Explanation) -> dict[str, Any]:
    """The terms of a row's logit: numbers for two classes (the second class's logit), else lists in class order."""

    def plain(values: Any) -> Any:
        return values.tolist() if len(values) > 1 else float(values[0])

    return {
        "logit": plain(terms.logit),
        "baseline": plain(terms.baseline),
        "contributions": {name: plain(row) for name, row in zip(terms.features, terms.contributions, strict=True)},
    }
