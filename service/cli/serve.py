"""``logitd serve``: the HTTP service."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

import service
from service.cli.surroundings import child_environment, settings
from service.settings import Settings
from service.store.model_store import ModelStore
from service.store.seed import seed
from service.web.app import create_app

# Longer than the idle time of common load balancers (60 s), so that it is they who close connections.
KEEP_ALIVE_S = 75
BACKLOG = 2048

log = logging.getLogger("logitd")


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    store: Annotated[str | None, typer.Option(help="Directory of the model store.")] = None,
    default_model: Annotated[str | None, typer.Option(help="The model that answers when none is named.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Serve the models of the store over HTTP until SIGTERM or Ctrl-C."""
    flags = {"host": host, "port": port, "store": store, "default_model": default_model, "log_level": log_level}
    chosen = settings(flags).settings
    logging.basicConfig(
        level=chosen.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if chosen.seed_store:
        seed(Path(chosen.store), Path(chosen.seed_store))
    listen(chosen)


def listen(chosen: Settings) -> None:
    """Bind, say where, and serve; returns after a graceful stop."""
    model_store = ModelStore(Path(chosen.store))
    app = create_app(chosen, model_store, child_environment())
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=chosen.drain_s,
    )
    with bound_socket(chosen.host, chosen.port) as listener:
        port = listener.getsockname()[1]
        names = ", ".join(model_store.names()) or "no model yet"
        shown_host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
        print(
            f"logitd {service.__version__} serves {names} on http://{shown_host}:{port} (docs: /docs)", file=sys.stderr
        )
        # uvicorn raises the signal that stopped it once more when it is done; a graceful stop is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; exits with one line when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        print(
            f"error: cannot listen on {host}:{port}: {error.strerror or error}; choose another --port", file=sys.stderr
        )
        raise typer.Exit(1) from None
    listener.listen(BACKLOG)
    return listener
