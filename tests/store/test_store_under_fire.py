"""The rows of the design's table of store states (S1 to S22) that need no service, and the fault injection's sample."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from stored import Put

from service.errors import CorruptVersion, Integrity, StoreUnavailable
from service.store.aliases import AliasBook
from service.store.model_store import ModelStore
from service.store.sealed import _sealed, unseal
from service.store.seed import MARKER, SCRATCH, seed

PROJECT = Path(__file__).parents[2]
# S19 and S20 are about object storage, which there is not.
ROWS = [f"S{row}" for row in (*range(1, 19), 21, 22)]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_test(row: str) -> None:
    """Each store state of the design's table is named by a test that tries it."""
    tests = [path.read_text() for path in (PROJECT / "tests").rglob("test_*.py") if path != Path(__file__)]
    here = Path(__file__).read_text().partition("def test_every_row_has_a_test")[2]

    assert any(re.search(rf"\b{row}\b", text) for text in [*tests, here])


def test_a_sample_of_faults_and_kills_breaks_no_promise(tmp_path: Path) -> None:
    """S22: a few of the faults and kills of ``make crash``, which does them all."""
    done = subprocess.run(
        [sys.executable, "-m", "hardening.crash", "--tiny", "--folder", tmp_path],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "kills: 10 (" in done.stdout
    if "skipped" in done.stdout:
        pytest.skip("strace is missing or not permitted: only the kills were tried")


@pytest.mark.parametrize("around", ["[{}]", '{{"a":{}}}'])
def test_no_depth_of_nesting_escapes_as_another_error(around: str) -> None:
    """S4: whether reading or writing it back runs out of stack first, a nested document is corrupt."""
    opened, closed = around.split("{}")
    opened, closed = opened.replace("{{", "{"), closed.replace("}}", "}")

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 120)  # so that few levels are too many
    try:
        for depth in range(130):
            body = ('{"a":' + opened * depth + "1" + closed * depth + "}").encode()
            with pytest.raises(CorruptVersion):
                unseal(AliasBook, body, where="aliases.json")
    finally:
        sys.setrecursionlimit(limit)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value within a JSON document, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


NASTY = [None, True, -1, 2**64, 10**30, 1e308, "", "x", [], ["a", "a"], {}, {"a": 1}]


def test_a_forged_manifest_is_refused_or_a_manifest(store: ModelStore, put: Put, churn: Path) -> None:
    """S3: with any value at any place under a right checksum the version loads or is refused, and nothing else happens."""
    put()
    path = churn / "versions/1/manifest.json"
    text = path.read_text()
    loaded = 0

    for place in places(json.loads(text))[1:]:
        for value in NASTY:
            document = json.loads(text)
            del document["sha256"]
            inside = document
            for key in place[:-1]:
                inside = inside[key]
            inside[place[-1]] = value
            path.write_bytes(_sealed(document))
            try:
                store.load("churn", 1)
                loaded += 1
            except Integrity:
                pass

    assert loaded > 0


@pytest.mark.parametrize("classes", [["a", "a"], [True, "yes"], [True, 1], [0, "0"], ["only"], []], ids=str)
def test_classes_that_could_not_be_told_apart_are_refused(
    store: ModelStore, put: Put, churn: Path, classes: list[object]
) -> None:
    """S3: a forged manifest whose classes repeat, are of two types, or are too few, is corrupt."""
    put()
    path = churn / "versions/1/manifest.json"
    document = json.loads(path.read_text()) | {"classes": classes}
    del document["sha256"]

    path.write_bytes(_sealed(document))

    with pytest.raises(CorruptVersion, match="classes"):
        store.load("churn", 1)


def test_ten_thousand_versions_cost_one_listing(
    store: ModelStore, put: Put, churn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S13: a listing reads the one directory, and what is asked before each answer, the stamp, none."""
    put()
    for version in range(2, 10_001):
        (churn / "versions" / str(version)).mkdir()
    scanned: list[object] = []
    scandir = os.scandir

    def counting(path: Path) -> object:
        scanned.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)

    assert store.versions("churn") == list(range(1, 10_001))
    assert scanned == [churn / "versions"]
    store.stamp("churn")
    assert len(scanned) == 1


@pytest.mark.parametrize("kind", ["symlink", "directory"])
@pytest.mark.parametrize("file", [".lock", "history.jsonl"])
def test_a_foreign_lock_or_history_stops_writers_only(
    store: ModelStore, put: Put, churn: Path, tmp_path: Path, file: str, kind: str
) -> None:
    """S11: what stands in place of the lock or the history is not followed; versions are read and published."""
    put()
    now = store.manifest("churn", 1).created_at
    if kind == "symlink":
        (churn / file).symlink_to(tmp_path / "outside")
    else:
        (churn / file).mkdir()

    with pytest.raises(StoreUnavailable):
        store.set_alias("churn", "live", 1, reason="", now=now)

    assert not (tmp_path / "outside").exists()
    assert store.verify("churn", 1).version == 1
    assert put().version == 2


def test_a_killed_seeding_is_finished_by_the_next(put: Put, tmp_path: Path) -> None:
    """S9: of two models one was copied when the process died: the next start copies the other and clears up."""
    put("first")
    put("second")
    root = tmp_path / "filled"
    assert seed(root, tmp_path / "store") == ["first", "second"]
    (root / "second").rename(root / f"{SCRATCH}of-the-dead")
    (root / MARKER).touch()

    copied = seed(root, tmp_path / "store")

    assert copied == ["second"]
    assert sorted(path.name for path in root.iterdir()) == ["first", "second"]
    assert seed(root, tmp_path / "store") == []
