"""Records as JSON files that carry their own SHA-256, so that no changed bit goes unnoticed."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

from pydantic import ValidationError

from service.errors import CorruptVersion, NewerFormat
from service.record import Record
from service.store.files import MAX_DOCUMENT_BYTES

FORMAT_VERSION = 1

AnyRecord = TypeVar("AnyRecord", bound=Record)


def seal(record: Record) -> bytes:
    """The file of ``record``: indented JSON, fields in their order, the last one ``sha256``.

    It is the SHA-256 of the same file without that field.  One record has one file, byte for byte.
    """
    return _sealed(record.model_dump(mode="json", by_alias=True))


def unseal(kind: type[AnyRecord], body: bytes, *, where: str) -> AnyRecord:
    """The record that ``seal`` wrote; ``where`` names the file in messages.

    Raises NewerFormat when ``format_version`` is newer than this release.  Everything else is CorruptVersion: more than
    16 MiB, not UTF-8 or JSON, NaN, a key that is there twice, endless nesting, any byte that is not as it was written,
    any field that is not as declared.
    """
    document = _parse(body, where)
    _check_format(document, where)
    document.pop("sha256", None)
    try:
        intact = _sealed(document) == body
    except (ValueError, RecursionError):
        # RecursionError: writing takes a few frames more than reading, and from Python 3.12 on far more of them count.
        intact = False
    if not intact:
        raise CorruptVersion(f"{where} was changed after it was written: its checksum differs")
    try:
        return kind.model_validate_json(_canonical(document), strict=True)
    except ValidationError as error:
        raise CorruptVersion(f"{where} has a field that is not as declared: {_places(error)}") from None


def _sealed(document: dict[str, Any]) -> bytes:
    checksum = hashlib.sha256(_canonical(document)).hexdigest()
    return _canonical({**document, "sha256": checksum})


def _canonical(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _parse(body: bytes, where: str) -> dict[str, Any]:
    if len(body) > MAX_DOCUMENT_BYTES:
        raise CorruptVersion(f"{where} has {len(body)} bytes, at most {MAX_DOCUMENT_BYTES} are read")
    try:
        document = json.loads(body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise CorruptVersion(f"{where} is not JSON in UTF-8 with each key once") from None
    if not isinstance(document, dict):
        raise CorruptVersion(f"{where} is not a JSON object")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError
    return document


def _refuse_constant(_: str) -> None:
    raise ValueError


def _check_format(document: dict[str, Any], where: str) -> None:
    # Before the checksum: a newer release may compute it in another way.
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise NewerFormat(f"{where} was written by a newer release of logitd; upgrade this one to read it")


def _places(error: ValidationError) -> str:
    return ", ".join(".".join(str(step) for step in problem["loc"]) or "/" for problem in error.errors()[:3])
