"""What the OpenAPI document says of each operation: handlers read bytes, so it is written here."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse

from service.web import openapi_schemas as schemas
from service.web.openapi_schemas import PROBLEM, PROBLEM_FOR_NOW, PROBLEM_WITH_KEY, ref

JSON, CSV, PLAIN = "application/json", "text/csv", "text/plain"
HIDDEN = frozenset({"/openapi.json", "/docs", "/docs/{asset}", "/"})
TEXT_PAGES = frozenset({"/metrics", "/models/{model}/versions/{version}/summary"})
STATUS = {("POST", "/train"): 201, ("DELETE", "/models/{model}/versions/{version}"): 204}

# Refusals by status: of any request, of any with a key, and of any with a body.
EVERYWHERE, BEHIND_KEYS, WITH_BODY = (400, 408, 413, 414, 431, 503, 505), (401, 403, 429), (403, 415, 422)
REFUSALS = {
    ("POST", "/predict"): (404, 504, *WITH_BODY),
    ("POST", "/predict_proba"): (404, 504, *WITH_BODY),
    ("POST", "/train"): (409, 504, 507, *WITH_BODY),
    ("GET", "/models"): (422,),
    ("GET", "/models/{model}"): (404, 422),
    ("GET", "/models/{model}/example"): (404, 422),
    ("GET", "/models/{model}/versions/{version}"): (404, 422),
    ("DELETE", "/models/{model}/versions/{version}"): (403, 404, 409, 422),
    ("GET", "/models/{model}/versions/{version}/summary"): (404, 422),
    ("GET", "/models/{model}/aliases/{alias}"): (404, 422),
    ("PUT", "/models/{model}/aliases/{alias}"): (404, 412, 507, *WITH_BODY),
    ("GET", "/problems/{slug}"): (404,),
}
ANSWERS = {
    "/predict": "Predictions",
    "/predict_proba": "Probabilities",
    "/train": "Trained",
    "/models": "Models",
    "/models/{model}": "Model",
    "/models/{model}/example": "Example",
    "/models/{model}/versions/{version}": "Version",
    "/models/{model}/aliases/{alias}": "Alias",
    "/livez": "Status",
    "/readyz": "Status",
    "/healthz": "Status",
    "/version": "Releases",
    "/problems/{slug}": "ProblemType",
}
BY_A_MODEL = frozenset({"/predict", "/predict_proba", "/train", "/models/{model}/example"})
BY_A_MODEL |= {"/models/{model}/versions/{version}", "/models/{model}/versions/{version}/summary"}

_IRIS = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
_IRIS_TABLE = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
_TRAIN_EXAMPLE = {
    "model": "doubled",
    "instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [3.5]],
    "targets": ["low", "low", "high", "high", "high", "low"],
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "model": schemas.MODEL_NAME,
    "version": schemas.VERSION_OR_ALIAS,
    "alias": schemas.ALIAS_NAME,
    "slug": schemas.TEXT,
}


def _parameter(name: str, description: str, kind: dict[str, Any], place: str = "query") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": kind}


_PREDICT_PARAMETERS = [
    _parameter("model", "NAME, NAME@ALIAS or NAME/VERSION", schemas.REFERENCE),
    _parameter(
        "threshold",
        "two classes: the second is predicted where p > threshold",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    _parameter("explain", "add the terms of each logit", {"type": "boolean"}),
    _parameter(
        "X-Request-Timeout",
        "seconds that the client waits; what comes to its turn later is not computed",
        {"type": "string", "pattern": "^[0-9]{1,9}([.][0-9]{1,9})?$", "not": {"pattern": "^0+([.]0+)?$"}},
        "header",
    ),
]
_INTERVAL = _parameter(
    "interval",
    "add the limits of each probability with this confidence, such as 0.95: intervals[row][class] is [low, high]",
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
)
_TRAIN_PARAMETERS = [
    *(_parameter(name, "with a CSV body", schemas.TEXT) for name in ("model", "target", "promote", "missing_values")),
    _parameter(
        "Idempotency-Key",
        "a repeat with the same key returns the first answer",
        {"type": "string", "pattern": "^[!-~]{1,256}$"},
        "header",
    ),
]
_PAGE_PARAMETERS = [
    _parameter("limit", "models a page", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    _parameter("after", "the last name of the page before", schemas.TEXT),
]
_IF_MATCH = _parameter(
    "If-Match", "the ETag that the alias must have", {"type": "string", "pattern": '^"[0-9]{1,18}"$'}, "header"
)


def _body(schema: str, example: Any, *, csv: str | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": ref(schema), "example": example}}
    if csv is not None:
        content[CSV] = {"schema": schemas.TEXT, "example": csv}
    return {"required": True, "content": content}


_REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/predict"): {
        "parameters": _PREDICT_PARAMETERS,
        "requestBody": _body("Instances", _IRIS, csv=_IRIS_TABLE),
    },
    ("POST", "/predict_proba"): {
        "parameters": [*_PREDICT_PARAMETERS, _INTERVAL],
        "requestBody": _body("Instances", _IRIS, csv=_IRIS_TABLE),
    },
    ("POST", "/train"): {
        "parameters": _TRAIN_PARAMETERS,
        "requestBody": _body("Training", _TRAIN_EXAMPLE, csv="x,y\n1,low\n2,low\n3,high\n2.5,high\n"),
    },
    ("GET", "/models"): {"parameters": _PAGE_PARAMETERS},
    ("PUT", "/models/{model}/aliases/{alias}"): {
        "parameters": [_IF_MATCH],
        "requestBody": _body("AliasMove", {"version": 1}),
    },
}


def documentation(path: str, method: str, text: str, *, is_public: bool) -> dict[str, Any]:
    """What ``add_api_route`` is told of one operation; HEAD is left out, being GET without a body."""
    words = re.sub(r"[{}]", "", path).strip("/").replace("/", "_") or "index"
    return {
        "operation_id": f"{method.lower()}_{words}",
        "summary": text.partition("\n")[0],
        "openapi_extra": operation(path, method) | ({"security": []} if is_public else {}),
        "responses": answers(path, method, is_public=is_public),
        "status_code": STATUS.get((method, path), 200),
        "response_class": PlainTextResponse if path in TEXT_PAGES else JSONResponse,
        "tags": [tag(path)],
        "include_in_schema": path not in HIDDEN and method != "HEAD",
    }


def complete(document: dict[str, Any], *, has_keys: bool) -> dict[str, Any]:
    """The document with all that its operations refer to.

    has_keys: the service asks for keys; then every operation takes one in either form, public ones apart.
    """
    whole = {**document, "components": schemas.components()}
    if not has_keys:
        return whole
    components = {**whole["components"], "securitySchemes": _KEYS}
    return {**whole, "components": components, "security": [{scheme: []} for scheme in _KEYS]}


def operation(path: str, method: str) -> dict[str, Any]:
    """Parameters and request body of a path's operation."""
    extra = dict(_REQUESTS.get((method, path), {}))
    kinds = _PATH_PARAMETERS | ({"version": schemas.VERSION_NUMBER} if method == "DELETE" else {})
    names = [part[1:-1] for part in path.split("/") if part in {f"{{{name}}}" for name in kinds}]
    parameters = [*extra.get("parameters", []), *(_parameter(name, "", kinds[name], "path") for name in names)]
    return extra | ({"parameters": parameters} if parameters else {})


