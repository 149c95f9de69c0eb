"""A served store as fixtures: a test module asks for them by ``pytest_plugins = ("served",)``.

It is no ``conftest.py``, since two rooms share it and others do not want it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import Client, MakeClient, abc_table, train_into
from fastapi import FastAPI
from hypothesis import settings as hypothesis_settings
from wire import Wire, on_wire

from service.cli.environment import child_environment
from service.cli.trust import trusted_key
from service.settings import Settings
from service.store.model_store import ModelStore
from service.tabular.datasets import load_dataset
from service.web.app import create_app
from service.web.tracing import Spans

hypothesis_settings.register_profile("served", deadline=None)
hypothesis_settings.load_profile("served")


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of all clients."""
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for reading: iris (3 classes), breast-cancer (2), penguins (text, impute) and abc (numbers, reject)."""
    root = tmp_path_factory.mktemp("trained") / "store"
    for name, missing in (("iris", "reject"), ("breast-cancer", "reject"), ("penguins", "impute")):
        data = load_dataset(name)
        train_into(root, name, data.table, data.target, missing_values=data.missing_values, missing=missing)
    train_into(root, "abc", abc_table(), "y")
    return root


@pytest.fixture
def store_copy(trained_store: Path, tmp_path: Path) -> Path:
    """The same store for writing."""
    return Path(shutil.copytree(trained_store, tmp_path / "store"))


@pytest.fixture(scope="session")
def make_client(runner: asyncio.Runner) -> MakeClient:
    """Build the application over a store, with any settings."""

    def build(root: Path, *, ahead_of_router: bool = True, spans: Spans | None = None, **settings: Any) -> Client:
        chosen = Settings(store=str(root), **settings)
        app = create_app(
            chosen,
            ModelStore(root, trusted_key(chosen)),
            child_environment(),
            ahead_of_router=ahead_of_router,
            spans=spans,
        )
        return Client(app, runner)

    return build


@pytest.fixture(scope="session")
def client(make_client: MakeClient, trained_store: Path) -> Client:
    """The application over the store for reading."""
    return make_client(trained_store)


@pytest.fixture
def app(make_client: MakeClient, trained_store: Path) -> FastAPI:
    """An application over the same store, of its own for each test."""
    return make_client(trained_store).app


@pytest.fixture(scope="session")
def lane(make_client: MakeClient, trained_store: Path) -> Iterator[Wire]:
    """A connection to an application over the same store behind uvicorn, with the fast lane."""
    app = make_client(trained_store).app
    # Between two tests that use it minutes may pass.
    with on_wire(app, timeout_keep_alive=3600) as wire:
        yield wire
