"""States of the store under a running service (S1 to S18), and at its start: one table."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from asking import GOOD, Client, MakeClient
from safetensors.numpy import load, save

from service.record import VersionDraft
from service.store.artifact import describe
from service.store.model_store import ModelStore
from service.store.sealed import _sealed

pytest_plugins = ("served",)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Damage: TypeAlias = Callable[[Path], object]
MANIFEST, PARAMETERS = "versions/2/manifest.json", "versions/2/parameters.safetensors"


def write(file: str, body: bytes) -> Damage:
    return lambda model: (model / file).write_bytes(body)


def change(file: str, edit: Callable[[bytes], bytes]) -> Damage:
    return lambda model: (model / file).write_bytes(edit((model / file).read_bytes()))


def flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def forge(**fields: Any) -> Damage:
    """Write other fields into the manifest, under a right checksum."""

    def edit(body: bytes) -> bytes:
        document = json.loads(body) | fields
        return _sealed({name: value for name, value in document.items() if name != "sha256"})

    return change(MANIFEST, edit)


def forge_numbers(**tensors: Any) -> Damage:
    """Write other tensors, and a manifest that vouches for them."""

    def damage(model: Path) -> None:
        body = save({**load((model / PARAMETERS).read_bytes()), **tensors})
        (model / PARAMETERS).write_bytes(body)
        forge(parameters=describe(body).model_dump())(model)

    return damage


def replace(make: Damage) -> Damage:
    """Put something else in place of the parameters."""

    def damage(model: Path) -> None:
        (model / PARAMETERS).unlink()
        make(model / PARAMETERS)

    return damage


def forge_alias(**fields: Any) -> Damage:
    """Write other fields into the entry of ``live``, under a right checksum."""

    def edit(body: bytes) -> bytes:
        document = json.loads(body)
        document["aliases"]["live"] |= fields
        del document["sha256"]
        return _sealed(document)

    return change("aliases.json", edit)


def forge_header(shape: list[int]) -> Damage:
    """Parameters whose header promises another shape than they have, and a manifest that vouches for them."""
    header = json.dumps({"coef": {"dtype": "F64", "shape": shape, "data_offsets": [0, 24]}}).encode()

    def damage(model: Path) -> None:
        body = len(header).to_bytes(8, "little") + header + bytes(24)
        (model / PARAMETERS).write_bytes(body)
        forge(parameters=describe(body).model_dump())(model)

    return damage


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("a device needs the permission to make one")


def link_outside(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def thousand_models(model: Path) -> None:
    for number in range(1000):
        (model.parent / f"m{number}/versions/1").mkdir(parents=True)


def link_version(model: Path) -> None:
    (model / "versions/2").rename(model / "elsewhere")
    (model / "versions/2").symlink_to(model / "elsewhere")


def foreign(model: Path) -> None:
    for name in ("007", "1.bak", "1~", "-1", "9" * 19, ".nfs0001", "lost+found"):
        (model / "versions" / name).mkdir()
    (model / "notes.txt").touch()
    (model.parent / "lost+found").mkdir()


def leftovers(model: Path) -> None:
    shutil.copytree(model / "versions/1", model / ".tmp/of-the-dead")
    (model / ".tmp/half").write_bytes(b"{")


# Version 2 was made live, and this was done to the store before anybody asked for it.
REFUSED: dict[str, Damage] = {
    "S1 half of the parameters": change(PARAMETERS, lambda body: body[: len(body) // 2]),
    "S1 no parameters": write(PARAMETERS, b""),
    "S1 a byte more": change(PARAMETERS, lambda body: body + b"\0"),
    "S2 a bit of the parameters": change(PARAMETERS, flip),
    "S2 a bit of the manifest": change(MANIFEST, flip),
    "S2 a bit of the aliases": change("aliases.json", flip),
    "S3 another SHA-256": forge(parameters={"size": 1, "sha256": "0" * 64}),
    "S3 a class more": forge(classes=["no", "yes", "perhaps"]),
    "S3 a class twice": forge(classes=["no", "no"]),
    "S3 another shape": forge_numbers(coef=np.ones((1, 2))),
    "S3 another dtype": forge_numbers(coef=np.ones((1, 3), np.float32)),
    "S3 another tensor": forge_numbers(extra=np.ones(1)),
    "S4 a size of 2^64": forge(parameters={"size": 2**64, "sha256": "0" * 64}),
    "S4 a negative size": forge(parameters={"size": -1, "sha256": "0" * 64}),
    "S4 a million brackets": write(MANIFEST, b"[" * 10**6),
    "S4 a key twice": write(MANIFEST, b'{"version": 2, "version": 2}'),
    "S4 NaN": write(MANIFEST, b'{"version": NaN}'),
    "S4 a gigabyte": lambda model: os.truncate(model / MANIFEST, 2**30),
    "S4 a shape of 2^64": forge_header([2**64, 3]),
    "S4 a shape of 7 TiB": forge_header([10**12, 3]),
    "S4 a negative shape": forge_header([-1, -3]),
    "S5 NaN": forge_numbers(intercept=np.array([np.nan])),
    "S5 infinity": forge_numbers(coef=np.full((1, 3), np.inf)),
    "S5 no column": forge_numbers(coef=np.ones((1, 0))),
    "S6 empty": write("aliases.json", b""),
    "S6 garbage": write("aliases.json", b"\xff\x00garbage"),
    "S6 a megabyte": write("aliases.json", b"x" * 2**20),
    "S6 a path": write("aliases.json", b"../../x\n"),
    "S6 a byte order mark": change("aliases.json", lambda body: b"\xef\xbb\xbf" + body),
    "S6 other line ends": change("aliases.json", lambda body: body.replace(b"\n", b"\r\n")),
    "S6 a version that is gone": lambda model: shutil.rmtree(model / "versions/2"),
    "S6 a version that never was": forge_alias(version=9),
    "S6 version 0": forge_alias(version=0),
    "S6 a version in words": forge_alias(version="2"),
    "S7 no aliases": lambda model: (model / "aliases.json").unlink(),
    "S7 no store": lambda model: shutil.rmtree(model.parent),
    "S8 of a newer release": forge(format_version=2),
    "S11 a link": replace(link_outside),
    "S11 a FIFO": replace(os.mkfifo),
    "S11 a device": replace(make_device),
    "S11 a directory": replace(Path.mkdir),
    "S11 a socket": replace(lambda path: os.mknod(path, 0o140600)),
    "S11 a link as version": link_version,
    "S21 contents that are not there yet": lambda model: (model / PARAMETERS).unlink(),
}
HARMLESS: dict[str, Damage] = {
    "S5 all zero": forge_numbers(coef=np.zeros((1, 3)), intercept=np.zeros(1)),
    "S9 leftovers": leftovers,
    "S10 foreign directories": foreign,
    "S11 a store that everybody may write": lambda model: model.parent.chmod(0o777),
    "S13 a thousand models": thousand_models,
    "S14 files of another year": lambda model: os.utime(model / MANIFEST, (0, 0)),
    "S18 the version before is gone": lambda model: shutil.rmtree(model / "versions/1"),
}
# Nothing can be asked of the other models where the whole store is gone.
WITHOUT_STORE = {"S7 no store"}


@pytest.fixture
def abc(store_copy: Path) -> Path:
    """The directory of the model abc with versions 1 (live) and 2, which differ in number alone."""
    store = ModelStore(store_copy)
    first = store.load("abc", 1)
    draft = VersionDraft(**{field: getattr(first.manifest, field) for field in VersionDraft.model_fields})
    store.put("abc", draft, first.model, now=NOW)
    return store_copy / "abc"


def promote(model: Path, damage: Damage) -> None:
    """Make version 2 live as another process would, and damage the store."""
    ModelStore(model.parent).set_alias("abc", "live", 2, reason="", now=NOW)
    damage(model)


def answering(client: Client) -> int:
    """The version that answers, after every page that must live lives."""
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200
    answer = client.post("/predict?model=abc", json=GOOD)
    assert answer.status_code == 200, answer.text
    client.check_alive()
    return int(answer.json()["version"])


@pytest.mark.parametrize("row", REFUSED)
def test_what_was_live_goes_on_answering(make_client: MakeClient, abc: Path, row: str) -> None:
    """A damaged version or alias file is refused, and the version in memory answers; the service stays ready."""
    client = make_client(abc.parent, default_model="abc")
    assert answering(client) == 1

    promote(abc, REFUSED[row])

    assert [answering(client) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("row", REFUSED)
def test_a_start_on_a_damaged_store_says_what_is_wrong(make_client: MakeClient, abc: Path, row: str) -> None:
    """With nothing in memory the model is not live, which is 503 with a reason; no older version is put in its place."""
    promote(abc, REFUSED[row])

    client = make_client(abc.parent, default_model="abc")

    assert client.get("/livez").status_code == 200
    client.check_problem(client.post("/predict", json=GOOD), 503, "no-live-model")
    assert client.get("/readyz").status_code == 503
    if row not in WITHOUT_STORE:
        iris = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
        assert client.post("/predict?model=iris", json=iris).status_code == 200
        assert client.get("/models").status_code == 200


@pytest.mark.parametrize("row", HARMLESS)
def test_what_is_harmless_changes_nothing(make_client: MakeClient, abc: Path, row: str) -> None:
    """The promoted version answers, from memory or from a start, whatever else lies about in the store."""
    warm = make_client(abc.parent, default_model="abc")
    assert answering(warm) == 1

    promote(abc, HARMLESS[row])

    assert answering(warm) == 2
    assert answering(make_client(abc.parent, default_model="abc")) == 2


@pytest.mark.parametrize("gone", ["aliases.json", "versions", "."])
def test_a_store_that_comes_back_is_followed_again(
    make_client: MakeClient, abc: Path, tmp_path: Path, gone: str
) -> None:
    """S12, E12: while a part of the store is away the version in memory answers; put back, it is used as before."""
    client = make_client(abc.parent, default_model="abc")
    assert answering(client) == 1

    (abc / gone).resolve().rename(tmp_path / "away")
    during = answering(client)
    (tmp_path / "away").rename((abc / gone).resolve() if gone != "." else abc)

    assert (during, answering(client)) == (1, 1)
    promote(abc, lambda _: None)
    assert answering(client) == 2


def test_a_file_in_place_of_the_store_is_no_model(make_client: MakeClient, tmp_path: Path) -> None:
    """S7: the service lives, is not ready, says that the store is unavailable, and serves once there is one."""
    (tmp_path / "store").write_text("")
    client = make_client(tmp_path / "store", default_model="abc")

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    for path in ("/predict", "/predict_proba"):
        assert client.post(path, json=GOOD).status_code == 503
    assert client.get("/models").status_code == 503


def test_a_lower_version_and_the_same_again(make_client: MakeClient, abc: Path) -> None:
    """S15: a rollback and a repeated activation are followed by the next request, and are in the history."""
    client = make_client(abc.parent, default_model="abc")
    seen = []

    for version in (2, 1, 1, 2, 2):
        moved = client.put("/models/abc/aliases/live", json={"version": version})
        assert moved.status_code == 200
        seen.append(answering(client))

    assert seen == [2, 1, 1, 2, 2]
    assert [entry["version"] for entry in client.get("/models/abc").json()["history"]] == [1, *seen]
