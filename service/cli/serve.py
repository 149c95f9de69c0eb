"""``logitd serve``: the HTTP service."""

from __future__ import annotations

import logging
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from service.cli.surroundings import StoreOption, settings
from service.store.seed import seed

log = logging.getLogger("logitd.serve")


def serve(
    *,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port to listen on; 0 takes a free one.")] = None,
    store: StoreOption = None,
    default_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that answers when none is named.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(metavar="WORD", help="debug, info, warning or error.")] = None,
) -> None:
    """Serve the stored models over HTTP.

    It stops on SIGTERM or Ctrl-C.  What is not given here comes from the settings: see logitd config.
    """
    flags = {"host": host, "port": port, "store": store, "default_model": default_model, "log_level": log_level}
    chosen = settings(flags).settings
    logging.basicConfig(
        level=chosen.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if chosen.seed_store:
        seed(Path(chosen.store), Path(chosen.seed_store))
    warn_of_open_store(Path(chosen.store))
    # FastAPI takes as long to import as the other commands take to run.
    from service.cli.listen import listen  # noqa: PLC0415 — the reason is above

    listen(chosen)


def warn_of_open_store(root: Path) -> None:
    """Log a warning when everybody may write to the store: a checksum does not stop who can recompute it."""
    with suppress(OSError):
        if root.stat().st_mode & stat.S_IWOTH:
            log.warning("every user of this machine may write to the model store; run: chmod o-w on its directory")
