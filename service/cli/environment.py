"""What this process was given: its environment, and ``.env``.  Nothing heavy is imported before the port is open."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from service.errors import InvalidSettings
from service.settings import LoadedSettings, load_settings

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s"


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


def log_to_stderr(level: str) -> None:
    """Log from this level on; of uvicorn, which tells of every step of its own, what is out of order."""
    import logging  # noqa: PLC0415 — after the port is open

    logging.basicConfig(level=level.upper(), stream=sys.stderr, format=LOG_FORMAT)
    if level != "debug":
        logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
