"""Publish copies of version 1 of ``churn``: ``publisher.py ROOT COUNT``, or without end in forks, one a line of stdin.

It prints the number of each version once it was acknowledged, or the process id of each fork.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from service.record import VersionDraft
from service.store.model_store import ModelStore, StoredModel

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def publish(store: ModelStore, original: StoredModel) -> int:
    draft = VersionDraft(**{field: getattr(original.manifest, field) for field in VersionDraft.model_fields})
    return store.put("churn", draft, original.model, now=NOW).version


def publish_and_promote_forever(store: ModelStore, original: StoredModel) -> None:
    while True:
        version = publish(store, original)
        store.set_alias("churn", "live", version, reason="", now=NOW)
        if version > 2:
            store.delete("churn", version - 1)


def main() -> None:
    store = ModelStore(Path(sys.argv[1]))
    original = store.load("churn", 1)
    for _ in range(int(sys.argv[2])):
        sys.stdout.write(f"{publish(store, original)}\n")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave no zombies
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            publish_and_promote_forever(store, original)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
