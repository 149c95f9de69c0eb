"""``SpooledTable``: a table on disk, for more rows than memory holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from service.errors import InvalidInput, quoted
from service.tabular.spool import Numbers, Spool
from service.tabular.table import Column, Index, NumericColumn, Table, TextColumn, concatenated, is_numeric, joined

# Beyond, a text column is no set of categories by far, and its texts would fill the memory.
MAX_TEXTS = 100_000


def gathered(chunks: Iterable[Table], *, memory_bytes: int) -> Table | SpooledTable:
    """The rows of one chunk or more, see ``concatenated``: in memory when their cells take at most ``memory_bytes``.

    Raises what ``spooled`` raises.
    """
    coming = iter(chunks)
    held: deque[Table] = deque()
    n_bytes = 0
    for chunk in coming:
        held.append(chunk)
        n_bytes += sum(column.nbytes for column in chunk.columns)
        if n_bytes > memory_bytes:
            return spooled(_handed_over(held, coming))
    return concatenated(held)


def _handed_over(held: deque[Table], coming: Iterator[Table]) -> Iterator[Table]:
    while held:
        yield held.popleft()
    yield from coming


def spooled(chunks: Iterable[Table]) -> SpooledTable:
    """The rows of one chunk or more, see ``concatenated``, on disk; memory for one chunk and the distinct texts.

    Raises OutOfMemory when the disk is full, InvalidInput for a text column of more than 100 000 texts.
    """
    spool, edges = Spool(), [0]
    columns: tuple[_Encoder, ...] = ()
    for chunk in chunks:
        columns = columns or tuple(map(_Encoder, chunk.names))
        spool.append(np.array([column.encoded(cells) for column, cells in zip(columns, chunk.columns, strict=True)]))
        edges.append(edges[-1] + chunk.n_rows)
    return SpooledTable(
        names=tuple(column.name for column in columns),
        n_rows=edges[-1],
        _spool=spool,
        _edges=np.array(edges),
        _texts=tuple(column.texts for column in columns),
        _places=tuple(range(len(columns))),
    )


@dataclass(slots=True)
class _Encoder:
    """A column as doubles: text by the order in which it first comes, from 1; NaN is missing in either kind."""

    name: str
    codes: dict[str | None, float] = field(default_factory=lambda: {None: np.nan})
    is_text: bool = False

    def encoded(self, column: Column) -> NumericColumn:
        if is_numeric(column):
            return column.astype(np.float64, copy=False)
        self.is_text = True
        cells = column.tolist()
        for text in dict.fromkeys(cells):
            self.codes.setdefault(text, float(len(self.codes)))
        if len(self.codes) > MAX_TEXTS:
            raise InvalidInput(
                f"column {quoted(self.name)} has more than {MAX_TEXTS} different texts; is it an identifier? "
                "If so, remove it"
            )
        return np.fromiter(map(self.codes.__getitem__, cells), dtype=np.float64, count=len(cells))

    @property
    def texts(self) -> TextColumn | None:
        """The text of each code, None for a missing cell at 0; None for a numeric column."""
        return np.array(list(self.codes), dtype=np.object_) if self.is_text else None


@dataclass(frozen=True, slots=True)
class SpooledTable:
    """Columns on disk, as ``Tabular`` says; ``Table`` in all but where the cells are.

    The spool holds the chunks that were written, each column after column.
    _edges: the row that each chunk begins with, and the number of rows.  _texts: by column of the spool, see
    ``_Encoder.texts``.  _places: the column of the spool for each name.  _index: the rows of the spool that are the
    rows of this table, ascending; None: all.
    """

    names: tuple[str, ...]
    n_rows: int
    _spool: Spool
    _edges: npt.NDArray[np.int64]
    _texts: tuple[TextColumn | None, ...]
    _places: tuple[int, ...]
    _index: Index | None = None

    def __iter__(self) -> Iterator[tuple[str, Column]]:
        return ((name, self.column(name)) for name in self.names)

    def column(self, name: str) -> Column:
        """The column of this name, all of it in memory; KeyError when there is none."""
        if name not in self.names:
            raise KeyError(name)
        place = self._places[self.names.index(name)]
        width = len(self._texts)
        # Of no rows, too, the kind is known.
        parts = [self._decoded(place, np.empty(0))]
        for start, stop, chosen in self._parts():
            cells = self._spool.read(start * width + place * (stop - start), (stop - start,))
            parts.append(self._decoded(place, cells[chosen]))
        return joined(parts)

    def without(self, name: str) -> SpooledTable:
        """The table less one column."""
        kept = [(n, place) for n, place in zip(self.names, self._places, strict=True) if n != name]
        return replace(self, names=tuple(n for n, _ in kept), _places=tuple(place for _, place in kept))

    def rows(self, index: Index) -> SpooledTable:
        """The table of the rows at ``index``, which ascends."""
        return replace(self, n_rows=len(index), _index=index if self._index is None else self._index[index])

    def blocks(self, width: int = 0) -> Iterator[Table]:
        """The rows in order, some of them at a time, see ``Tabular``."""
        n_columns = len(self._texts)
        for start, stop, chosen in self._parts():
            cells = self._spool.read(start * n_columns, (n_columns, stop - start))[:, chosen]
            columns = tuple(self._decoded(place, cells[place]) for place in self._places)
            yield from Table(self.names, columns, cells.shape[1]).blocks(width)

    def _parts(self) -> Iterator[tuple[int, int, Index | slice]]:
        """Each chunk with rows of this table: its first row, its end, and which of its rows they are."""
        bounds = self._edges if self._index is None else np.searchsorted(self._index, self._edges)
        for chunk, (start, stop) in enumerate(zip(self._edges[:-1].tolist(), self._edges[1:].tolist(), strict=True)):
            first, last = bounds[chunk : chunk + 2]
            if first < last:
                yield start, stop, slice(None) if self._index is None else self._index[first:last] - start

    def _decoded(self, place: int, cells: Numbers) -> Column:
        texts = self._texts[place]
        if texts is None:
            return np.asarray(cells, dtype=np.float64)
        return np.asarray(texts[np.nan_to_num(cells).astype(np.intp)], dtype=np.object_)
