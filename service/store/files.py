"""The few file operations that a store is built from: durable writes, and reads that trust nothing.

Source for the write order (file, directory, rename, directory): T. S. Pillai et al., "All File Systems Are Not Created
Equal", OSDI 2014.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.errors import CorruptVersion, StoreFull, StoreUnavailable

# Of a JSON document in a store.
MAX_DOCUMENT_BYTES = 16 * 2**20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# What opening a symbolic link (with O_NOFOLLOW) or a socket answers.
NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO})


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn an OSError into StoreFull (no space, no quota) or StoreUnavailable (any other), saying what was being done."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(f"{doing} failed: the disk of the model store is full; free some space") from error
        reason = os.strerror(error.errno) if error.errno else "unknown cause"
        raise StoreUnavailable(f"{doing} failed: {reason}") from error


def is_directory(path: Path) -> bool:
    """Whether ``path`` is a directory itself: a symbolic link to one could lead out of the store."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_directory(path: Path) -> None:
    """Create ``path`` and its missing parents, each durable in its own parent."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, body: bytes) -> None:
    """Write a file that does not exist yet, and make its contents durable."""
    with path.open("xb") as file:
        _write_through(file, body)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder of files and folders to where nothing is yet, and make the copy durable."""
    # Not shutil.copytree: its error does not tell a full disk from others, and it leaves durability to chance.
    target.mkdir()
    for entry in list(os.scandir(source)):
        if entry.is_dir():
            copy_folder(Path(entry.path), target / entry.name)
        else:
            write_new(target / entry.name, Path(entry.path).read_bytes())
    sync_directory(target)


def append_line(path: Path, line: bytes) -> None:
    """Append ``line`` (which ends in a newline) and make it durable; what a crash left of an earlier one is cut off."""
    with _open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
        body = file.read()
        file.truncate(body.rfind(b"\n") + 1)
        _write_through(file, line)


def _write_through(file: BinaryIO, body: bytes) -> None:
    file.write(body)
    file.flush()
    os.fsync(file.fileno())


def read_regular(path: Path, *, limit: int, where: str) -> bytes:
    """The contents of an ordinary file of at most ``limit`` bytes; ``where`` names it in messages.

    Raises CorruptVersion for a longer file and for a symbolic link, FIFO, socket, device or directory, none of which is
    waited for or read; FileNotFoundError and other OSErrors pass.
    """
    try:
        with _open_regular(path, os.O_RDONLY) as file:
            size = os.fstat(file.fileno()).st_size
            # Never read(limit): it would allocate what a forged manifest asks for.
            body = file.read(size + 1) if size <= limit else b""
    except OSError as error:
        if error.errno in NOT_A_FILE:
            raise CorruptVersion(f"{where} is not an ordinary file") from None
        raise
    if max(size, len(body)) > limit:
        raise CorruptVersion(f"{where} is longer than the {limit} bytes that it may have")
    return body


def _open_regular(path: Path, flags: int) -> BinaryIO:
    # Not blocking, so that a FIFO without a writer is seen for what it is.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "r+b")
