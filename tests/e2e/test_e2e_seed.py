"""A store that is empty is filled with the shipped models, once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from service_process import logitd, serving

from service.errors import InvalidSettings, StoreUnavailable
from service.store.model_store import ModelStore
from service.store.seed import seed

ROW = {"instances": [[5.1, 3.5, 1.4, 0.2]]}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_empty_store_is_filled_once_and_never_overwritten(iris_store: Path, tmp_path: Path) -> None:
    """``LOGITD_SEED_STORE`` fills an empty store at the start; what was changed since stays at the next start."""
    store = tmp_path / "data" / "store"
    store.parent.mkdir()

    with serving(store, LOGITD_SEED_STORE=str(iris_store)) as service:
        first = service.client.post("/predict", json=ROW).json()
    assert logitd("train", "iris", "--model", "iris", "--C", "10", store=store).returncode == 0
    with serving(store, LOGITD_SEED_STORE=str(iris_store)) as service:
        second = service.client.post("/predict", json=ROW).json()

    assert (first["version"], second["version"]) == (1, 2)
    assert ModelStore(store).versions("iris") == [1, 2]
    assert ModelStore(iris_store).versions("iris") == [1]


def test_copy_is_whole(iris_store: Path, tmp_path: Path) -> None:
    """Every file is copied as it is, the versions are intact, and nothing else is left in the store."""
    copied = seed(tmp_path / "store", iris_store)

    assert copied == ["iris"]
    assert contents(tmp_path / "store") == contents(iris_store)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["iris"]
    assert ModelStore(tmp_path / "store").verify("iris", 1).name == "iris"


def test_store_with_any_model_is_left_alone(iris_store: Path, tmp_path: Path) -> None:
    """A store that holds another model gets none, and the source is not looked at."""
    shutil.copytree(iris_store / "iris", tmp_path / "store" / "other")

    assert seed(tmp_path / "store", iris_store) == []
    assert seed(tmp_path / "store", tmp_path / "nowhere") == []
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["other"]


def test_model_that_another_process_put_there_stays(iris_store: Path, tmp_path: Path) -> None:
    """Where a folder of the model's name has appeared meanwhile, it stays as it is, and the others are copied."""
    source = tmp_path / "source"
    shutil.copytree(iris_store / "iris", source / "iris")
    shutil.copytree(iris_store / "iris", source / "second")
    (tmp_path / "store" / "iris").mkdir(parents=True)
    (tmp_path / "store" / "iris" / "of another process").touch()

    copied = seed(tmp_path / "store", source)

    assert copied == ["second"]
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["iris", "second"]
    assert [path.name for path in (tmp_path / "store" / "iris").iterdir()] == ["of another process"]


def test_source_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """A misspelt source is told rather than served as an empty store."""
    with pytest.raises(InvalidSettings, match="LOGITD_SEED_STORE names no directory"):
        seed(tmp_path / "store", tmp_path / "nowhere")


def test_store_that_cannot_be_written_is_told(iris_store: Path, tmp_path: Path) -> None:
    """A store that cannot be created is an error, not an empty store."""
    (tmp_path / "store").symlink_to(tmp_path / "nowhere")

    with pytest.raises(StoreUnavailable, match=r"^filling the store with the shipped models failed: File exists"):
        seed(tmp_path / "store", iris_store)
