"""What is in memory: swaps are seen at the next request, and a bad version changes nothing."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from asking import abc_table, train_into
from clock import Clock

from service.errors import AliasNotFound, ModelNotFound, NoLiveModel, VersionNotFound
from service.record import VersionDraft
from service.serving.data_plane import DataPlane
from service.serving.registry import MAX_PINNED, RETRY_S, ModelRegistry, Reload
from service.store.model_store import ModelStore, StoredModel
from service.store.names import ModelRef
from service.tabular.table import Table

pytest_plugins = ("served",)

LIVE = ModelRef("abc")
ROWS = Table(("a", "b", "c"), (np.array([1.0]), np.array([2.0]), np.array([3.0])), 1)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def reloads() -> list[Reload]:
    """What the registry has told of its reloads."""
    return []


@pytest.fixture
def registry(store_copy: Path, clock: Clock, reloads: list[Reload]) -> ModelRegistry:
    """The registry over a store in which abc has versions 1 (live) and 2."""
    train_into(store_copy, "abc", abc_table(), "y", C=0.01, promote="never")
    return ModelRegistry(ModelStore(store_copy), "abc", clock, reloads.append)


def elsewhere(root: Path, version: int, alias: str = "live") -> None:
    """Move an alias as another process would: by a store object of its own."""
    store = ModelStore(root)
    store.set_alias("abc", alias, version, reason="", now=store.manifest("abc", 1).created_at)


def flip(root: Path, version: int) -> None:
    """Flip a bit in the middle of a version's parameters; doing it twice mends them."""
    path = root / "abc" / "versions" / str(version) / "parameters.safetensors"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def test_a_swap_is_seen_by_the_next_request(registry: ModelRegistry, store_copy: Path) -> None:
    """A promotion by another store object, as by another process, is what the next resolution gives."""
    before = registry.resolve(LIVE)

    elsewhere(store_copy, 2)

    assert before.manifest.version == 1
    assert registry.resolve(LIVE).manifest.version == 2


def test_a_request_in_flight_keeps_its_model(registry: ModelRegistry, store_copy: Path) -> None:
    """P29: what was resolved before a swap answers as it would have without one."""
    plane = DataPlane(registry)
    held = plane.resolve(LIVE)
    expected = plane.predict(held, ROWS).probabilities

    elsewhere(store_copy, 2)
    after = plane.predict(plane.resolve(LIVE), ROWS)

    assert np.array_equal(plane.predict(held, ROWS).probabilities, expected)
    assert not np.array_equal(after.probabilities, expected)
    assert (plane.predict(held, ROWS).version, after.version) == (1, 2)


def test_resolving_again_loads_nothing(registry: ModelRegistry) -> None:
    """Without a change the same object answers."""
    assert registry.resolve(LIVE) is registry.resolve(ModelRef(None))


