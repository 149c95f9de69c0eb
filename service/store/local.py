"""``LocalStore``: models as directories of one file system, safe against crashes and concurrent writers.

::

    <root>/<name>/versions/<n>/{manifest.json,parameters.safetensors}
    <root>/<name>/versions/<n>/signature.json      the only file of a version that is replaced
    <root>/<name>/versions/<n>.deleted      the number is taken for ever
    <root>/<name>/{aliases.json,history.jsonl}
    <root>/<name>/.tmp/<uuid>               being written or being removed; never read
    <root>/<name>/.lock                     held by flock while aliases or signatures change; it dies with its holder

Names are checked where a path is made of them, so nothing outside of ``<root>`` is ever opened; symbolic links below
``<root>`` are not followed.  Every OSError becomes StoreFull or StoreUnavailable.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep
from typing import TypeAlias

from service.errors import CorruptVersion, ModelNotFound, StoreUnavailable, VersionNotFound, quoted
from service.store.files import (
    MAX_DOCUMENT_BYTES,
    append_line,
    is_directory,
    make_directory,
    read_regular,
    sync_directory,
    translated,
    write_new,
)
from service.store.names import MAX_VERSION, NAME, check_name, is_version

VERSIONS = "versions"
TEMPORARY = ".tmp"
LOCK = ".lock"
DELETED = ".deleted"
ALIASES = "aliases.json"
HISTORY = "history.jsonl"
LEFTOVER_AGE_S = 3600.0
# A change takes milliseconds, or as long as three fsyncs of a slow disk.
LOCK_PATIENCE_S, LOCK_PAUSE_S = 10.0, 0.002
# Another writer took the number first: the version that stands there is a directory with files.
TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY})

Stamp: TypeAlias = tuple[int, int, int]


def _lock(descriptor: int, name: str) -> None:
    """Wait for the lock, by asking again and again: the system's own wait has no deadline."""
    deadline = monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > deadline:
                raise StoreUnavailable(
                    f"another process has been changing the aliases of {quoted(name)} for {LOCK_PATIENCE_S:g} seconds; "
                    "has it been stopped?"
                ) from None
            sleep(LOCK_PAUSE_S)
        else:
            return


