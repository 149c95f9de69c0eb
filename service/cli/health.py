"""``logitd health``: whether the service on this machine is ready, for a container's HEALTHCHECK."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping, Sequence

DEFAULT_PORT = "8000"
PORT_VARIABLES = ("LOGITD_PORT", "PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")
TIMEOUT_S = 3.0
USAGE = "usage: logitd health [--host HOST] [--port PORT] [--json]"
# What a service that listens everywhere is reached at from its own machine.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — not bound here, but translated


def health(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """0 when ``/readyz`` answers 200, 1 when it does not, 2 for wrong usage; one line says so."""
    options = {
        "--host": environment.get("LOGITD_HOST", "127.0.0.1"),
        "--port": next((environment[name] for name in PORT_VARIABLES if environment.get(name)), DEFAULT_PORT),
    }
    rest = list(arguments)
    as_json = "--json" in rest
    if as_json:
        rest.remove("--json")
    while rest:
        name = rest.pop(0)
        if name not in options or not rest:
            print(USAGE, file=sys.stderr)
            return 2
        options[name] = rest.pop(0)
    if not options["--port"].isdecimal():
        print("error: the port must be a number", file=sys.stderr)
        return 2
    status, detail = probe(LOOPBACK.get(options["--host"], options["--host"]), int(options["--port"]))
    ready = status == 200
    if as_json:
        print(json.dumps({"ready": ready, "status": status, "detail": detail}))
    else:
        print("ready" if ready else f"not ready: {detail}", file=sys.stdout if ready else sys.stderr)
    return 0 if ready else 1


def probe(host: str, port: int) -> tuple[int | None, str]:
    """The status of ``GET /readyz``, None without an answer, and what there is to say about it."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return None, f"no answer at {host}:{port} ({error})"
    finally:
        connection.close()
    try:
        return answer.status, str(json.loads(body).get("detail", "ready"))
    except ValueError:
        return answer.status, "an answer that is not JSON"
