"""What commands take from this process: environment, ``.env``, time, terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import dotenv_values
from rich.console import Console

from service.settings import LoadedSettings, load_settings
from service.store.model_store import ModelStore

StoreOption = Annotated[str | None, typer.Option("--store", help="Directory of the model store.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings(flags: Mapping[str, object]) -> LoadedSettings:
    """The settings from flags, environment and ``.env``; raises InvalidSettings."""
    return load_settings(flags=flags, environment=os.environ, dotenv=dotenv_values(".env"))


def model_store(store: str | None) -> ModelStore:
    """The store that ``--store``, the environment or the default names."""
    return ModelStore(Path(settings({"store": store}).settings.store))


def now() -> datetime:
    """The present, or ``SOURCE_DATE_EPOCH`` (reproducible-builds.org) for builds that must repeat byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)


def child_environment() -> dict[str, str]:
    """What a trainer process gets: this environment without the service's own settings, and one BLAS thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def console() -> Console:
    """Results, on standard output; wide enough off a terminal that no line is broken."""
    return Console(soft_wrap=not sys.stdout.isatty(), highlight=False)


def messages() -> Console:
    """Progress and messages, on standard error."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
