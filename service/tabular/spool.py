"""``Spool``: numbers in a temporary file, written once and read in parts, gone when nobody holds them."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import OutOfMemory, quoted

Numbers: TypeAlias = npt.NDArray[np.float64]

_BYTES = 8


class Spool:
    """Doubles in a file without a name in the directory for temporary files (TMPDIR): even a crash leaves nothing.

    Raises OutOfMemory, naming the directory, when the file cannot be made or written.  Threads may read together.
    """

    def __init__(self) -> None:
        with disk_told():
            # Unbuffered: what is appended is in the file, where reads look for it.
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 — open as long as this object
        weakref.finalize(self, self._file.close)
        self.n_numbers = 0

    def append(self, numbers: Numbers) -> None:
        """Write all of ``numbers``, row by row, behind what is there."""
        rest = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).data
        with disk_told():
            while rest:
                rest = rest[self._file.write(rest) :]
        self.n_numbers += numbers.size

    def read(self, start: int, shape: tuple[int, ...]) -> Numbers:
        """The numbers from number ``start`` on, in an array of their own."""
        numbers = np.empty(shape)
        rest = numbers.reshape(-1).view(np.uint8).data
        position = start * _BYTES
        with disk_told():
            while rest:
                n_bytes = os.preadv(self._file.fileno(), [rest], position)
                if not n_bytes:
                    raise OSError(0, "it is cut short")
                rest, position = rest[n_bytes:], position + n_bytes
        return numbers


class SpooledMatrix:
    """A matrix (n, p) on disk, row after row, of which blocks of rows are read; ``append`` adds rows (m, p)."""

    def __init__(self, n_columns: int) -> None:
        self._spool = Spool()
        self._n_columns = n_columns

    @property
    def shape(self) -> tuple[int, int]:
        """(rows so far, columns)."""
        return self._spool.n_numbers // self._n_columns, self._n_columns

    def append(self, rows: Numbers) -> None:
        self._spool.append(rows)

    def block(self, rows: slice) -> Numbers:
        """The rows of a slice (step 1) in an array of their own, (m, p)."""
        start, stop, _ = rows.indices(self.shape[0])
        return self._spool.read(start * self._n_columns, (max(stop - start, 0), self._n_columns))


@contextmanager
def disk_told() -> Iterator[None]:
    """Say where temporary files are, and what can be done, when one of them fails."""
    try:
        yield
    except OSError as error:
        folder = quoted(tempfile.gettempdir()) if tempfile.tempdir else "TMPDIR"
        raise OutOfMemory(
            f"the rows do not fit into memory, and not into a temporary file in {folder}: "
            f"{(error.strerror or 'it failed').lower()}",
            hint="free some space there, or set TMPDIR to a directory with more",
        ) from None
