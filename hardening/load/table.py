"""Tables for people: columns side by side, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lines of cells below a header; a column whose cells are numbers is aligned to the right."""
    cells = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    is_number = [all(isinstance(row[column], (int, float)) for row in rows) for column in range(len(header))]

    def line(texts: Sequence[str]) -> str:
        columns = zip(texts, widths, is_number, strict=True)
        return "  ".join(text.rjust(width) if right else text.ljust(width) for text, width, right in columns).rstrip()

    return "\n".join(map(line, cells))


def _text(cell: object) -> str:
    """A cell; fractions with three significant digits."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return str(cell)
