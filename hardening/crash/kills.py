"""``kill -9`` at random times of a process that writes for ever, while another one reads the live version."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from hardening.crash.polling import Reader
from hardening.crash.states import check_writable, observe
from hardening.crash.versions import NAME, NOW, publish
from service.store.model_store import ModelStore
from service.store.names import LIVE

LONGEST_S = 0.08


@dataclass(slots=True)
class Promises:
    """What the killed processes said: versions by "published", "live", "deleting" and "deleted"."""

    said: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def hear(self, lines: str) -> None:
        """Take note of every line."""
        for word, version in (line.split() for line in lines.splitlines()):
            self.said[word].add(int(version))

    def check(self, root: Path) -> None:
        """Raise AssertionError unless the store keeps every promise; what was in hand may have happened or not."""
        state = observe(root)
        there, live = set(state.versions), dict(state.aliases)[LIVE]
        if lost := self.said["published"] - there - self.said["deleting"]:
            raise AssertionError(f"acknowledged versions are gone: {sorted(lost)}")
        if returned := self.said["deleted"] & there:
            raise AssertionError(f"versions are there whose deletion was acknowledged: {sorted(returned)}")
        if live < max(self.said["live"]):
            raise AssertionError(f"live is {live} after {max(self.said['live'])} was acknowledged")


def run_all(root: Path, *, kills: int, seed: int = 7) -> tuple[Promises, int, list[str]]:
    """Kill a writer ``kills`` times: what was promised, how many answers a reader got, and a line for each failure."""
    first = publish(ModelStore(root), 1).version
    ModelStore(root).set_alias(NAME, LIVE, first, reason="", now=NOW)
    moments, promises, failures = random.Random(seed), Promises(), list[str]()  # noqa: S311 — no secret
    promises.hear(f"published {first}\nlive {first}")
    with Reader(root) as reader:
        for index in range(kills):
            promises.hear(_kill_a_writer(root, moments.uniform(0.0, LONGEST_S)))
            try:
                promises.check(root)
            except Exception as error:  # noqa: BLE001 — whatever it is, it is the failure
                failures.append(f"kill {index + 1}: {type(error).__name__}: {error}")
    check_writable(root)
    return promises, reader.answers, [*failures, *reader.complaints]


def _kill_a_writer(root: Path, after_s: float) -> str:
    """Let a fork write for ``after_s``, kill it, and return what it said in whole lines."""
    heard, says = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        _write_forever(root, says)
    os.close(says)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(heard) as lines:
        return lines.read()


def _write_forever(root: Path, says: int) -> None:
    """Publish, promote, delete what is older, and say so each time; never returns."""
    store = ModelStore(root)

    def say(word: str, version: int) -> None:
        os.write(says, f"{word} {version}\n".encode())

    try:
        while True:
            version = publish(store, 1 + store.versions(NAME)[-1]).version
            say("published", version)
            store.set_alias(NAME, LIVE, version, reason="", now=NOW)
            say("live", version)
            for older in store.versions(NAME)[:-1]:
                say("deleting", older)
                store.delete(NAME, older)
                say("deleted", older)
    finally:
        os._exit(1)
