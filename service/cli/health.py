"""``logitd health``: whether the service on this machine is ready, for a container's HEALTHCHECK."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
from collections.abc import Mapping, Sequence

from dotenv import dotenv_values

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "8000"
PORT_VARIABLES = ("LOGITD_PORT", "PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")
TIMEOUT_S = 3.0
USAGE = "usage: logitd health [--host HOST] [--port PORT] [--json]"
# What a service that listens everywhere is reached at from its own machine.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — not bound here, but translated


def environment_with_file(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment over the variables of ``.env``, where ``logitd serve`` looks too."""
    try:
        from_file = dotenv_values(".env")
    except (OSError, UnicodeDecodeError):
        # ``logitd serve`` says what is wrong with the file; a probe asks whether it runs.
        from_file = {}
    return {**{name: value for name, value in from_file.items() if value is not None}, **environment}


def health(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """0 when ``/readyz`` answers 200, 1 when it does not, 2 for wrong usage; one line says so."""
    given = options(arguments)
    if given is None:
        print(USAGE, file=sys.stderr)
        return 2
    host = given.get("--host") or environment.get("LOGITD_HOST") or DEFAULT_HOST
    in_environment = (environment[name] for name in PORT_VARIABLES if environment.get(name))
    port = given.get("--port") or next(in_environment, DEFAULT_PORT)
    if not (port.isdecimal() and 0 < int(port) < 1 << 16):
        print("error: the port must be a number from 1 to 65535", file=sys.stderr)
        return 2
    status, detail = probe(LOOPBACK.get(host, host), int(port), is_tls=bool(environment.get("LOGITD_TLS_CERT")))
    ready = status == 200
    if "--json" in given:
        print(json.dumps({"ready": ready, "status": status, "detail": detail}))
    else:
        print("ready" if ready else f"not ready: {detail}", file=sys.stdout if ready else sys.stderr)
    return 0 if ready else 1


def options(arguments: Sequence[str]) -> dict[str, str] | None:
    """``--name value``, ``--name=value`` and ``--json`` by name, or None when there is anything else."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name == "--json" and not equals:
            found[name] = ""
            continue
        if name not in {"--host", "--port"} or not (equals or rest):
            return None
        found[name] = value if equals else rest.pop(0)
    return found


def probe(host: str, port: int, *, is_tls: bool) -> tuple[int | None, str]:
    """The status of ``GET /readyz``, None without an answer, and what there is to say about it."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    if is_tls:
        # Whether its certificate can be trusted, and for which name, is not what is asked here.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
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
    except (ValueError, AttributeError):
        return answer.status, "an answer that is not a JSON object"
