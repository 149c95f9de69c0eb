"""One log line for every write over HTTP, allowed or refused: who asked for what, and what came of it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.errors import ServiceError
from service.store.names import NAME, is_version
from service.web.errors import InternalError, status_of
from service.web.keys.gate import Gate
from service.web.tracing import request_fields

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

log = logging.getLogger("logitd.audit")

# The history of the model has it in full.
MAX_REASON_LENGTH = 200


def audited(handler: Handler, action: str, gate: Gate) -> Handler:
    """The handler, each call of which leaves one line."""

    async def told(request: Request) -> Response:
        """What the handler answers or raises."""
        # Now: a training may outlive the key that started it.
        who = whose(request, gate)
        outcome, status = InternalError.slug, status_of(InternalError)
        try:
            response = await handler(request)
            outcome, status = "done", response.status_code
        except ServiceError as error:
            outcome, status = error.slug, status_of(type(error))
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            outcome, status = "cut-off", 0
            raise
        finally:
            level = logging.INFO if outcome == "done" else logging.WARNING
            what = {"action": action, "outcome": outcome, "status": status, **target(request)}
            ids = request_fields(request.state.request_id, request.headers)
            log.log(level, "a write", extra={**ids, **what, **getattr(request.state, "written", {}), **who})
        return response

    return told


def note(request: Request, **fields: str | int | bool) -> None:
    """What the request turned out to be about, for its audit line."""
    request.state.written = getattr(request.state, "written", {}) | fields


def target(request: Request) -> dict[str, str | int]:
    """Model, alias and version of the path; what cannot be one is left out, since it may be anything."""
    parts = request.path_params
    names = {key: parts[key] for key in ("model", "alias") if NAME.fullmatch(parts.get(key, ""))}
    version = parts.get("version", "")
    return {**names, "version": int(version)} if is_version(version) else names


def whose(request: Request, gate: Gate) -> dict[str, str]:
    """Name and scope of the key, where a known one was presented, and the address that the request came from."""
    key = gate.key_of(request.headers)
    known = {} if key is None else {"key": key.name, "scope": key.scope.value}
    return known | peer(request)


def peer(request: Request) -> dict[str, str]:
    """The client's address; a proxy on this machine may name it, and what it names may be no address."""
    try:
        address = ipaddress.ip_address("" if request.client is None else request.client.host)
    except ValueError:
        return {}
    # What follows the sign is the name of a network card, which a proxy may make up.
    return {"peer": str(address).partition("%")[0]}
