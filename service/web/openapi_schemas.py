"""The schemas of the OpenAPI document: what bodies and answers look like, by name, and answers that many paths give.

What is a model of pydantic describes itself; the rest is written here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from service.store.aliases import MAX_REASON_LENGTH, AliasEntry, HistoryEntry
from service.store.manifest import Manifest
from service.store.names import NAME, RESERVED_ALIAS, VERSION
from service.store.signature import SignatureState
from service.training.options import TrainingOptions
from service.web.request_id import REQUEST_ID

PREFIX = "#/components/schemas/"
PROBLEM, PROBLEM_FOR_NOW, PROBLEM_WITH_KEY = "Problem", "ProblemForNow", "ProblemWithKey"

TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
MODEL_NAME = {"type": "string", "pattern": f"^{NAME.pattern}$"}
ALIAS_NAME = {**MODEL_NAME, "not": {"pattern": f"^({RESERVED_ALIAS.pattern})$"}}
VERSION_NUMBER = {"type": "string", "pattern": f"^{VERSION.pattern}$"}
VERSION_OR_ALIAS = {"type": "string", "anyOf": [{"pattern": VERSION_NUMBER["pattern"]}, ALIAS_NAME]}
REFERENCE = {"type": "string", "pattern": rf"^{NAME.pattern}(@{NAME.pattern}|/{VERSION.pattern})?$"}
REQUEST_ID_TEXT = {"type": "string", "pattern": f"^{REQUEST_ID.pattern}$"}


def ref(name: str) -> dict[str, str]:
    """A reference to a schema of ``components``."""
    return {"$ref": PREFIX + name}


def array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A list of such items."""
    return {"type": "array", "items": items, **more}


def record(properties: dict[str, Any], *optional: str, **more: Any) -> dict[str, Any]:
    """An object of these properties and no others; all have to be there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def by_name(values: dict[str, Any]) -> dict[str, Any]:
    """An object of any names, with such values."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


_CELL = {"type": ["number", "string", "null"]}
_ROW = {"anyOf": [array(_CELL, minItems=1), by_name(_CELL) | {"minProperties": 1}]}
_ANSWERED_BY = {"model": MODEL_NAME, "version": WHOLE}
_PER_CLASS = {"anyOf": [NUMBER, array(NUMBER)]}
_MATRIX = array(array(NUMBER))
_MORE = ("explanations", "interval", "intervals")

