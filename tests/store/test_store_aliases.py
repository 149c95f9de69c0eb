from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from stored import Put

from service.errors import (
    AliasNotFound,
    CorruptVersion,
    Integrity,
    InvalidName,
    InvalidParameter,
    ModelNotFound,
    NewerFormat,
    PreconditionFailed,
    VersionNotFound,
)
from service.store import aliases
from service.store.aliases import AliasEntry
from service.store.model_store import ModelStore


@pytest.fixture
def three(put: Put) -> None:
    """Three versions of ``churn``, without an alias."""
    for _ in range(3):
        put()


@pytest.fixture
def moved(store: ModelStore, three: None, now: datetime) -> None:
    """``live`` went from version 1 to 2, and ``beta`` to 3 in between."""
    for alias, version in (("live", 1), ("beta", 3), ("live", 2)):
        store.set_alias("churn", alias, version, reason=f"{alias} to {version}", now=now)


def test_an_alias_says_where_since_when_and_why(store: ModelStore, three: None, now: datetime) -> None:
    """Setting an alias returns what reading it gives."""
    entry = store.set_alias("churn", "live", 2, reason="größere Stichprobe", now=now)

    assert entry == AliasEntry(version=2, serial=1, reason="größere Stichprobe", since=now)
    assert store.aliases("churn") == {"live": entry}


def test_a_model_without_aliases_has_none(store: ModelStore, three: None) -> None:
    """Versions alone make a model; no alias points anywhere until somebody promotes."""
    assert store.aliases("churn") == {}
    assert store.history("churn") == []
    assert store.stamp("churn") is None


def test_an_unknown_model_has_no_aliases(store: ModelStore, three: None, now: datetime, tmp_path: Path) -> None:
    """Reading or setting the alias of an unknown model fails and creates nothing."""
    for attempt in (store.aliases, store.history):
        with pytest.raises(ModelNotFound):
            attempt("wine")
    with pytest.raises(ModelNotFound):
        store.set_alias("wine", "live", 1, reason="", now=now)

    assert not (tmp_path / "store/wine").exists()


def test_serials_count_the_changes_of_all_aliases(store: ModelStore, moved: None) -> None:
    """Each change of any alias gets the next serial, which stays with the alias until its own next change."""
    aliases = store.aliases("churn")

    assert {alias: entry.serial for alias, entry in aliases.items()} == {"beta": 2, "live": 3}


def test_the_history_tells_every_change_in_order(store: ModelStore, moved: None) -> None:
    """The oldest change comes first, each with what the alias pointed to before."""
    changes = [(entry.serial, entry.alias, entry.previous, entry.version) for entry in store.history("churn")]

    assert changes == [(1, "live", None, 1), (2, "beta", None, 3), (3, "live", 1, 2)]


def test_the_same_version_can_be_set_again(store: ModelStore, moved: None, now: datetime) -> None:
    """S15: a repeated promotion is recorded like another, and is not what a rollback returns to."""
    later = now + timedelta(hours=1)

    entry = store.set_alias("churn", "live", 2, reason="again", now=later)

    assert (entry.serial, entry.since) == (4, later)
    assert store.history("churn")[-1].previous == 2
    assert store.previous_version("churn", "live") == 1


def test_a_rollback_returns_to_the_version_before(store: ModelStore, moved: None, now: datetime) -> None:
    """S15: a lower version is promoted like a higher one; rolling back twice is where one began."""
    before = store.previous_version("churn", "live")
    store.set_alias("churn", "live", before, reason="rollback", now=now)

    assert store.aliases("churn")["live"].version == before == 1
    assert store.previous_version("churn", "live") == 2


def test_there_is_not_always_a_way_back(store: ModelStore, moved: None) -> None:
    """An alias that never moved has no previous version, and an unknown alias has nothing."""
    with pytest.raises(VersionNotFound, match="never pointed to another version than 3"):
        store.previous_version("churn", "beta")
    with pytest.raises(AliasNotFound):
        store.previous_version("churn", "gamma")


def test_a_change_with_a_stale_serial_is_refused(store: ModelStore, moved: None, now: datetime) -> None:
    """S17: whoever read ``live`` at serial 1 may not change it at serial 3; the others may."""
    with pytest.raises(PreconditionFailed):
        store.set_alias("churn", "live", 3, reason="", now=now, expected_serial=1)

    assert store.aliases("churn")["live"].version == 2
    assert store.set_alias("churn", "live", 3, reason="", now=now, expected_serial=3).serial == 4


