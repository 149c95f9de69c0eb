"""The native dialect: ``/predict`` and ``/predict_proba``, decode and encode."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.model import Explanation, Prediction
from service.tabular.csv_reader import csv_table
from service.tabular.json_rows import table_from_json
from service.tabular.limits import Limits
from service.tabular.schema import Schema
from service.tabular.strict_json import parse_json
from service.tabular.table import Table
from service.web import query
from service.web.body import MediaType, media_type, read_body
from service.web.middleware.request_context import phase
from service.web.services import Services, check_same_site, json_response

PARAMETERS = ("model", "threshold", "explain")
PROBABILITY_PARAMETERS = (*PARAMETERS, "interval")


class NativeDialect:
    """Two routes over one data plane; the body is read before the model is resolved, so that one version answers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limits = Limits(max_rows=services.settings.max_rows)

    async def predict(self, request: Request) -> Response:
        """Labels for rows of features."""
        prediction = await self._answer(request, PARAMETERS)
        with phase(request, "encode"):
            response = self._encode(prediction, {"predictions": prediction.labels})
        self._count(request, prediction)
        return response

    async def predict_proba(self, request: Request) -> Response:
        """Class probabilities for rows of features."""
        prediction = await self._answer(request, PROBABILITY_PARAMETERS)
        with phase(request, "encode"):
            probabilities = prediction.probabilities.tolist()
            answer = {"classes": prediction.classes, "probabilities": probabilities}
            response = self._encode(prediction, answer)
        self._count(request, prediction)
        return response

    async def _answer(self, request: Request, known: tuple[str, ...]) -> Prediction:
        check_same_site(request)
        parameters = query.query_parameters(request, known)
        ref, threshold, interval = query.model_ref(parameters), query.threshold(parameters), query.interval(parameters)
        explain, kind = query.flag(parameters, "explain"), media_type(request)
        body = await read_body(request, self._services.settings.max_body_bytes)
        stored = self._services.data_plane.resolve(ref)
        with phase(request, "parse"):
            table = decode(body, kind, stored.model.schema, self._limits)
        with phase(request, "predict"):
            return self._services.data_plane.predict(
                stored, table, threshold=threshold, explain=explain, interval=interval
            )

    def _count(self, request: Request, prediction: Prediction) -> None:
        counters = self._services.metrics.predicted(prediction.model, prediction.version)
        counters.rows(len(prediction.labels))
        counters.probabilities(prediction.probabilities)
        counters.phases(**dict(request.state.phases))

    @staticmethod
    def _encode(prediction: Prediction, answer: dict[str, Any]) -> Response:
        answer |= {"model": prediction.model, "version": prediction.version}
        if prediction.explanations is not None:
            answer["explanations"] = [explanation(one) for one in prediction.explanations]
        if prediction.intervals is not None:
            answer |= {"interval": prediction.intervals.level, "intervals": prediction.intervals.limits.tolist()}
        return json_response(answer, headers={"Model-Version": f"{prediction.model}/{prediction.version}"})


def decode(body: bytes, kind: MediaType, schema: Schema, limits: Limits) -> Table:
    """The rows of a body, as the schema's columns.  Errors: those of the readers."""
    if kind is MediaType.CSV:
        return csv_table(body, schema, limits)
    return table_from_json(parse_json(body), schema, limits)


def explanation(terms: Explanation) -> dict[str, Any]:
    """The terms of a row's logit: numbers for two classes (the second class's logit), else lists in class order."""

    def plain(values: Any) -> Any:
        return values.tolist() if len(values) > 1 else float(values[0])

    return {
        "logit": plain(terms.logit),
        "baseline": plain(terms.baseline),
        "contributions": {name: plain(row) for name, row in zip(terms.features, terms.contributions, strict=True)},
    }
