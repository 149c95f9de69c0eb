"""``logitd serve``: the HTTP service."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.secrets_on_disk import check_secrets
from service.cli.surroundings import StoreOption, settings
from service.store.seed import seed


def serve(
    *,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port to listen on; 0 takes a free one.")] = None,
    store: StoreOption = None,
    default_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that answers when none is named.")
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificate chain (PEM): HTTPS instead of HTTP.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its private key (PEM), where it is not in the same file.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(metavar="WORD", help="debug, info, warning or error.")] = None,
) -> None:
    """Serve the stored models over HTTP.

    It stops on SIGTERM or Ctrl-C.  What is not given here comes from the settings: see logitd config.
    """
    flags = {"host": host, "port": port, "store": store, "default_model": default_model, "log_level": log_level}
    chosen = settings({**flags, "tls_cert": tls_cert, "tls_key": tls_key}).settings
    check_secrets(chosen)
    logging.basicConfig(
        level=chosen.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if chosen.seed_store:
        seed(Path(chosen.store), Path(chosen.seed_store))
    # FastAPI takes as long to import as the other commands take to run.
    from service.cli.listen import listen  # noqa: PLC0415 — the reason is above

    listen(chosen)
