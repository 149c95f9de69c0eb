"""What this process was given: its environment, and ``.env``.  Nothing heavy is imported before the port is open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from service.errors import InvalidSettings
from service.settings import LoadedSettings, load_settings


def settings(flags: Mapping[str, object]) -> LoadedSettings:
    """The settings from flags, environment and ``.env``; raises InvalidSettings."""
    return load_settings(flags=flags, environment=os.environ, dotenv=dotenv())


def dotenv() -> dict[str, str | None]:
    """The variables of the file ``.env`` in this directory; raises InvalidSettings."""
    if not Path(".env").exists():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 — most services have no such file, and need not wait for this

    try:
        return dotenv_values(".env")
    except (OSError, UnicodeDecodeError):
        raise InvalidSettings("the file .env in this directory cannot be read as UTF-8 text") from None


def child_environment() -> dict[str, str]:
    """What a trainer process gets: this environment without the service's own settings, and one BLAS thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