class Moving(ModelStore):
    """A store in which, while version 1 is being loaded, another process promotes version 2 and deletes version 1."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.elsewhere: ModelStore | None = ModelStore(root)

    def load(self, name: str, version: int) -> StoredModel:
        store, self.elsewhere = self.elsewhere, None
        if store is not None:
            store.set_alias(name, "live", 2, reason="", now=store.manifest(name, 1).created_at)
            store.delete(name, 1)
        return super().load(name, version)


def test_a_version_deleted_while_it_loads_is_no_failure(store_copy: Path, reloads: list[Reload]) -> None:
    """S18: where ``live`` moved on meanwhile, the version that it moved to answers, at a cold start too."""
    train_into(store_copy, "abc", abc_table(), "y", C=0.01, promote="never")
    registry = ModelRegistry(Moving(store_copy), "abc", on_reload=reloads.append)

    assert registry.resolve(LIVE).manifest.version == 2
    assert reloads == [Reload.LOADED]


def test_a_swap_of_another_alias_keeps_the_live_object(registry: ModelRegistry, store_copy: Path) -> None:
    """A version that stays is not loaded again when another alias moves."""
    held = registry.resolve(LIVE)

    elsewhere(store_copy, 2, alias="champion")

    assert registry.resolve(LIVE) is held
    assert registry.resolve(ModelRef("abc", alias="champion")).manifest.version == 2


def test_a_damaged_version_keeps_the_old_one(
    registry: ModelRegistry, reloads: list[Reload], store_copy: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """S1: the old version answers, one failure is counted and one line logged, however often it is asked for."""
    registry.resolve(LIVE)
    elsewhere(store_copy, 2)
    flip(store_copy, 2)

    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            assert registry.resolve(LIVE).manifest.version == 1
            clock.now += RETRY_S

    assert reloads == [Reload.LOADED, Reload.FAILED]
    assert len(caplog.records) == 1
    assert registry.is_ready()


def test_a_version_that_is_mended_is_loaded(registry: ModelRegistry, store_copy: Path, clock: Clock) -> None:
    """S21: a failure is tried again after RETRY_S, and not before, though no alias moved."""
    registry.resolve(LIVE)
    elsewhere(store_copy, 2)
    flip(store_copy, 2)
    assert registry.resolve(LIVE).manifest.version == 1

    flip(store_copy, 2)
    early = registry.resolve(LIVE).manifest.version
    clock.now += RETRY_S

    assert early == 1
    assert registry.resolve(LIVE).manifest.version == 2


@pytest.mark.parametrize("lost", ["abc/aliases.json", "abc/versions/1", "abc", "."])
def test_files_that_vanish_do_not_stop_the_service(registry: ModelRegistry, store_copy: Path, lost: str) -> None:
    """S12: what was loaded goes on answering when its files, its model or the whole store are taken away."""
    registry.resolve(LIVE)

    path = store_copy / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()

    assert registry.resolve(LIVE).manifest.version == 1
    assert registry.is_ready()


@pytest.mark.parametrize("text", ["", "{}", "garbage", "\ufeff{}", "[" * 100_000])
def test_a_garbled_alias_file_changes_nothing(
    registry: ModelRegistry, reloads: list[Reload], store_copy: Path, text: str
) -> None:
    """S6: the last good version answers while the alias file cannot be read."""
    registry.resolve(LIVE)

    (store_copy / "abc" / "aliases.json").write_text(text)

    assert registry.resolve(LIVE).manifest.version == 1
    assert reloads == [Reload.LOADED, Reload.FAILED]


def test_a_cold_start_on_a_damaged_version_is_not_ready(registry: ModelRegistry, store_copy: Path) -> None:
    """S6: with nothing good in memory the model is not live, and the reason is told; other models are."""
    flip(store_copy, 1)

    with pytest.raises(NoLiveModel, match="SHA-256"):
        registry.resolve(LIVE)

    assert not registry.is_ready()
    assert registry.resolve(ModelRef("iris")).manifest.name == "iris"


def test_versions_by_number_stay_in_memory_within_a_bound(registry: ModelRegistry, store_copy: Path) -> None:
    """At most MAX_PINNED versions asked for by number are kept; the oldest leaves first."""
    store = ModelStore(store_copy)
    stored = store.load("abc", 1)
    draft = VersionDraft(**{name: getattr(stored.manifest, name) for name in VersionDraft.model_fields})
    for _ in range(MAX_PINNED):
        store.put("abc", draft, stored.model, now=stored.manifest.created_at)
    first = registry.resolve(ModelRef("abc", version=1))
    second = registry.resolve(ModelRef("abc", version=2))

    for version in range(3, MAX_PINNED + 2):
        registry.resolve(ModelRef("abc", version=version))

    assert len(registry.loaded.pinned) == MAX_PINNED
    assert registry.resolve(ModelRef("abc", version=2)) is second
    assert registry.resolve(ModelRef("abc", version=1)) is not first


def test_a_deleted_version_is_forgotten(registry: ModelRegistry, store_copy: Path) -> None:
    """After ``forget`` a deleted version is not found; until then it answers from memory (S18)."""
    ref = ModelRef("abc", version=2)
    held = registry.resolve(ref)
    ModelStore(store_copy).delete("abc", 2)
    assert registry.resolve(ref) is held

    registry.forget("abc", 2)

    with pytest.raises(VersionNotFound):
        registry.resolve(ref)


def test_what_is_missing_is_named(registry: ModelRegistry, store_copy: Path) -> None:
    """Unknown model, version and alias are told apart; a default model that is missing is not live."""
    with pytest.raises(ModelNotFound):
        registry.resolve(ModelRef("nope"))
    with pytest.raises(ModelNotFound):
        registry.resolve(ModelRef("nope", version=1))
    with pytest.raises(VersionNotFound):
        registry.resolve(ModelRef("abc", version=9))
    with pytest.raises(AliasNotFound):
        registry.resolve(ModelRef("abc", alias="champion"))
    with pytest.raises(NoLiveModel):
        ModelRegistry(ModelStore(store_copy), "nope").resolve(ModelRef(None))


def test_the_first_publication_makes_it_ready(tmp_path: Path, reloads: list[Reload]) -> None:
    """S7: a registry over a store that does not exist yet serves the first version that is published."""
    registry = ModelRegistry(ModelStore(tmp_path / "store"), "abc", on_reload=reloads.append)
    assert not registry.is_ready()

    train_into(tmp_path / "store", "abc", abc_table(), "y")

    assert registry.is_ready()
    assert reloads == [Reload.LOADED]
