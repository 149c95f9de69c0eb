"""The models that ship: intact, and reproduced byte for byte by their recorded command."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from readme import PROJECT

from service.store.model_store import ModelStore

SHIPPED = PROJECT / "model_store"
NAMES = ["breast-cancer", "iris"]
FILES = ["aliases.json", "history.jsonl", "versions/1/manifest.json", "versions/1/parameters.safetensors"]
RECORDED_NUMPY = json.loads((SHIPPED / "iris/versions/1/manifest.json").read_bytes())["provenance"]["numpy"]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rebuilt")
    subprocess.run([sys.executable, str(SHIPPED / "rebuild.py"), str(folder)], check=True)
    return folder


def test_shipped_models_are_intact() -> None:
    """Both models verify, and both are live."""
    store = ModelStore(SHIPPED)

    assert store.names() == NAMES
    assert [store.verify(name, store.aliases(name)["live"].version).version for name in NAMES] == [1, 1]


@pytest.mark.skipif(
    platform.machine() != "x86_64" or np.__version__ != RECORDED_NUMPY,
    reason="the last bits belong to x86-64 and to the NumPy of the lock (docs/adr/0006-shipped-models.md)",
)
@pytest.mark.parametrize("name", NAMES)
def test_shipped_models_reproduce_byte_for_byte(rebuilt: Path, name: str) -> None:
    """The recorded command, in the environment of ``make models``, writes the same files."""
    differing = [file for file in FILES if (rebuilt / name / file).read_bytes() != (SHIPPED / name / file).read_bytes()]

    assert differing == []


@pytest.mark.parametrize("name", NAMES)
def test_shipped_models_reproduce_in_numbers(rebuilt: Path, name: str) -> None:
    """On any machine the coefficients agree to 1e-9: both are certified to be the optimum of the same objective."""
    ours, again = (ModelStore(store).load(name, 1).model for store in (SHIPPED, rebuilt))

    np.testing.assert_allclose(again.coef, ours.coef, rtol=0, atol=1e-9)
    np.testing.assert_allclose(again.intercept, ours.intercept, rtol=0, atol=1e-9)