def answers(path: str, method: str, *, is_public: bool) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation by status: what it is for, and every refusal but that of a defect."""
    refusals = {*EVERYWHERE, *(() if is_public else BEHIND_KEYS), *REFUSALS.get((method, path), ())}
    kinds = dict.fromkeys((429, 503, 504), PROBLEM_FOR_NOW) | {401: PROBLEM_WITH_KEY}
    refused = {status: {"$ref": f"#/components/responses/{kinds.get(status, PROBLEM)}"} for status in sorted(refusals)}
    return {STATUS.get((method, path), 200): _success(path, method), **refused}


def _success(path: str, method: str) -> dict[str, Any]:
    described: dict[str, Any] = {"description": "Success", "headers": _headers(path, method)}
    if path in TEXT_PAGES:
        return described | {"content": {PLAIN: {"schema": schemas.TEXT}}}
    if method == "DELETE" or path not in ANSWERS:
        return described
    return described | {"content": {JSON: {"schema": ref(ANSWERS[path])}}}


def _headers(path: str, method: str) -> dict[str, Any]:
    """The headers of a success that there always are."""
    headers = dict(schemas.HEADERS)
    if path in BY_A_MODEL and method != "DELETE":
        headers["Model-Version"] = {
            "required": True,
            "description": "who answered: NAME/VERSION",
            "schema": schemas.TEXT,
        }
    if path == "/train":
        headers["Location"] = {"required": True, "description": "the new version", "schema": schemas.TEXT}
    if path.endswith("/{alias}"):
        headers["ETag"] = {"required": True, "description": "for If-Match", "schema": schemas.TEXT}
    return headers


def tag(path: str) -> str:
    """The group of a path in the documentation."""
    if path.startswith("/predict"):
        return "predictions"
    if path.startswith(("/models", "/train")):
        return "models"
    return "service"
