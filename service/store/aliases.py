"""The movable names of a model: what each points to now, and the history of how it came there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field, ValidationError

from service.errors import CorruptVersion, InvalidParameter, PreconditionFailed, quoted
from service.record import ForeignText, Moment, Record

MAX_REASON_LENGTH = 1000
# Each keeps its version in the memory of every worker, and all of them are one document.
MAX_ALIASES = 1000


class AliasEntry(Record):
    """What an alias points to since when and why.

    serial: counts the changes of all aliases of the model, from 1; it is the alias's entity tag.
    """

    version: int = Field(ge=1)
    serial: int = Field(ge=1)
    reason: ForeignText
    since: Moment


class HistoryEntry(Record):
    """One change of an alias; ``previous`` is the version that it pointed to before, None at first."""

    alias: str
    version: int = Field(ge=1)
    previous: int | None
    serial: int = Field(ge=1)
    reason: ForeignText
    at: Moment

    def to_line(self) -> bytes:
        """The line of ``history.jsonl``."""
        return self.model_dump_json().encode() + b"\n"


class AliasBook(Record):
    """The file ``aliases.json``: every alias of a model, and how many changes led here."""

    format_version: Literal[1] = 1
    serial: int = Field(default=0, ge=0)
    aliases: dict[str, AliasEntry] = Field(default_factory=dict)

    def version_of(self, alias: str) -> int | None:
        """The version that an alias points to, or None when there is no such alias."""
        entry = self.aliases.get(alias)
        return None if entry is None else entry.version

    def aliases_of(self, version: int) -> list[str]:
        """The aliases that point to a version, sorted."""
        return sorted(alias for alias, entry in self.aliases.items() if entry.version == version)

    def check_serial(self, alias: str, expected: int | None) -> None:
        """Raise PreconditionFailed unless the alias has the expected serial; 0: it must not exist; None: any will do."""
        entry = self.aliases.get(alias)
        present = 0 if entry is None else entry.serial
        if expected is not None and expected != present:
            raise PreconditionFailed(f"alias {quoted(alias)} changed since it was read; read it again and decide anew")

    def changed(self, alias: str, version: int, *, reason: str, now: datetime) -> tuple[AliasBook, HistoryEntry]:
        """The book after the alias was set to ``version``, and the line that the history gets.

        Raises InvalidParameter for a new alias beyond ``MAX_ALIASES``.
        """
        if alias not in self.aliases and len(self.aliases) >= MAX_ALIASES:
            raise InvalidParameter(f"a model has at most {MAX_ALIASES} aliases; move one that is there")
        serial = self.serial + 1
        entry = AliasEntry(version=version, serial=serial, reason=reason, since=now)
        line = HistoryEntry(
            alias=alias, version=version, previous=self.version_of(alias), serial=serial, reason=reason, at=now
        )
        return AliasBook(serial=serial, aliases=dict(sorted({**self.aliases, alias: entry}.items()))), line


def check_reason(reason: str) -> str:
    """``reason``, unless it is longer than 1000 characters: InvalidParameter."""
    if len(reason) > MAX_REASON_LENGTH:
        raise InvalidParameter(f"a reason has at most {MAX_REASON_LENGTH} characters", pointer="/reason")
    return reason


def replay(history: bytes, book: AliasBook, *, where: str) -> list[HistoryEntry]:
    """The changes that took effect, oldest first, read from the lines of ``history.jsonl``.

    A change is written here before it takes effect, so a crash leaves a line too many, or a part of one, and never one
    too few.  Lines beyond the serial of the book or that cannot be read did not take effect, nor did the earlier of two
    with one serial.  Raises CorruptVersion unless the others lead to the book, step by step.
    """
    read = (_read_line(line) for line in history.splitlines())
    by_serial = {entry.serial: entry for entry in read if entry is not None and entry.serial <= book.serial}
    entries = [by_serial[serial] for serial in sorted(by_serial)]
    if not (len(entries) == book.serial and _leads_to(entries, book.aliases)):
        raise CorruptVersion(f"{where} is damaged: its lines do not lead to the present aliases")
    return entries


def _read_line(line: bytes) -> HistoryEntry | None:
    try:
        return HistoryEntry.model_validate_json(line, strict=True)
    except ValidationError:
        return None


def _leads_to(entries: list[HistoryEntry], aliases: Mapping[str, AliasEntry]) -> bool:
    state: dict[str, int] = {}
    for entry in entries:
        if state.get(entry.alias) != entry.previous:
            return False
        state[entry.alias] = entry.version
    return state == {alias: entry.version for alias, entry in aliases.items()}
