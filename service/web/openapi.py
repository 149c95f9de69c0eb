"""What the OpenAPI document says of bodies and answers: handlers read bytes, so it is written here."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse

JSON, CSV = "application/json", "text/csv"
HIDDEN = frozenset({"/openapi.json", "/docs", "/docs/{asset}", "/"})
TEXT_PAGES = frozenset({"/metrics", "/models/{model}/versions/{version}/summary"})
STATUS = {("POST", "/train"): 201, ("DELETE", "/models/{model}/versions/{version}"): 204}

_CELL = {"oneOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}
_ROW = {"oneOf": [{"type": "array", "items": _CELL}, {"type": "object", "additionalProperties": _CELL}]}
_ROWS = {"type": "array", "minItems": 1, "items": _ROW}
_LABEL = {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}
_LABELS = {"type": "array", "items": _LABEL}
_IRIS = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
_ANSWERED_BY = {"model": {"type": "string"}, "version": {"type": "integer"}}

_INSTANCES = {
    "oneOf": [
        {"type": "object", "required": ["instances"], "properties": {"instances": _ROWS}},
        {
            "type": "object",
            "required": ["columns", "data"],
            "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": _ROWS},
        },
        _ROWS,
        {"type": "object", "description": "one record", "additionalProperties": _CELL},
    ]
}
_TRAIN = {
    "type": "object",
    "required": ["model", "instances", "targets"],
    "properties": {
        "model": {"type": "string"},
        "instances": _ROWS,
        "targets": _LABELS,
        "feature_names": {"type": "array", "items": {"type": "string"}},
        "sample_weight": {"type": "array", "items": {"type": "number", "minimum": 0}},
        "options": {"type": "object"},
        "promote": {"enum": [True, False, "if_better", "always"]},
    },
}
_TRAIN_EXAMPLE = {
    "model": "doubled",
    "instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [3.5]],
    "targets": ["low", "low", "high", "high", "high", "low"],
}
_ALIAS = {
    "type": "object",
    "required": ["version"],
    "properties": {"version": {"type": "integer", "minimum": 1}, "reason": {"type": "string"}},
}

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def _parameter(name: str, description: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": kind}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


_PREDICT_PARAMETERS = [
    _parameter("model", "NAME, NAME@ALIAS or NAME/VERSION", {"type": "string"}),
    _parameter("threshold", "two classes: the second is predicted where p > threshold", {"type": "number"}),
    _parameter("explain", "add the terms of each logit", {"type": "boolean"}),
]
_INTERVAL = _parameter(
    "interval",
    "add the limits of each probability with this confidence, such as 0.95: intervals[row][class] is [low, high]",
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
)
_TRAIN_PARAMETERS = [
    _parameter(name, "with a CSV body", {"type": "string"}) for name in ("model", "target", "promote", "missing_values")
]


def _body(schema: dict[str, Any], example: Any, *, csv: str | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": schema, "example": example}}
    if csv is not None:
        content[CSV] = {"schema": {"type": "string"}, "example": csv}
    return {"required": True, "content": content}


def documentation(path: str, method: str, text: str, *, is_public: bool) -> dict[str, Any]:
    """What ``add_api_route`` is told of one operation; HEAD is left out, being GET without a body."""
    words = re.sub(r"[{}]", "", path).strip("/").replace("/", "_") or "index"
    return {
        "operation_id": f"{method.lower()}_{words}",
        "summary": text.partition("\n")[0],
        "openapi_extra": operation(path, method) | ({"security": []} if is_public else {}),
        "responses": answers(path),
        "status_code": STATUS.get((method, path), 200),
        "response_class": PlainTextResponse if path in TEXT_PAGES else JSONResponse,
        "tags": [tag(path)],
        "include_in_schema": path not in HIDDEN and method != "HEAD",
    }


def with_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a service that asks for keys: every operation takes one in either form, public ones apart."""
    components = {**document.get("components", {}), "securitySchemes": _KEYS}
    return {**document, "components": components, "security": [{scheme: []} for scheme in _KEYS]}


def operation(path: str, method: str) -> dict[str, Any]:
    """Parameters and request body of a path's operation."""
    csv_rows = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
    known: dict[str, dict[str, Any]] = {
        "/predict": {"parameters": _PREDICT_PARAMETERS, "requestBody": _body(_INSTANCES, _IRIS, csv=csv_rows)},
        "/predict_proba": {
            "parameters": [*_PREDICT_PARAMETERS, _INTERVAL],
            "requestBody": _body(_INSTANCES, _IRIS, csv=csv_rows),
        },
        "/train": {
            "parameters": _TRAIN_PARAMETERS,
            "requestBody": _body(_TRAIN, _TRAIN_EXAMPLE, csv="x,y\n1,low\n2,low\n3,high\n2.5,high\n"),
        },
        "/models": {
            "parameters": [
                _parameter("limit", "models a page", {"type": "integer"}),
                _parameter("after", "the last name of the page before", {"type": "string"}),
            ]
        },
    }
    extra = dict(known.get(path, {}))
    if method == "PUT":
        extra["requestBody"] = _body(_ALIAS, {"version": 1})
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if names:
        extra["parameters"] = [*extra.get("parameters", []), *map(_path_parameter, names)]
    return extra


def answers(path: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a path besides 200, and what an error looks like."""
    problem = {"description": "A problem (RFC 9457)", "content": {"application/problem+json": {}}}
    labels = {"type": "object", "properties": {"predictions": _LABELS, **_ANSWERED_BY}}
    rows = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    intervals = {"interval": {"type": "number"}, "intervals": {"type": "array", "items": rows}}
    probabilities = {
        "type": "object",
        "properties": {"classes": _LABELS, "probabilities": rows, **intervals, **_ANSWERED_BY},
    }
    known: dict[str, dict[int | str, dict[str, Any]]] = {
        "/predict": {200: {"description": "Labels", "content": {JSON: {"schema": labels}}}},
        "/predict_proba": {200: {"description": "Probabilities", "content": {JSON: {"schema": probabilities}}}},
        "/train": {201: {"description": "Published", "content": {JSON: {"schema": {"type": "object"}}}}},
    }
    return {**known.get(path, {}), "default": problem}


def tag(path: str) -> str:
    """The group of a path in the documentation."""
    if path.startswith("/predict"):
        return "predictions"
    if path.startswith(("/models", "/train")):
        return "models"
    return "service"
