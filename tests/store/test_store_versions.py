from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from stored import MakeDraft, MakeModel, Put

from service.errors import CorruptVersion, InvalidInput, ModelNotFound, StoreUnavailable, VersionInUse, VersionNotFound
from service.store.files import MAX_DOCUMENT_BYTES
from service.store.local import LocalStore
from service.store.model_store import ModelStore
from service.tabular.schema import CategoricalFeature, Schema
from service.tabular.table import Table

MANIFEST = "versions/1/manifest.json"
PARAMETERS = "versions/1/parameters.safetensors"


def test_a_published_version_answers_as_the_model_did(
    store: ModelStore, make_model: MakeModel, make_draft: MakeDraft, now: datetime
) -> None:
    """What is loaded gives the same probabilities, and its manifest is the one that ``put`` returned."""
    model = make_model((True, False))
    table = Table(("âge (années)", "island"), (np.array([30.0]), np.array(["Dream"], dtype=object)), 1)

    manifest = store.put("churn", make_draft(model), model, now=now)

    stored = store.load("churn", manifest.version)
    assert stored.manifest == manifest == store.manifest("churn", 1) == store.verify("churn", 1)
    assert stored.model.probabilities(table).tolist() == model.probabilities(table).tolist()
    assert (manifest.name, manifest.version, manifest.created_at) == ("churn", 1, now)


def test_a_version_is_two_files_and_nothing_else_stays(put: Put, churn: Path) -> None:
    """After a publication there are manifest and parameters, and nothing temporary."""
    put()

    assert sorted(path.name for path in (churn / "versions/1").iterdir()) == ["manifest.json", "parameters.safetensors"]
    assert list((churn / ".tmp").iterdir()) == []


def test_a_store_that_does_not_exist_is_empty(store: ModelStore, tmp_path: Path) -> None:
    """S7: reading a missing store finds nothing and creates nothing."""
    assert store.names() == []
    assert store.stamp("churn") is None
    assert store.is_writable()
    with pytest.raises(ModelNotFound):
        store.load("churn", 1)
    assert not (tmp_path / "store").exists()


def test_a_store_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    """S7: a file in place of the directory is a fault of the installation, not an empty store."""
    path = tmp_path / "file"
    path.write_text("")
    store = ModelStore(path)

    with pytest.raises(StoreUnavailable, match="Not a directory"):
        store.names()
    assert not store.is_writable()


def test_an_unknown_model_gets_the_nearest_name(store: ModelStore, put: Put) -> None:
    """A misspelt name is answered with the name that was meant."""
    put()

    with pytest.raises(ModelNotFound) as caught:
        store.versions("chrun")

    assert caught.value.hint == "did you mean 'churn'?"


@pytest.mark.parametrize("version", [-1, 0, 2, 10**9, 10**5000], ids=["-1", "0", "2", "10^9", "10^5000"])
def test_an_unknown_version_is_not_found(store: ModelStore, put: Put, churn: Path, version: int) -> None:
    """Any other number is not found, also where a directory happens to be called so."""
    put()
    shutil.copytree(churn / "versions/1", churn / "versions/-1")

    with pytest.raises(VersionNotFound, match="its latest is 1"):
        store.load("churn", version)


def test_versions_are_numbered_without_regard_to_the_clock(store: ModelStore, put: Put, now: datetime) -> None:
    """S14: a clock that jumps back a day and on ten years changes ``created_at`` and nothing else."""
    moments = [now, now - timedelta(days=1), now + timedelta(days=3650)]

    numbers = [put(at=moment).version for moment in moments]

    assert numbers == store.versions("churn") == [1, 2, 3]
    assert [store.manifest("churn", version).created_at for version in numbers] == moments