_BODIES: dict[str, Any] = {
    "Label": {"type": ["string", "integer", "boolean"]},
    "Rows": array(_ROW, minItems=1),
    "Instances": {
        "anyOf": [
            record({"instances": ref("Rows")}),
            record({"columns": array(TEXT, minItems=1), "data": ref("Rows")}),
            ref("Rows"),
            by_name(_CELL) | {"minProperties": 1, "description": "one record"},
        ]
    },
    "Training": record(
        {
            "model": MODEL_NAME,
            "instances": ref("Rows"),
            "targets": array(ref("Label"), minItems=2),
            "feature_names": or_null(array(TEXT, minItems=1, uniqueItems=True)),
            "sample_weight": or_null(array({"type": "number", "minimum": 0})),
            "options": or_null(ref("TrainingOptions")),
            "promote": {"enum": [True, False, "if_better", "always"]},
        },
        *("feature_names", "sample_weight", "options", "promote"),
    ),
    "AliasMove": record(
        {"version": {"type": "integer", "minimum": 1}, "reason": {"type": "string", "maxLength": MAX_REASON_LENGTH}},
        "reason",
    ),
}
_ANSWERS: dict[str, Any] = {
    "Explanation": record({"logit": _PER_CLASS, "baseline": _PER_CLASS, "contributions": by_name(_PER_CLASS)}),
    "Predictions": record(
        {"predictions": array(ref("Label")), **_ANSWERED_BY, "explanations": array(ref("Explanation"))}, *_MORE
    ),
    "Probabilities": record(
        {
            "classes": array(ref("Label")),
            "probabilities": _MATRIX,
            **_ANSWERED_BY,
            "explanations": array(ref("Explanation")),
            "interval": NUMBER,
            "intervals": array(_MATRIX),
        },
        *_MORE,
    ),
    "Coefficient": record(
        {
            "class": ref("Label"),
            "name": TEXT,
            "value": NUMBER,
            "standard_error": or_null(NUMBER),
            "shrinkage_bias": or_null(NUMBER),
        }
    ),
    "Trained": record(
        {
            **_ANSWERED_BY,
            "promoted": {"type": "boolean"},
            "promotion": TEXT,
            "certificate": ref("CertificateRecord"),
            "metrics": ref("MetricsRecord"),
            "penalty": TEXT,
            "C": or_null(NUMBER),
            "leave_one_out": or_null(ref("LeaveOneOutRecord")),
            "coefficients": array(ref("Coefficient")),
            "warnings": array(TEXT),
            "seconds": NUMBER,
        }
    ),
    "ModelLine": record(
        {
            "name": MODEL_NAME,
            "versions": array(WHOLE),
            "aliases": by_name(WHOLE),
            "metrics": or_null(record({"on": TEXT, "rows": WHOLE, "accuracy": NUMBER, "log_loss": NUMBER})),
            "problem": TEXT,
        },
        "problem",
    ),
    "Models": record({"models": array(ref("ModelLine")), "next": or_null(TEXT)}),
    "Model": record(
        {
            "name": MODEL_NAME,
            "versions": array(WHOLE),
            "aliases": by_name(ref("AliasEntry")),
            "history": array(ref("HistoryEntry")),
        }
    ),
    "Example": record({"instances": array(by_name(_CELL))}),
    "Status": record({"status": TEXT}),
    "Releases": record({"logitd": TEXT, "python": TEXT, "numpy": TEXT}),
    "ProblemType": record({"type": TEXT, "title": TEXT, "status": WHOLE, "meaning": TEXT}),
    PROBLEM: record(
        {
            "type": {"type": "string", "pattern": "/problems/[a-z-]+$"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "request_id": REQUEST_ID_TEXT,
            "errors": array(record({"pointer": TEXT, "code": TEXT, "detail": TEXT}), maxItems=10),
            "hint": TEXT,
        },
        *("errors", "hint"),
    ),
}
HEADERS = {
    "X-Request-Id": {
        "required": True,
        "description": "the id of the request: the client's own where it sent a good one",
        "schema": REQUEST_ID_TEXT,
    },
    "Server-Timing": {"required": True, "description": "milliseconds by phase", "schema": TEXT},
}


def _refusal(description: str, **headers: dict[str, Any]) -> dict[str, Any]:
    told = {name.replace("_", "-"): {"required": True, "schema": schema} for name, schema in headers.items()}
    content = {"application/problem+json": {"schema": ref(PROBLEM)}}
    return {"description": description, "headers": HEADERS | told, "content": content}


@cache
def components() -> dict[str, Any]:
    """The document's ``components``: schemas, and responses that many operations have."""
    written = [(AliasEntry, "serialization"), (HistoryEntry, "serialization"), (Manifest, "serialization")]
    _, models = models_json_schema(
        [*written, (TrainingOptions, "validation")],  # type: ignore[list-item]  # a tuple's words are not literals
        ref_template=PREFIX + "{model}",
    )
    described = models["$defs"]
    manifest, entry = described.pop("Manifest"), described["AliasEntry"]
    signature = {"enum": [state.value for state in SignatureState]}
    described["Version"] = _with(manifest, coefficients=array(ref("Coefficient")), signature=signature)
    described["Alias"] = _with(entry, model=MODEL_NAME, alias=ALIAS_NAME)
    responses = {
        PROBLEM: _refusal("A problem (RFC 9457)"),
        PROBLEM_FOR_NOW: _refusal("A problem that may be over soon", Retry_After={"type": "integer", "minimum": 1}),
        PROBLEM_WITH_KEY: _refusal("No key, or one that is not known", WWW_Authenticate=TEXT),
    }
    return {"schemas": {**_BODIES, **_ANSWERS, **described}, "responses": responses}


def _with(schema: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    """The schema of the same object with more properties, all of them required."""
    required = [*schema["required"], *more]
    return {**schema, "properties": {**schema["properties"], **more}, "required": required}
