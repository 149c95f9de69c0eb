"""``Manifest``: all that is known of one stored version but its parameters, and the form it has as a file."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.record import Moment, Record, VersionDraft
from service.store.sealed import seal, unseal

MANIFEST = "manifest.json"
PARAMETERS = "parameters.safetensors"


class ParametersFile(Record):
    """The size in bytes and the SHA-256 (hexadecimal) of the parameter file."""

    size: int = Field(ge=0)
    sha256: str


class Identity(Record):
    """Which version this is, when it was published, and the parameter file that belongs to it."""

    format_version: Literal[1] = 1
    name: str
    version: int = Field(ge=1)
    created_at: Moment
    parameters: ParametersFile


# pydantic takes the fields of the last base first, so the file begins with who it is.
class Manifest(VersionDraft, Identity):
    """One stored version: its identity and everything that training knew of it."""

    def to_bytes(self) -> bytes:
        """The file ``manifest.json``; the same manifest gives the same bytes.  See ``sealed.seal``."""
        return seal(self)

    @classmethod
    def from_bytes(cls, body: bytes, *, where: str = MANIFEST) -> Manifest:
        """The manifest of a file; raises NewerFormat or CorruptVersion, naming ``where``.  See ``sealed.unseal``."""
        return unseal(cls, body, where=where)


def complete(
    draft: VersionDraft, *, name: str, version: int, created_at: datetime, parameters: ParametersFile
) -> Manifest:
    """The manifest of ``draft`` as ``version`` of the model ``name``."""
    return Manifest(**dict(draft), name=name, version=version, created_at=created_at, parameters=parameters)