def test_serial_zero_means_that_the_alias_is_new(store: ModelStore, three: None, now: datetime) -> None:
    """With expected serial 0 the first of two writers wins."""
    store.set_alias("churn", "live", 1, reason="", now=now, expected_serial=0)

    with pytest.raises(PreconditionFailed):
        store.set_alias("churn", "live", 2, reason="", now=now, expected_serial=0)


def test_only_a_version_that_loads_is_promoted(store: ModelStore, moved: None, churn: Path, now: datetime) -> None:
    """A missing or damaged version leaves the alias and the history where they were."""
    history = store.history("churn")
    (churn / "versions/3/parameters.safetensors").write_bytes(b"")

    with pytest.raises(CorruptVersion):
        store.set_alias("churn", "live", 3, reason="", now=now)
    with pytest.raises(VersionNotFound):
        store.set_alias("churn", "live", 4, reason="", now=now)

    assert store.aliases("churn")["live"].version == 2
    assert store.history("churn") == history


def test_a_bad_alias_or_reason_is_refused(store: ModelStore, three: None, now: datetime) -> None:
    """An alias is a name that is not a number, and a reason is not a novel."""
    with pytest.raises(InvalidName):
        store.set_alias("churn", "3", 1, reason="", now=now)
    with pytest.raises(InvalidParameter):
        store.set_alias("churn", "live", 1, reason="x" * 1001, now=now)


def test_any_text_can_be_a_reason(store: ModelStore, three: None, now: datetime) -> None:
    """Newlines, quotes, separators and undecodable bytes do not break the history apart."""
    store.set_alias("churn", "live", 1, reason='a\nb\r\n"c"\u2028d\udce9', now=now)
    store.set_alias("churn", "live", 2, reason="", now=now)

    assert [entry.reason for entry in store.history("churn")] == ['a\nb\r\n"c"\u2028d?', ""]


def test_the_stamp_never_comes_again(store: ModelStore, churn: Path, three: None, now: datetime) -> None:
    """Each alias file is later than the one before, even when the clock of the disk was set back by a day."""
    store.set_alias("churn", "live", 1, reason="", now=now)
    tomorrow = time.time_ns() + 86_400 * 10**9
    os.utime(churn / "aliases.json", ns=(tomorrow, tomorrow))

    times = [tomorrow]
    for version in (2, 1, 2, 1):
        store.set_alias("churn", "live", version, reason="", now=now)
        times.append((churn / "aliases.json").stat().st_mtime_ns)

    assert times == sorted(set(times))


def test_the_stamp_changes_with_every_change(store: ModelStore, three: None, now: datetime) -> None:
    """Any change of an alias gives another stamp, the same version set again included; a publication gives none."""
    stamps = []
    for version in (1, 2, 2, 1):
        store.set_alias("churn", "live", version, reason="", now=now)
        stamps.append(store.stamp("churn"))

    assert len(set(stamps)) == 4


@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", b"../../x", b"2\n", b"\xef\xbb\xbf{}", b"{}", b"x" * 2**20, b'{"format_version":1,"serial":1}'],
    ids=lambda body: ascii(body[:20]),
)
def test_a_damaged_alias_file_is_corrupt(
    store: ModelStore, moved: None, churn: Path, body: bytes, now: datetime
) -> None:
    """S6: nothing is guessed from a damaged alias file, and nothing is written over it; versions still load."""
    (churn / "aliases.json").write_bytes(body)

    for attempt in (store.aliases, store.history):
        with pytest.raises(CorruptVersion, match=r"^churn/aliases\.json "):
            attempt("churn")
    with pytest.raises(CorruptVersion):
        store.set_alias("churn", "live", 1, reason="", now=now)
    with pytest.raises(CorruptVersion):
        store.delete("churn", 1)
    assert (churn / "aliases.json").read_bytes() == body
    assert store.verify("churn", 2).version == 2


def test_any_changed_bit_of_the_alias_file_is_refused(store: ModelStore, moved: None, churn: Path) -> None:
    """S2: an alias that a bad disk points to another version is noticed; so is a changed line end."""
    path = churn / "aliases.json"
    body = path.read_bytes()
    variants = [body.replace(b"\n", b"\r\n"), body.rstrip()]
    variants += [body[:i] + bytes([body[i] ^ 1 << i % 8]) + body[i + 1 :] for i in range(len(body))]

    for variant in variants:
        path.write_bytes(variant)
        with pytest.raises(Integrity):
            store.aliases("churn")


