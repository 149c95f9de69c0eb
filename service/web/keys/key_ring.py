"""``KeyRing``: the keys that count now, as the key file has them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from hmac import compare_digest
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from service.errors import InvalidSettings
from service.web.keys.key_file import Key, digest_of, read_keys

log = logging.getLogger("logitd.web")

LOOK_AGAIN_S = 1.0
MAX_WELCOME = 1024
# Whoever hashes a key of their own: not shorter than what nobody guesses.
PRESENTABLE = re.compile(r"[\x21-\x7e]{32,256}")

Stamp: TypeAlias = tuple[int, int, int, int]


class Keys:
    """The keys of one reading of the file.

    welcome: the keys by what was presented for what and was right, so that it need not be compared again.
    """

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys
        self.welcome: dict[tuple[str | None, str | None, str], Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, presented: str) -> Key | None:
        """The key of this text, compared with all keys, each in constant time."""
        if not PRESENTABLE.fullmatch(presented):
            return None
        digest = digest_of(presented)
        found = None
        for key in self._keys:
            if compare_digest(key.digest, digest):
                found = key
        return found

    def names_beyond(self, others: Keys) -> str:
        """The names of the keys that the others do not have."""
        known = {key.digest for key in others._keys}
        return ", ".join(key.name for key in self._keys if key.digest not in known)

    def remember(self, api_key: str | None, authorization: str | None, access: str, key: Key) -> None:
        """Welcome these two headers from now on; what is refused is never remembered, so strangers fill no memory."""
        if len(self.welcome) >= MAX_WELCOME:
            self.welcome = {}
        self.welcome[api_key, authorization, access] = key


class KeyRing:
    """The keys of a file, at which it looks again at most once a second.

    A new file that is damaged, or gone, changes nothing but the log; one that is whole and empty revokes all keys.
    Raises InvalidSettings when the file cannot be read or holds no key at first.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock
        self._taken = self._seen = _stamp(path)
        self._keys = Keys(read_keys(path))
        if not len(self._keys):
            raise InvalidSettings("the key file holds no key", hint="make one: logitd key create --scope admin")
        self._next_look = clock() + LOOK_AGAIN_S

    def current(self) -> Keys:
        """The keys that the file holds now, or held within the last second."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + LOOK_AGAIN_S
            self._look_again()
        return self._keys

    def _look_again(self) -> None:
        # Before the file is read: what changes in between is found the next time.
        stamp = _stamp(self._path)
        if stamp is not None and stamp == self._taken:
            return
        is_news, self._seen = stamp != self._seen, stamp
        try:
            keys = Keys(read_keys(self._path))
        except InvalidSettings as error:
            if is_news:
                log.warning("the keys stay as they were", extra={"cause": error.detail})
            return
        changes = {"added": keys.names_beyond(self._keys), "removed": self._keys.names_beyond(keys)}
        self._keys, self._taken = keys, stamp
        log.info("the key file was read again", extra={"keys": len(keys), **changes})


def _stamp(path: Path) -> Stamp | None:
    """What changes when the file does, or None when it is not to be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    # The change time as well: permissions that are mended leave the other.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
