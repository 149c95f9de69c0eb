"""CSV text as records: decoding, line ends and quoting, each fault with its line."""

from __future__ import annotations

import codecs
import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from service.errors import InvalidCsv, UnreadableFile, quoted
from service.tabular.formats import LONGEST, known_format
from service.tabular.table import MAX_COLUMN_NAME_LENGTH, is_column_name

MAX_RECORD_BYTES = 16 * 2**20
OTHER_SEPARATORS = ";\t|"

Record: TypeAlias = tuple[int, list[str]]  # the number of its first line, from 1, and its cells


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Where CSV is read from.  name: stands in front of line numbers; empty for a request body."""

    stream: BinaryIO
    name: str = ""

    def at(self, line: int) -> str:
        return f"{self.name}:{line}: " if self.name else f"line {line}: "

    @property
    def prefix(self) -> str:
        return f"{self.name}: " if self.name else ""

    def records(self, *, max_blank_lines: float = math.inf) -> Iterator[Record]:
        """The records (RFC 4180) that are not blank lines; memory for one at a time.

        UTF-8 with or without byte order mark, lines end in LF or CRLF; a field has at most 131 072 characters, the
        default of the csv module, and a record 16 MiB.  Raises InvalidCsv naming the line.
        """
        lines = _Lines(self)
        reader = csv.reader(lines.checked(), strict=True)
        n_blank = 0
        while True:
            line = lines.first = reader.line_num + 1
            lines.n_bytes = 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise InvalidCsv(f"{self.at(line)}{_reason(error)}") from None
            if cells:
                yield line, cells
                continue
            n_blank += 1
            if n_blank > max_blank_lines:
                raise InvalidCsv(f"{self.at(line)}there are more than {max_blank_lines} blank lines")

    def check_header(self, line: int, names: Sequence[str]) -> None:
        """Raise InvalidCsv unless ``names`` can be the names of columns."""
        if len(names) == 1 and any(separator in names[0] for separator in OTHER_SEPARATORS):
            raise InvalidCsv(f"{self.at(line)}one column found; the separator is the comma")
        for place, name in enumerate(names, 1):
            if not name:
                raise InvalidCsv(f"{self.at(line)}column {place} has no name in the header row")
            if not is_column_name(name):
                raise InvalidCsv(
                    f"{self.at(line)}column {place} has a name that is longer than {MAX_COLUMN_NAME_LENGTH} characters "
                    "or has control characters"
                )
        if len(set(names)) < len(names):
            name = next(name for name, count in Counter(names).items() if count > 1)
            raise InvalidCsv(f"{self.at(line)}the header row names {quoted(name)} twice")

    def check_width(self, records: Sequence[Record], width: int) -> None:
        """Raise InvalidCsv naming the first record that is shorter or longer than ``width``."""
        for line, cells in records:
            if len(cells) != width:
                raise InvalidCsv(f"{self.at(line)}expected {width} cells, got {len(cells)}")


@dataclass(slots=True)
class _Lines:
    """The lines of a file, decoded.

    first, n_bytes: the line that the record at hand begins in, and how long it is so far: quotes may join lines without
    end.
    """

    file: CsvFile
    first: int = 1
    n_bytes: int = 0

    def checked(self) -> Iterator[str]:
        raw = self._read().removeprefix(codecs.BOM_UTF8)
        self._check_format(raw)
        line = 1
        while raw:
            yield self._checked(line, raw)
            raw = self._read()
            line += 1

    def _read(self) -> bytes:
        try:
            return self.file.stream.readline(MAX_RECORD_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or "it failed").lower()
            raise UnreadableFile(f"cannot read {self.file.name or 'the text'}: {reason}") from None

    def _check_format(self, raw: bytes) -> None:
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise InvalidCsv(f"{self.file.at(1)}the text is UTF-16; save it as UTF-8")
        found = known_format(raw[:LONGEST])
        if found is not None:
            raise InvalidCsv(f"{self.file.at(1)}this is {found}, not CSV; unpack or export it first")

    def _checked(self, line: int, raw: bytes) -> str:
        if b"\0" in raw:
            raise InvalidCsv(f"{self.file.at(line)}there is a NUL byte; is this UTF-16 or a binary file?")
        if raw.count(b"\r") > raw.endswith(b"\r\n"):
            raise InvalidCsv(
                f"{self.file.at(line)}there is a carriage return without line feed; lines end in LF or CRLF"
            )
        self.n_bytes += len(raw)
        if self.n_bytes > MAX_RECORD_BYTES:
            raise InvalidCsv(
                f"{self.file.at(self.first)}the row is longer than {MAX_RECORD_BYTES} bytes; is a quote never closed?"
            )
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise InvalidCsv(f"{self.file.at(line)}byte {error.start + 1} of the line is not UTF-8") from None


def _reason(error: csv.Error) -> str:
    reason = str(error)
    if reason == "unexpected end of data":
        return "a quote is opened here and never closed"
    if "expected after" in reason:
        return "a closing quote must be followed by a comma or the end of the line; double a quote inside a field"
    if "field limit" in reason:
        return f"a field has more than {csv.field_size_limit()} characters; is a quote never closed?"
    return reason