def test_models_are_listed_in_order_and_apart(store: ModelStore, put: Put, tmp_path: Path) -> None:
    """Each model has its own numbers; a directory without versions is no model."""
    for name in ("wine", "churn", "wine"):
        put(name)
    (tmp_path / "store/empty/versions").mkdir(parents=True)
    (tmp_path / "store/lost+found").mkdir()
    (tmp_path / "store/notes.txt").write_text("")

    assert store.names() == ["churn", "wine"]
    assert store.versions("wine") == [1, 2]


def test_foreign_directories_are_no_versions(store: ModelStore, put: Put, churn: Path) -> None:
    """S10: backups, other spellings of numbers, and files and links that look like versions are passed over."""
    put()
    for name in ("007", "1.bak", "1~", "-1", "0", "9" * 19, ".nfs0001", "lost+found"):
        (churn / "versions" / name).mkdir()
    (churn / "versions/5").write_text("")
    (churn / "versions/6").symlink_to(churn / "versions/1")

    assert store.versions("churn") == [1]
    assert put().version == 7


def test_a_model_is_not_published_under_another_ones_draft(
    store: ModelStore, make_model: MakeModel, make_draft: MakeDraft, now: datetime
) -> None:
    """Classes 0 and 1 are not False and True: the draft must describe the model that it comes with."""
    draft = make_draft(make_model((False, True)))

    with pytest.raises(InvalidInput, match="differ"):
        store.put("churn", draft, make_model((0, 1)), now=now)

    assert store.names() == []


def test_a_model_with_nan_is_not_published(
    store: ModelStore, make_model: MakeModel, make_draft: MakeDraft, now: datetime
) -> None:
    """NaN parameters never reach the disk."""
    model = replace(make_model(), intercept=np.array([np.nan]))

    with pytest.raises(InvalidInput, match="not finite"):
        store.put("churn", make_draft(model), model, now=now)

    assert store.names() == []


def test_a_manifest_that_could_not_be_read_is_not_published(
    store: ModelStore, make_model: MakeModel, make_draft: MakeDraft, now: datetime
) -> None:
    """T15: categories of more text than a manifest may have are refused before anything is written."""
    model = make_model()
    texts = CategoricalFeature(name="text", categories=("x" * MAX_DOCUMENT_BYTES, "y"), frequencies=(0.5, 0.5))
    model = replace(model, schema=Schema(features=(model.schema.features[0], texts)))

    with pytest.raises(InvalidInput, match="16 MiB of text"):
        store.put("churn", make_draft(model), model, now=now)

    assert store.names() == []


@pytest.mark.parametrize("file", [MANIFEST, PARAMETERS])
@pytest.mark.parametrize("kind", ["missing", "symlink", "fifo", "directory", "socket", "empty", "longer"])
def test_only_ordinary_files_of_the_right_size_are_read(
    store: ModelStore, put: Put, churn: Path, tmp_path: Path, file: str, kind: str
) -> None:
    """S11: whatever stands in place of a file is refused without waiting, and the message names the file."""
    put()
    path = churn / file
    body = path.read_bytes()
    path.unlink()
    if kind == "symlink":
        (tmp_path / "outside").write_bytes(body)
        path.symlink_to(tmp_path / "outside")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, 0o140600)
    elif kind in {"empty", "longer"}:
        path.write_bytes(body + b" " if kind == "longer" else b"")

    with pytest.raises(CorruptVersion, match=f"^churn/{file} "):
        store.load("churn", 1)


@pytest.mark.parametrize("level", ["store/churn", "store/churn/versions", "store/churn/versions/1"])
def test_links_out_of_the_store_are_not_followed(store: ModelStore, put: Put, tmp_path: Path, level: str) -> None:
    """S11: a model or version that is a symbolic link is not there, and nothing is published through one."""
    put()
    (tmp_path / level).rename(tmp_path / "elsewhere")
    (tmp_path / level).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ModelNotFound):
        store.load("churn", 1)
    if not level.endswith("1"):
        with pytest.raises(StoreUnavailable):
            put()


