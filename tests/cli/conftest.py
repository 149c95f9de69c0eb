"""The command line in this process, on a store of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import Done, Logitd

from service.cli.app import run
from service.store.model_store import ModelStore


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with nothing in it; no setting is in the environment."""
    for name in [name for name in os.environ if name.startswith("LOGITD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def here(folder: Path, capsys: pytest.CaptureFixture[str]) -> Logitd:
    """Run a command in this process."""

    def call(*arguments: str) -> Done:
        code = run(arguments)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return call


@pytest.fixture
def store(folder: Path) -> ModelStore:
    """The store that commands use."""
    return ModelStore(folder / "model_store")
