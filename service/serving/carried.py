"""Errors on their way from a child process to the one that started it."""

from __future__ import annotations

from typing import Any

from service.errors import FieldError, ServiceError, TrainFailed, all_errors


def as_json(error: ServiceError) -> dict[str, Any]:
    """An error as the parent can raise it again."""
    places = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in error.errors]
    return {"class": type(error).__name__, "detail": error.detail, "errors": places, "hint": error.hint}


def as_error(told: dict[str, Any]) -> ServiceError:
    """The error that the child told of, as its own class again."""
    kinds = {kind.__name__: kind for kind in all_errors()}
    kind = kinds.get(told["class"], TrainFailed)
    places = tuple(FieldError(e["pointer"], e["code"], e["detail"]) for e in told["errors"])
    return kind(told["detail"], errors=places, hint=told["hint"])
