"""The protocol classes for uvicorn, each made for one desk, where this uvicorn is one that they know."""

from __future__ import annotations

import logging
from typing import TypeVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.web.fast_lane import FastLane
from service.web.guarded_protocol import GuardedProtocol
from service.web.prediction_desk import PredictionDesk
from service.web.watch import Watch

log = logging.getLogger("logitd.web")

# What the guards and the lane override, call or read of uvicorn's protocol.
USED = frozenset(
    {
        *("connection_lost", "connection_made", "data_received", "on_body", "on_headers_complete", "on_message_begin"),
        *("on_message_complete", "on_response_complete", "pause_writing", "resume_writing", "shutdown"),
        *("eof_received", "connections", "pipeline"),
        *("_unset_keepalive_if_required", "timeout_keep_alive", "timeout_keep_alive_task"),
        *("cycle", "expect_100_continue", "flow", "headers", "loop", "parser", "server_state", "tasks", "transport"),
    }
)

Base = TypeVar("Base", bound=GuardedProtocol)


def fast_lane(desk: PredictionDesk) -> type[FastLane] | None:
    """The protocol class for ``uvicorn.Config(http=…)``; None, with a line in the log, for a uvicorn that is not known."""
    return _for_desk(FastLane, desk, turns=desk.load.turns, known_heads={}, known_asks={})


def guarded(desk: PredictionDesk) -> type[GuardedProtocol] | None:
    """The same without the lane: predictions go uvicorn's way, like all other requests."""
    return _for_desk(GuardedProtocol, desk)


def _for_desk(base: type[Base], desk: PredictionDesk, **more: object) -> type[Base] | None:
    there = set(dir(HttpToolsProtocol)) | set(HttpToolsProtocol.__init__.__code__.co_names)
    missing = sorted(USED.difference(there))
    if missing:
        found = {"uvicorn": uvicorn.__version__, "missing": ", ".join(missing)}
        log.warning(
            "no fast lane, and no limits but those of bodies: this uvicorn lacks what they lean on", extra=found
        )
        return None
    return type(base.__name__, (base,), {"desk": desk, "watch": Watch(), **more})
