"""Parquet files read in a child process with a bound on its memory: see ``parquet_child``."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

import numpy as np

from service.errors import InvalidParquet, OutOfMemory
from service.serving import parquet_child
from service.serving.carried import as_error
from service.serving.parquet_child import NOT_ENOUGH, Chunk
from service.serving.processes import module_command
from service.tabular.table import Column, Table

# How a process ends whose allocation failed in C++, or which the kernel took for want of memory.
FOR_WANT_OF_MEMORY = frozenset({-signal.SIGABRT, -signal.SIGKILL})
MEMORY_BYTES = 2 << 30
# As much as a process may ask for.
PIPE_BYTES = 1 << 20


def confined_parquet_chunks(path: Path, memory_bytes: int = MEMORY_BYTES) -> Generator[Table, None, None]:
    """The rows of one Parquet file, some at a time, as ``parquet_reader.parquet_chunks`` reads them.

    Raises what that does, OutOfMemory when reading takes more than ``memory_bytes``, and InvalidParquet when the file
    makes the reader crash.
    """
    with _child(path, memory_bytes) as (child, stdout):
        while True:
            line = stdout.readline()
            if not line.endswith(b"\n"):
                raise _ended(child.wait())
            said = json.loads(line)
            if "error" not in said:
                yield _table(Chunk(**said), stdout, child)
            elif said["error"] is not None:
                raise as_error(said["error"])
            elif "defect" in said:
                raise RuntimeError(said["defect"])
            else:
                return


@contextmanager
def _child(path: Path, memory_bytes: int) -> Iterator[tuple[subprocess.Popen[bytes], BufferedReader]]:
    command = module_command(parquet_child.__name__, str(os.getpid()), str(memory_bytes), str(path))
    # What libraries say when they end the process is for nobody: how it ended says enough.
    nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
    try:
        child = subprocess.Popen(command, stdin=nowhere, stdout=pipe, stderr=nowhere)  # noqa: S603 — our own module
    except OSError:
        raise OutOfMemory("the process that reads Parquet files cannot be started") from None
    with child:
        assert isinstance(child.stdout, BufferedReader)
        _widen(child.stdout)
        try:
            yield child, child.stdout
        finally:
            child.kill()


def _widen(pipe: BufferedReader) -> None:
    """Let the pipe hold more at a time: fewer turns of the two processes."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _table(chunk: Chunk, stdout: BufferedReader, child: subprocess.Popen[bytes]) -> Table:
    columns: list[Column] = []
    for texts in chunk.texts:
        dtype = np.dtype(np.float64 if texts is None else np.int32)
        numbers = np.empty(chunk.n_rows, dtype)
        if stdout.readinto(numbers.data) < numbers.nbytes:
            raise _ended(child.wait())
        columns.append(numbers if texts is None else np.array([*texts, None], dtype=np.object_)[numbers])
    return Table(tuple(chunk.names), tuple(columns), chunk.n_rows)


def _ended(code: int) -> OutOfMemory | InvalidParquet:
    if code in FOR_WANT_OF_MEMORY:
        return OutOfMemory(NOT_ENOUGH)
    return InvalidParquet("not a readable Parquet file: reading it ended the process that did; is it damaged?")
