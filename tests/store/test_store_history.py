"""A history that has become too long."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from stored import Put

from service.errors import AliasNotFound, CorruptVersion, VersionNotFound
from service.store import model_store
from service.store.local import LocalStore
from service.store.model_store import ModelStore

MOST = 3000


@pytest.fixture
def long_lived(store: ModelStore, put: Put, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """``beta`` went to 3 in the beginning; ``live`` has gone between 1 and 2 a hundred times since, now to 2."""
    monkeypatch.setattr(model_store, "MOST_HISTORY_BYTES", MOST)
    for _ in range(3):
        put()
    for version in (1, 3):
        store.set_alias("churn", "beta", version, reason="", now=now)
    for number in range(100):
        store.set_alias("churn", "live", 1 + number % 2, reason=f"move {number}", now=now)


def test_a_long_history_forgets_its_beginning(store: ModelStore, long_lived: None, tmp_path: Path) -> None:
    """What is left are the newest changes, without a gap up to the present; a rollback goes where it always did."""
    file = tmp_path / "store/churn/history.jsonl"

    past = store.history("churn")

    assert file.stat().st_size <= MOST
    assert json.loads(file.read_bytes().splitlines()[0]) == {"forgotten": past[0].serial - 1}
    assert [entry.serial for entry in past] == list(range(past[0].serial, 103))
    assert len(past) >= 5
    assert [entry.reason for entry in past] == [f"move {entry.serial - 3}" for entry in past]
    assert store.previous_version("churn", "live") == 1
    assert store.aliases("churn")["beta"].version == 3


def test_what_was_forgotten_is_named_by_hand(store: ModelStore, long_lived: None, now: datetime) -> None:
    """An alias whose changes are all forgotten: the rollback says so, and a version that is named goes on."""
    with pytest.raises(VersionNotFound, match="no longer tells where alias 'beta' pointed before") as caught:
        store.previous_version("churn", "beta")
    with pytest.raises(AliasNotFound):
        store.previous_version("churn", "gamma")

    assert caught.value.hint == "name the version that it is to point to"
    store.set_alias("churn", "beta", 1, reason="", now=now)
    assert store.previous_version("churn", "beta") == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"forgotten":', b'{"forgotten":1'),
        (b'{"forgotten":', b'{"forgot":'),
        (b'"reason":"move 97"', b'"reason":7'),
        (b'"version":2,"previous":1', b'"version":1,"previous":2'),
        (b'"alias":"live"', b'"alias":"dead"'),
    ],
)
def test_a_shortened_history_that_is_damaged_is_found(
    store: ModelStore, long_lived: None, tmp_path: Path, old: bytes, new: bytes
) -> None:
    """As with a whole one; the aliases go on, and nothing of it is thrown away."""
    file = tmp_path / "store/churn/history.jsonl"
    damaged = file.read_bytes().replace(old, new)
    assert damaged != file.read_bytes()
    file.write_bytes(damaged)

    with pytest.raises(CorruptVersion, match=r"history\.jsonl is damaged"):
        store.history("churn")

    assert store.aliases("churn")["live"].version == 2
    for number in range(40):
        store.set_alias("churn", "live", 1 + number % 2, reason="on", now=datetime.fromisoformat("2026-01-01T00:00Z"))
    assert file.read_bytes().startswith(damaged)


def test_a_crash_after_forgetting_leaves_the_state_before(
    store: ModelStore, long_lived: None, now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The history is short and has a line too many: readers see what was, and the next change goes on from there."""
    file = tmp_path / "store/churn/history.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(model_store, "MOST_HISTORY_BYTES", file.stat().st_size)
        patch.setattr(LocalStore, "replace_aliases", None)
        with pytest.raises(TypeError):
            store.set_alias("churn", "live", 3, reason="lost", now=now)

    past = store.history("churn")
    assert file.stat().st_size < MOST * 2 // 3
    assert (past[-1].serial, past[-1].version) == (102, 2)
    store.set_alias("churn", "live", 1, reason="next", now=now)
    assert [(entry.serial, entry.reason) for entry in store.history("churn")[-2:]] == [(102, "move 99"), (103, "next")]
