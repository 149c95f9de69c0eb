"""The key file: what it may hold, how it changes, and how a ring of keys follows it."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
from pathlib import Path

import pytest
from clock import Clock
from keys_on_disk import NOW, KeysOnDisk

from service.errors import InvalidParameter, InvalidSettings, KeyNotFound
from service.web.keys.key_file import Scope, add_key, parse, read_keys, revoke_key
from service.web.keys.key_ring import KeyRing, Keys

DIGEST, OTHER, TIME = "a" * 64, "b" * 64, "2026-01-31T12:00:00Z"


@pytest.fixture
def keys(tmp_path: Path) -> KeysOnDisk:
    """A key file, and a key of each scope."""
    return KeysOnDisk.made_in(tmp_path)


def test_a_file_is_read() -> None:
    """One line a key, comments and blank lines between, any line ends and spaces."""
    body = f"# note\r\n\n  predict {DIGEST} a {TIME}\r\n#\nadmin\t{OTHER} b {TIME}".encode()

    assert [(key.scope, key.name) for key in parse(body)] == [("predict", "a"), ("admin", "b")]


@pytest.mark.parametrize(
    "lines",
    [
        f"predict {DIGEST} a",
        f"predict {DIGEST} a {TIME} more",
        f"write {DIGEST} a {TIME}",
        f"predict {DIGEST[1:]} a {TIME}",
        f"predict {DIGEST.upper()} a {TIME}",
        f"predict lgt_{DIGEST[:43]} a {TIME}",
        f"predict {DIGEST} a/b {TIME}",
        f"predict {DIGEST} a today",
        f"predict {DIGEST} a {TIME}\ntrain {DIGEST} b {TIME}",
        f"predict {DIGEST} a {TIME}\ntrain {OTHER} a {TIME}",
        "\0",
        "\xe9",
    ],
)
def test_a_damaged_file_is_refused_without_being_quoted(lines: str) -> None:
    """E6: a line that is wrong, one key for two scopes, or one name for two keys; the message has no word of the file."""
    with pytest.raises(InvalidSettings) as refused:
        parse(f"# first\n{lines}\n".encode("latin-1"))

    assert not [word for word in lines.split() if len(word) > 8 and word in refused.value.detail]


@pytest.mark.parametrize("kind", ["directory", "pipe", "long", "device"])
def test_what_is_no_key_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A directory, a pipe without a writer, an endless device and a file of megabytes are not read."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "keys"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "long":
        path.write_bytes(b"#" * (1 << 21))

    with pytest.raises(InvalidSettings):
        read_keys(path)


def test_a_new_file_is_private_and_holds_no_key(tmp_path: Path) -> None:
    """Mode 600 whatever the umask is; the key is 256 random bits after its prefix, and only its digest is stored."""
    path = tmp_path / "keys"

    text, key = add_key(path, Scope.TRAIN, None, NOW)

    assert len(text) == 47
    assert text.startswith("lgt_")
    assert text not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keys(path) == (key,)
    assert Keys(read_keys(path)).find(text) == key
    assert [*tmp_path.iterdir()] == [path]


def test_changes_leave_all_else_as_it_is(tmp_path: Path) -> None:
    """Comments, the other keys, the mode and a link to the file stay; a missing line end is no trap."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(f"# mine\npredict {DIGEST} a {TIME}")
    real.chmod(0o640)
    link.symlink_to(real)

    names = [add_key(link, Scope.PREDICT, None, NOW)[1].name for _ in range(2)]
    revoke_key(link, "a")
    revoke_key(link, "predict-1")

    assert names == ["predict-1", "predict-2"]
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert [key.name for key in read_keys(real)] == ["predict-2"]
    assert real.read_text().startswith("# mine\n")


def test_names_are_checked(keys: KeysOnDisk) -> None:
    """A name that is taken, one that cannot be one, and one that is not there change nothing."""
    before = keys.path.read_bytes()

    for name in ("train", "a b", "", "a\n"):
        with pytest.raises(InvalidParameter):
            add_key(keys.path, Scope.TRAIN, name, NOW)
    with pytest.raises(KeyNotFound):
        revoke_key(keys.path, "nobody")

    assert keys.path.read_bytes() == before


def test_a_damaged_file_is_not_written(tmp_path: Path) -> None:
    """What cannot be read is not replaced."""
    (tmp_path / "keys").write_text("predict\n")

    with pytest.raises(InvalidSettings):
        add_key(tmp_path / "keys", Scope.TRAIN, None, NOW)

    assert (tmp_path / "keys").read_text() == "predict\n"


def test_keys_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    """Four processes that add ten keys each lose none."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_ten, args=(tmp_path / "keys",)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(read_keys(tmp_path / "keys")) == 40


def add_ten(path: Path) -> None:
    for _ in range(10):
        add_key(path, Scope.PREDICT, None, NOW)


def test_short_keys_are_never_known(tmp_path: Path) -> None:
    """E6: whoever hashes a key of their own cannot use one of fewer than 32 characters, or with spaces."""
    lines = []
    texts = ["k" * 31, "k" * 32, "k k" * 16]
    for number, text in enumerate(texts):
        digest = hashlib.sha256(text.encode()).hexdigest()
        lines.append(f"predict {digest} key-{number} {TIME}")
    (tmp_path / "keys").write_text("\n".join(lines))

    found = Keys(read_keys(tmp_path / "keys"))

    assert [found.find(text) is not None for text in texts] == [False, True, False]


def test_the_ring_follows_its_file_within_a_second(keys: KeysOnDisk) -> None:
    """The file is looked at once a second: a key that was revoked counts no longer than that."""
    clock = Clock(0.0)
    ring = KeyRing(keys.path, clock=clock)
    text = keys.by_scope["train"]
    assert ring.current().find(text) is not None

    revoke_key(keys.path, "train")
    clock.now = 0.9
    assert ring.current().find(text) is not None
    clock.now = 1.1

    assert ring.current().find(text) is None
    assert ring.current().find(keys.by_scope["predict"]) is not None


def test_a_damaged_new_file_changes_nothing_but_the_log(keys: KeysOnDisk, caplog: pytest.LogCaptureFixture) -> None:
    """Keys stay while the file is damaged or gone, told in one line each; once it is whole again it counts again."""
    clock = Clock(0.0)
    ring = KeyRing(keys.path, clock=clock)
    text, good = keys.by_scope["admin"], keys.path.read_bytes()

    with caplog.at_level(logging.WARNING):
        keys.path.write_bytes(b"damaged\n")
        for clock.now in (2.0, 4.0, 6.0):
            assert ring.current().find(text) is not None
        keys.path.unlink()
        for clock.now in (8.0, 10.0):
            assert ring.current().find(text) is not None
    assert len(caplog.records) == 2

    keys.path.write_bytes(b"".join(line for line in good.splitlines(keepends=True) if b"admin" not in line))
    clock.now = 12.0
    assert ring.current().find(text) is None


def test_revoking_the_last_key_leaves_none(keys: KeysOnDisk) -> None:
    """A file that is whole and holds no key is no damage: nobody comes in."""
    clock = Clock(0.0)
    ring = KeyRing(keys.path, clock=clock)

    for name in Scope:
        revoke_key(keys.path, name)
    clock.now = 2.0

    assert [ring.current().find(text) for text in keys.by_scope.values()] == [None] * 3