class LocalStore:
    """The directory operations below one root; it knows bytes and names, not what they mean.

    A root that does not exist reads as empty and is created by the first ``publish``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._alias_path = lru_cache(maxsize=1024)(lambda name: os.fspath(self._model(name) / ALIASES))

    def names(self) -> list[str]:
        """The models that have a version, sorted."""
        with translated("reading the model store"):
            try:
                found = [entry.name for entry in self.root.iterdir() if NAME.fullmatch(entry.name)]
            except FileNotFoundError:
                return []
            return sorted(name for name in found if self._numbers(name))

    def versions(self, name: str) -> list[int]:
        """The versions of a model, ascending; ModelNotFound when there is none."""
        with translated("reading the model store"):
            numbers = self._numbers(name)
        if not numbers:
            from service.tabular.schema import nearest  # noqa: PLC0415 — NumPy, which a supervisor does without

            raise ModelNotFound(f"there is no model {quoted(name)}", hint=nearest(name, self.names()))
        return sorted(numbers)

    def read(self, name: str, version: int, file: str, *, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
        """A file of a version.

        Raises ModelNotFound, VersionNotFound, or CorruptVersion when the file is missing, too long or no ordinary file.
        """
        body = self.read_optional(name, version, file, limit=limit)
        if body is None:
            raise CorruptVersion(f"{name}/{VERSIONS}/{version}/{file} is missing")
        return body

    def read_optional(self, name: str, version: int, file: str, *, limit: int) -> bytes | None:
        """A file of a version, None when the version has no such file; raises as ``read`` does."""
        self._check_version(name, version)
        path = self._model(name) / VERSIONS / str(version) / file
        where = f"{name}/{VERSIONS}/{version}/{file}"
        with translated(f"reading {where}"):
            try:
                return read_regular(path, limit=limit, where=where)
            except FileNotFoundError:
                pass
        # Deleted since the check is not found, rather than a version without this file.
        self._check_version(name, version)
        return None

    def publish(self, name: str, contents: Callable[[int], Mapping[str, bytes]]) -> int:
        """Store a version durably and return its number, one more than the highest that was ever there.

        contents: from the number to the files, in the order of writing.  Readers see all of the version or nothing.
        When anything fails, nothing stays: a file is not tried again after a failed fsync, because the system may have
        dropped its pages (PostgreSQL's "fsyncgate", 2018).
        """
        with translated(f"publishing a version of {name}"):
            self._prepare(name)
            self._remove_leftovers(name)
            while True:
                version = self._next_version(name)
                if self._publish_as(name, version, contents(version)):
                    return version

    def delete(self, name: str, version: int) -> None:
        """Remove a version: it disappears at once, and its number is not given again.  Raises as ``read`` does."""
        self._check_version(name, version)
        folder = self._model(name) / VERSIONS
        with translated(f"deleting {name}/{version}"):
            self._prepare(name)
            # Before the version goes: a publication in between must see one or the other.
            (folder / f"{version}{DELETED}").touch()
            self._discard(name, folder / str(version))
            sync_directory(folder)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock of a model's aliases and signatures.

        Raises ModelNotFound when there is no such model, and StoreUnavailable when another process keeps the lock for
        ``LOCK_PATIENCE_S``: it may have been stopped, and whoever waited for it without end would hang as well.
        """
        self.versions(name)
        with translated(f"locking {name}"):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._model(name) / LOCK, flags, 0o644)
        try:
            with translated(f"locking {name}"):
                _lock(descriptor, name)
            yield
        finally:
            # The lock goes with the descriptor, and what it guarded is done or failed by now: a complaint changes neither.
            with suppress(OSError):
                os.close(descriptor)

    def read_aliases(self, name: str) -> bytes | None:
        """The alias file, or None when there is none."""
        return self._read_optional(name, ALIASES)

    def replace_aliases(self, name: str, body: bytes) -> None:
        """Replace the alias file atomically and durably; the caller holds the lock.

        When the last fsync fails, the new file is in place, but may not survive a power cut: StoreUnavailable.
        """
        with translated(f"writing {name}/{ALIASES}"):
            self._replace(name, self._model(name) / ALIASES, body)

    def replace(self, name: str, version: int, file: str, body: bytes) -> None:
        """Replace a file of a version, or add it, atomically and durably; the caller holds the lock.

        Raises as ``replace_aliases``, and ModelNotFound or VersionNotFound.
        """
        self._check_version(name, version)
        folder = self._model(name) / VERSIONS / str(version)
        with translated(f"writing {name}/{VERSIONS}/{version}/{file}"):
            self._replace(name, folder / file, body)

    def _replace(self, name: str, target: Path, body: bytes) -> None:
        self._prepare(name)
        temporary = self._model(name) / TEMPORARY / uuid.uuid4().hex
        try:
            write_new(temporary, body)
            _make_later(temporary, target)
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(target.parent)

    def read_history(self, name: str) -> bytes:
        """The history file, empty when there is none."""
        return self._read_optional(name, HISTORY) or b""

    def append_history(self, name: str, line: bytes) -> None:
        """Append a line to the history durably; the caller holds the lock."""
        model = self._model(name)
        with translated(f"writing {name}/{HISTORY}"):
            append_line(model / HISTORY, line)
            sync_directory(model)

    def history_bytes(self, name: str) -> int:
        """The size of the history file, 0 when there is none."""
        with translated(f"reading {name}/{HISTORY}"):
            try:
                return (self._model(name) / HISTORY).lstat().st_size
            except FileNotFoundError:
                return 0

    def replace_history(self, name: str, body: bytes) -> None:
        """Put another history in place of this one; the caller holds the lock."""
        with translated(f"writing {name}/{HISTORY}"):
            self._replace(name, self._model(name) / HISTORY, body)

    def stamp(self, name: str) -> Stamp | None:
        """(inode, mtime in ns, size) of the alias file, which changes with every change of an alias; None without one."""
        # Asked before each answer, so nothing is set up here that only a failure needs.
        try:
            status = os.lstat(self._alias_path(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            with translated(f"reading {name}/{ALIASES}"):
                raise
        return status.st_ino, status.st_mtime_ns, status.st_size

    def is_writable(self) -> bool:
        """Whether this process may write to the store, or may create it."""
        there = next(path for path in (self.root, *self.root.absolute().parents) if os.access(path, os.F_OK))
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)

    def _model(self, name: str) -> Path:
        return self.root / check_name(name)

    def _numbers(self, name: str) -> list[int]:
        model = self._model(name)
        if not (is_directory(model) and is_directory(model / VERSIONS)):
            return []
        with os.scandir(model / VERSIONS) as entries:
            return [
                int(entry.name) for entry in entries if is_version(entry.name) and entry.is_dir(follow_symlinks=False)
            ]

    def _check_version(self, name: str, version: int) -> None:
        model = self._model(name)
        with translated("reading the model store"):
            if 1 <= version <= MAX_VERSION and all(
                is_directory(path) for path in (model, model / VERSIONS, model / VERSIONS / str(version))
            ):
                return
        latest = self.versions(name)[-1]
        raise VersionNotFound(f"model {quoted(name)} has no such version; its latest is {latest}")

    def _read_optional(self, name: str, file: str) -> bytes | None:
        self.versions(name)
        path = self._model(name) / file
        with translated(f"reading {name}/{file}"):
            try:
                return read_regular(path, limit=MAX_DOCUMENT_BYTES, where=f"{name}/{file}")
            except FileNotFoundError:
                return None

    def _prepare(self, name: str) -> None:
        model = self._model(name)
        for folder in (model, model / VERSIONS, model / TEMPORARY):
            make_directory(folder)
            if not is_directory(folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def _next_version(self, name: str) -> int:
        taken = (entry.name.removesuffix(DELETED) for entry in (self._model(name) / VERSIONS).iterdir())
        highest = max((int(number) for number in taken if is_version(number)), default=0)
        if highest == MAX_VERSION:
            raise StoreUnavailable(f"model {quoted(name)} has used up its version numbers; publish under another name")
        return highest + 1

    def _publish_as(self, name: str, version: int, files: Mapping[str, bytes]) -> bool:
        """Write the files and rename them into place; False when the number was taken meanwhile."""
        model = self._model(name)
        temporary = model / TEMPORARY / uuid.uuid4().hex
        target = model / VERSIONS / str(version)
        try:
            temporary.mkdir()
            for file, body in files.items():
                write_new(temporary / file, body)
            sync_directory(temporary)
            temporary.rename(target)
        except OSError as error:
            if error.errno in TAKEN:
                return False
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        try:
            sync_directory(target.parent)
        except OSError:
            self._discard(name, target)
            raise
        return True

    def _discard(self, name: str, path: Path) -> None:
        """Remove a file or directory: by one rename, so that nobody sees or publishes half of it, then what is in it."""
        away = self._model(name) / TEMPORARY / uuid.uuid4().hex
        path.rename(away)
        if is_directory(away):
            shutil.rmtree(away, ignore_errors=True)
        else:
            away.unlink()

    def _remove_leftovers(self, name: str) -> None:
        """Remove what a dead writer left, when it is an hour older than a file of now: by the clock of the disk."""
        folder = self._model(name) / TEMPORARY
        probe = folder / uuid.uuid4().hex
        probe.touch()
        oldest = probe.stat().st_mtime - LEFTOVER_AGE_S
        probe.unlink()
        for entry in list(os.scandir(folder)):
            # Tidying up must not stop a publication; another writer may be tidying too.
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    self._discard(name, Path(entry.path))


def _make_later(new: Path, present: Path) -> None:
    """Give a file a later time than the one has that it will replace.

    The clock of the disk may stand still for milliseconds, or be set back, and an inode may be used again: then two
    alias files would have one stamp.
    """
    with suppress(FileNotFoundError):
        least = present.lstat().st_mtime_ns + 1
        status = new.stat()
        if status.st_mtime_ns < least:
            os.utime(new, ns=(status.st_atime_ns, least))
