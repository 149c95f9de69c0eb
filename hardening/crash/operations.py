"""The paths on which a store is written, each from a store of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hardening.crash.states import State, observe
from hardening.crash.versions import NAME, NOW, publish
from service.store.aliases import MAX_REASON_LENGTH
from service.store.model_store import MOST_HISTORY_BYTES, ModelStore
from service.store.seed import seed
from service.store.signing_keys import PrivateKey, PublicKey

SHIPPED = "shipped"
# Four bytes each; so many characters less, and a line is shorter by more than its numbers may grow.
LONGEST, SPARE_BYTES = "\N{SLIGHTLY SMILING FACE}" * MAX_REASON_LENGTH, 16


def nothing(_: Path) -> None:
    """Leave the store as it is."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One write: what to do before it, the write itself, and whether its next call finishes what a killed one began."""

    name: str
    prepare: Callable[[Path], None]
    run: Callable[[Path], object]
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a reader may find: the state before the operation or the one after it, and nothing else."""

    before: State
    after: State

    @classmethod
    def of(cls, operation: Operation, prepared: Path, scratch: Path) -> Expectation:
        """By running the operation without a fault on ``scratch``, a copy of ``prepared``."""
        operation.run(scratch)
        return cls(observe(prepared), observe(scratch))


def three_versions(root: Path) -> None:
    """Three versions; ``live`` went from 1 to 2."""
    store = ModelStore(root)
    for number in (1, 2, 3):
        publish(store, number)
    for version in (1, 2):
        store.set_alias(NAME, "live", version, reason="", now=NOW)


def torn_history(root: Path) -> None:
    """Three versions, and half a line of a change that never took effect."""
    three_versions(root)
    with (root / NAME / "history.jsonl").open("ab") as file:
        file.write(b'{"alias":"live","version":3,')


def long_history(root: Path) -> None:
    """Three versions, and a history that a line with ``LONGEST`` makes too long."""
    three_versions(root)
    file = root / NAME / "history.jsonl"
    line = 0
    while (before := file.stat().st_size) + line + SPARE_BYTES <= MOST_HISTORY_BYTES:
        _set_alias(2, root, reason=LONGEST[SPARE_BYTES:])
        line = file.stat().st_size - before


def signing_key(number: int) -> PrivateKey:
    """A key of this number."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return PrivateKey(PublicKey(key.public_key().public_bytes_raw()), key)


def signed(root: Path) -> None:
    """Three versions, of which the second is signed."""
    three_versions(root)
    _sign(signing_key(1), root)


def shipped(root: Path) -> None:
    """Beside the store, which does not exist yet, the model that it is filled with."""
    store = ModelStore(root.with_name(SHIPPED))
    publish(store, 1)
    store.set_alias(NAME, "live", 1, reason="", now=NOW)


def _put(root: Path) -> None:
    publish(ModelStore(root), 4)


def _set_alias(version: int, root: Path, reason: str = "a reason") -> None:
    ModelStore(root).set_alias(NAME, "live", version, reason=reason, now=NOW)


def _delete(root: Path) -> None:
    ModelStore(root).delete(NAME, 1)


def _sign(key: PrivateKey, root: Path) -> None:
    ModelStore(root).sign(NAME, 2, key)


def _seed(root: Path) -> None:
    seed(root, root.with_name(SHIPPED))


OPERATIONS = (
    Operation("first publication", nothing, _put),
    Operation("publication", three_versions, _put),
    Operation("promotion", three_versions, partial(_set_alias, 3)),
    Operation("rollback", three_versions, partial(_set_alias, 1)),
    Operation("promotion after a torn line", torn_history, partial(_set_alias, 3)),
    Operation("promotion with a long history", long_history, partial(_set_alias, 3, reason=LONGEST)),
    Operation("deletion", three_versions, _delete),
    Operation("signing", three_versions, partial(_sign, signing_key(1))),
    Operation("signing again", signed, partial(_sign, signing_key(2))),
    Operation("seeding", shipped, _seed, resumes=True),
)