def test_an_alias_file_of_a_newer_release_says_so(store: ModelStore, moved: None, churn: Path) -> None:
    """A newer format asks for an upgrade instead of being called damaged."""
    document = json.loads((churn / "aliases.json").read_bytes()) | {"format_version": 2}
    (churn / "aliases.json").write_text(json.dumps(document))

    with pytest.raises(NewerFormat):
        store.aliases("churn")


def test_a_model_recovers_when_its_alias_file_is_removed(
    store: ModelStore, moved: None, churn: Path, now: datetime
) -> None:
    """Deleting a damaged alias file and promoting again is the way out: serials begin anew."""
    (churn / "aliases.json").unlink()
    assert store.aliases("churn") == {}

    store.set_alias("churn", "live", 3, reason="repair", now=now)

    assert [(entry.serial, entry.version) for entry in store.history("churn")] == [(1, 3)]


def test_a_torn_last_line_is_not_history(store: ModelStore, moved: None, churn: Path, now: datetime) -> None:
    """A line cut off at any length did not take effect: it is left out, and the next change replaces it."""
    path = churn / "history.jsonl"
    whole, history = path.read_bytes(), store.history("churn")
    line = whole.splitlines(keepends=True)[-1].replace(b'"serial":3', b'"serial":4')

    for length in range(len(line) + 1):
        path.write_bytes(whole + line[:length])
        assert store.history("churn") == history

    path.write_bytes(whole + line[:20])
    store.set_alias("churn", "live", 3, reason="after the crash", now=now)
    assert [entry.version for entry in store.history("churn")] == [1, 3, 2, 3]
    assert path.read_bytes().startswith(whole + b'{"alias":"live","version":3')


def test_a_change_that_stopped_before_its_alias_moved_is_not_history(
    store: ModelStore, moved: None, churn: Path, now: datetime
) -> None:
    """A crash between the two writes leaves a line of the next serial; the change that takes it counts instead."""
    path = churn / "history.jsonl"
    before = (churn / "aliases.json").read_bytes()
    store.set_alias("churn", "live", 1, reason="lost", now=now)
    (churn / "aliases.json").write_bytes(before)

    assert [entry.reason for entry in store.history("churn")][-1] == "live to 2"
    store.set_alias("churn", "live", 3, reason="kept", now=now)
    assert [entry.reason for entry in store.history("churn")][-1] == "kept"
    assert path.read_bytes().count(b'"serial":4') == 2


@pytest.mark.parametrize("damage", ["missing", "a line less", "another version", "garbage", "link"])
def test_a_history_that_does_not_lead_to_the_aliases_is_corrupt(
    store: ModelStore, moved: None, churn: Path, tmp_path: Path, damage: str
) -> None:
    """A rollback never follows a damaged history; the aliases themselves are still read."""
    path = churn / "history.jsonl"
    body = path.read_bytes()
    path.unlink()
    if damage == "a line less":
        path.write_bytes(b"".join(body.splitlines(keepends=True)[1:]))
    elif damage == "another version":
        path.write_bytes(body.replace(b'"version":1', b'"version":3', 1))
    elif damage == "garbage":
        path.write_bytes(b"\xff\x00" * 1000)
    elif damage == "link":
        (tmp_path / "outside").write_bytes(body)
        path.symlink_to(tmp_path / "outside")

    with pytest.raises(CorruptVersion, match=r"^churn/history\.jsonl "):
        store.previous_version("churn", "live")
    assert store.aliases("churn")["live"].version == 2


def test_a_model_has_a_bounded_number_of_aliases(
    store: ModelStore, put: Put, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alias beyond the bound is refused, since all versions behind them are in memory; known ones still move."""
    monkeypatch.setattr(aliases, "MAX_ALIASES", 2)
    put()
    for alias in ("live", "champion"):
        store.set_alias("churn", alias, 1, reason="", now=now)

    with pytest.raises(InvalidParameter, match="at most 2 aliases"):
        store.set_alias("churn", "third", 1, reason="", now=now)

    assert store.aliases("churn").keys() == {"live", "champion"}
    assert store.set_alias("churn", "champion", 1, reason="again", now=now).serial == 3
