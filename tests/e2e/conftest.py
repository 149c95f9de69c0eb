"""A store with one model, trained once, and copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from service_process import logitd


@pytest.fixture(scope="session")
def iris_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose model ``iris`` is live at version 1; not to be written to."""
    store = tmp_path_factory.mktemp("trained") / "store"
    done = logitd("train", "iris", "--model", "iris", store=store)
    assert done.returncode == 0, done.stderr
    return store


@pytest.fixture
def store(iris_store: Path, tmp_path: Path) -> Path:
    """A copy of the store with ``iris``."""
    return Path(shutil.copytree(iris_store, tmp_path / "store"))
