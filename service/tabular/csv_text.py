"""CSV text as records: decoding, line ends and quoting, each fault with its line."""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from service.errors import DuplicateFeature, InvalidCsv, InvalidInput, quoted
from service.tabular.table import check_column_names

MAX_LINE_BYTES = 16 * 2**20

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
        default of the csv module.  Raises InvalidCsv naming the line.
        """
        reader = csv.reader(self._lines(), strict=True)
        n_blank = 0
        while True:
            line = reader.line_num + 1
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

    def _lines(self) -> Iterator[str]:
        raw = self.stream.readline(MAX_LINE_BYTES).removeprefix(codecs.BOM_UTF8)
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise InvalidCsv(f"{self.at(1)}the text is UTF-16; save it as UTF-8")
        line = 1
        while raw:
            yield self._checked(line, raw)
            raw = self.stream.readline(MAX_LINE_BYTES)
            line += 1

    def _checked(self, line: int, raw: bytes) -> str:
        if b"\0" in raw:
            raise InvalidCsv(f"{self.at(line)}there is a NUL byte; is this UTF-16 or a binary file?")
        if raw.count(b"\r") > raw.endswith(b"\r\n"):
            raise InvalidCsv(f"{self.at(line)}there is a carriage return without line feed; lines end in LF or CRLF")
        if len(raw) == MAX_LINE_BYTES:
            raise InvalidCsv(f"{self.at(line)}the line is longer than {MAX_LINE_BYTES} bytes")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise InvalidCsv(f"{self.at(line)}byte {error.start + 1} of the line is not UTF-8") from None

    def check_header(self, line: int, names: Sequence[str]) -> None:
        """Raise InvalidCsv unless ``names`` can be the names of columns."""
        if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            raise InvalidCsv(f"{self.at(line)}one column found; the separator is the comma")
        if "" in names:
            raise InvalidCsv(f"{self.at(line)}column {names.index('') + 1} has no name in the header row")
        try:
            check_column_names(names)
        except DuplicateFeature:
            name = next(name for name in names if names.count(name) > 1)
            raise InvalidCsv(f"{self.at(line)}the header row names {quoted(name)} twice") from None
        except InvalidInput as error:
            raise InvalidCsv(f"{self.at(line)}{error.detail}") from None

    def check_width(self, records: Sequence[Record], width: int) -> None:
        """Raise InvalidCsv naming the first record that is shorter or longer than ``width``."""
        for line, cells in records:
            if len(cells) != width:
                raise InvalidCsv(f"{self.at(line)}expected {width} cells, got {len(cells)}")


def _reason(error: csv.Error) -> str:
    reason = str(error)
    if reason == "unexpected end of data":
        return "a quote is opened here and never closed"
    if "expected after" in reason:
        return "a closing quote must be followed by a comma or the end of the line; double a quote inside a field"
    return reason
