"""The key file: one line a key, of which it holds the SHA-256 and never the key itself.

::

    # a comment
    <predict|train|admin> <SHA-256, 64 hexadecimal digits> <name> <when it was made, such as 2026-01-31T12:00:00Z>

A fast hash does: the keys are 256 random bits, which nobody guesses, unlike passwords.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from service.errors import InvalidParameter, InvalidSettings, KeyNotFound, quoted
from service.store.files import sync_directory

PREFIX, RANDOM_BYTES = "lgt_", 32
MAX_FILE_BYTES = 1 << 20
HEADER = b"# scope, SHA-256 of the key, name, created; written by logitd key\n"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")


class Scope(StrEnum):
    """What a key is for."""

    PREDICT = "predict"
    TRAIN = "train"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the file knows it."""

    scope: Scope
    digest: bytes = field(repr=False)
    name: str
    created: str

    def to_line(self) -> bytes:
        """Its line of the file."""
        return f"{self.scope} {self.digest.hex()} {self.name} {self.created}\n".encode()


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key of ASCII characters."""
    return sha256(key.encode("ascii")).digest()


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file, which may be none; raises InvalidSettings when it cannot be read, or when a line is wrong."""
    return parse(_body(path))


def parse(body: bytes) -> tuple[Key, ...]:
    """The keys of a file's contents.  Raises InvalidSettings, which names the line and nothing that stands in it."""
    keys = [_key(line.split(), number) for number, line in _lines(body)]
    for what, distinct in (("key", {key.digest for key in keys}), ("name", {key.name for key in keys})):
        if len(distinct) < len(keys):
            raise InvalidSettings(
                f"the key file has the same {what} twice; give each key one line and a name of its own"
            )
    return tuple(keys)


def _lines(body: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(body.decode("ascii", "replace").splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _key(words: list[str], number: int) -> Key:
    if len(words) != 4:
        raise _wrong(number, "expected four words: scope, SHA-256, name, time")
    scope, digest, name, created = words
    if scope not in set(Scope):
        raise _wrong(number, "the scope must be predict, train or admin")
    if not DIGEST.fullmatch(digest):
        raise _wrong(number, "the SHA-256 must be 64 lower-case hexadecimal digits")
    if not NAME.fullmatch(name):
        raise _wrong(number, "a name is 1 to 64 letters, digits, dots, dashes and underscores")
    try:
        datetime.fromisoformat(created)
    except ValueError:
        raise _wrong(number, "the time must be such as 2026-01-31T12:00:00Z") from None
    return Key(Scope(scope), bytes.fromhex(digest), name, created)


def _wrong(number: int, expected: str) -> InvalidSettings:
    return InvalidSettings(f"line {number} of the key file is wrong: {expected}")


def add_key(path: Path, scope: Scope, name: str | None, now: datetime) -> tuple[str, Key]:
    """A new key, whose text is nowhere but in what is returned, and its entry; the file is made when there is none.

    name: without one it is the scope and a number.  Raises InvalidParameter for a name that is taken or cannot be one,
    InvalidSettings when the file is damaged or cannot be written.
    """
    if name is not None and not NAME.fullmatch(name):
        raise InvalidParameter("the name must be 1 to 64 letters, digits, dots, dashes and underscores")
    text = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    added: list[Key] = []

    def with_key(body: bytes) -> bytes:
        names = {key.name for key in parse(body)}
        if name in names:
            raise InvalidParameter(f"there is a key {quoted(name)} already; revoke it first, or choose another name")
        chosen = name or next(free for n in range(1, len(names) + 2) if (free := f"{scope}-{n}") not in names)
        added.append(Key(scope, digest_of(text), chosen, now.strftime("%Y-%m-%dT%H:%M:%SZ")))
        end = b"" if body.endswith(b"\n") or not body else b"\n"
        return (body or HEADER) + end + added[0].to_line()

    _change(path, with_key)
    return text, added[0]


def revoke_key(path: Path, name: str) -> Key:
    """Remove the key of this name, and return what it was; raises KeyNotFound or InvalidSettings."""
    removed: list[Key] = []

    def without_key(body: bytes) -> bytes:
        removed.extend(key for key in parse(body) if key.name == name)
        if not removed:
            raise KeyNotFound(f"there is no key {quoted(name)}", hint="logitd key list shows the names")
        lines = body.splitlines(keepends=True)
        return b"".join(line for line in lines if line.split()[:2] != removed[0].to_line().split()[:2])

    _change(path, without_key)
    return removed[0]


def _body(path: Path) -> bytes:
    try:
        status = path.stat()
        # Before it is opened: a FIFO would be waited for.
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise InvalidSettings(f"the key file must be an ordinary file of at most {MAX_FILE_BYTES} bytes")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise _impossible("read", error) from None


def _change(path: Path, changed: Callable[[bytes], bytes]) -> None:
    """Replace the file's contents atomically and durably; one process at a time."""
    # A link stays one: it is the file behind it that is replaced.
    path = path.resolve()
    with _one_at_a_time(path.parent):
        body = changed(_body(path) if path.exists() else b"")
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_private(temporary, body, path)
            temporary.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _impossible("written", error) from None


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory, which leaves no file behind."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _impossible("written", error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_private(temporary: Path, body: bytes, replaced: Path) -> None:
    """Write a new file of mode 600, or with the mode and the owner of the one that it replaces."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        if replaced.exists():
            before = replaced.stat()
            # Else a service of another user could not read its keys any more; only root may give files away.
            with suppress(PermissionError):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        os.fsync(descriptor)


def _impossible(what: str, error: OSError) -> InvalidSettings:
    reason = os.strerror(error.errno) if error.errno else "unknown cause"
    return InvalidSettings(f"the key file cannot be {what}: {reason}", hint="see logitd key create --help")
