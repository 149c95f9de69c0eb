"""The movable names of a model: what each points to now, and the history of how it came there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from service.errors import CorruptVersion, InvalidParameter, PreconditionFailed, quoted
from service.record import ForeignText, Moment, Record

MAX_REASON_LENGTH = 1000
# Each keeps its version in the memory of every worker, and all of them are one document.
MAX_ALIASES = 1000

Line = TypeVar("Line", bound=Record)


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


class Forgotten(Record):
    """The first line of a history that has lost its beginning: the serial of the last change that is not in it."""

    forgotten: int = Field(ge=1)


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
    with one serial.  Raises CorruptVersion unless the others lead to the book, step by step from the beginning, or from
    where ``shortened`` has cut it off.
    """
    lines = history.splitlines()
    cut_off = _read(Forgotten, lines[0]) if lines else None
    first = 1 if cut_off is None else cut_off.forgotten + 1
    read = (_read(HistoryEntry, line) for line in lines)
    by_serial = {entry.serial: entry for entry in read if entry is not None and entry.serial <= book.serial}
    entries = [by_serial[serial] for serial in sorted(by_serial)]
    is_whole = [entry.serial for entry in entries] == [*range(first, book.serial + 1)]
    if not (is_whole and _leads_to(entries, book.aliases, first)):
        raise CorruptVersion(f"{where} is damaged: its lines do not lead to the present aliases")
    return entries


def shortened(entries: list[HistoryEntry], most_bytes: int) -> bytes:
    """The newest of these changes, oldest first, as the lines of a history of so many bytes at most."""
    kept: list[bytes] = []
    for entry in reversed(entries):
        kept.append(entry.to_line())
        most_bytes -= len(kept[-1])
        if most_bytes < 0:
            kept.pop()
            break
    n_forgotten = entries[-1].serial - len(kept) if entries else 0
    head = [Forgotten(forgotten=n_forgotten).model_dump_json().encode() + b"\n"] if n_forgotten else []
    return b"".join([*head, *reversed(kept)])


def _read(kind: type[Line], line: bytes) -> Line | None:
    try:
        return kind.model_validate_json(line, strict=True)
    except ValidationError:
        return None


def _leads_to(entries: list[HistoryEntry], aliases: Mapping[str, AliasEntry], first: int) -> bool:
    # Where each alias was before the first change that is told; at the very beginning there were none.
    state = {entry.alias: entry.previous for entry in reversed(entries)} if first > 1 else {}
    for entry in entries:
        if state.get(entry.alias) != entry.previous:
            return False
        state[entry.alias] = entry.version
    return state == {alias: entry.version for alias, entry in aliases.items() if entry.serial >= first}
