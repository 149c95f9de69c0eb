"""Query parameters, each known by name and given once."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl

from service.errors import InvalidParameter, UnknownField, quoted
from service.store.names import ModelRef
from service.tabular.schema import nearest

# Each part begins with another character than the one before may end with, so a long text is read once.
NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def query_parameters(query: bytes, known: Collection[str] | None) -> dict[str, str]:
    """The parameters of a query string by name; ``known`` None takes any.

    Raises UnknownField (nearest name) or InvalidParameter.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if known is not None and name not in known:
            raise UnknownField(f"{quoted(name)} is not a query parameter of this path", hint=nearest(name, known))
        if name in found:
            raise InvalidParameter(f"the query parameter {quoted(name)} is given twice")
        found[name] = value
    return found


def model_ref(parameters: dict[str, str]) -> ModelRef:
    """``model=NAME``, ``NAME@ALIAS`` or ``NAME/VERSION``; without it the default model's live version."""
    return ModelRef.parse(parameters["model"]) if "model" in parameters else ModelRef(None)


def threshold_of(parameters: dict[str, str]) -> float | None:
    """``threshold=0.35``, in [0, 1]."""
    text = parameters.get("threshold")
    if text is None:
        return None
    if not NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise InvalidParameter("threshold must be a number from 0 to 1", pointer="/threshold")
    return float(text)


def interval_of(parameters: dict[str, str]) -> float | None:
    """``interval=0.95``, above 0 and below 1."""
    text = parameters.get("interval")
    if text is None:
        return None
    if not NUMBER.fullmatch(text) or not 0 < float(text) < 1:
        raise InvalidParameter("interval must be a number above 0 and below 1, such as 0.95", pointer="/interval")
    return float(text)


def flag(parameters: dict[str, str], name: str) -> bool:
    """``explain=true``: true, 1, false or 0."""
    text = parameters.get(name, "false").lower()
    if text not in BOOLEANS:
        raise InvalidParameter(f"{name} must be true or false", pointer=f"/{name}")
    return BOOLEANS[text]


def whole_number(parameters: dict[str, str], name: str, *, default: int, largest: int) -> int:
    """``limit=100``: from 1 to ``largest``."""
    text = parameters.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= largest:
        raise InvalidParameter(f"{name} must be a whole number from 1 to {largest}", pointer=f"/{name}")
    return int(text)