def test_the_root_may_be_a_link(store: ModelStore, put: Put, tmp_path: Path) -> None:
    """A store behind a symbolic link is an ordinary store: deployments switch such links."""
    put()
    (tmp_path / "link").symlink_to(tmp_path / "store")

    assert ModelStore(tmp_path / "link").verify("churn", 1).version == 1


def test_a_version_that_was_copied_elsewhere_is_refused(store: ModelStore, put: Put, churn: Path) -> None:
    """A manifest says which model and version it belongs to, so that files cannot be mixed up by hand."""
    put()
    shutil.copytree(churn / "versions/1", churn / "versions/2")

    with pytest.raises(CorruptVersion, match="belongs to another version"):
        store.load("churn", 2)


def test_a_version_in_memory_survives_its_files(store: ModelStore, put: Put, churn: Path) -> None:
    """S12: a loaded model does not change when its file is overwritten in place or deleted."""
    put()
    held = store.load("churn", 1).model
    before = held.coef.tolist()

    with (churn / PARAMETERS).open("r+b") as file:
        file.write(b"\xff" * 200)
    shutil.rmtree(churn)

    assert held.coef.tolist() == before


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(store: ModelStore, put: Put, churn: Path) -> None:
    """Whoever remembers version 2 never meets another model under that number."""
    put()
    put()

    store.delete("churn", 2)

    assert store.versions("churn") == [1]
    assert list((churn / ".tmp").iterdir()) == []
    with pytest.raises(VersionNotFound):
        store.load("churn", 2)
    assert put().version == 3


def test_a_version_behind_an_alias_is_not_deleted(store: ModelStore, put: Put, now: datetime) -> None:
    """S18: the refusal names the aliases; after they moved, the version can go."""
    put()
    put()
    store.set_alias("churn", "live", 1, reason="", now=now)

    with pytest.raises(VersionInUse, match="in use by 'live'"):
        store.delete("churn", 1)

    store.set_alias("churn", "live", 2, reason="", now=now)
    store.delete("churn", 1)
    assert store.versions("churn") == [2]


def test_a_damaged_version_can_be_deleted(store: ModelStore, put: Put, churn: Path) -> None:
    """Deleting does not need to read the version."""
    put()
    put()
    (churn / MANIFEST).write_bytes(b"garbage")

    store.delete("churn", 1)

    assert store.versions("churn") == [2]


def test_deleting_what_is_not_there_creates_nothing(store: ModelStore, put: Put, tmp_path: Path) -> None:
    """An unknown model or version is an error, and leaves no directory behind."""
    put()

    with pytest.raises(ModelNotFound):
        store.delete("wine", 1)
    with pytest.raises(VersionNotFound):
        store.delete("churn", 2)

    assert not (tmp_path / "store/wine").exists()
    assert put().version == 2


def test_what_dead_writers_left_is_removed_after_an_hour(store: ModelStore, put: Put, churn: Path) -> None:
    """S9: a publication removes old leftovers, and leaves young ones, which may belong to a live writer."""
    put()
    old, old_file, young = (churn / ".tmp" / name for name in ("old", "old-aliases", "young"))
    shutil.copytree(churn / "versions/1", old)
    old_file.write_text("{}")
    young.mkdir()
    two_hours_ago = young.stat().st_mtime - 7200
    for path in (old, old_file):
        os.utime(path, (two_hours_ago, two_hours_ago))

    put()

    assert list((churn / ".tmp").iterdir()) == [young]
    assert store.versions("churn") == [1, 2]


def test_the_last_number_is_the_last(put: Put, churn: Path) -> None:
    """A version that could not be named is refused rather than lost."""
    put()
    (churn / "versions/999999999").mkdir()

    with pytest.raises(StoreUnavailable, match="used up"):
        put()


def test_the_directory_operations_check_names_themselves(tmp_path: Path) -> None:
    """No path is made of an unchecked name, whoever calls."""
    local = LocalStore(tmp_path)

    with pytest.raises(InvalidInput):
        local.publish("../outside", lambda _: {})
    with pytest.raises(InvalidInput):
        local.append_history("..", b"\n")
