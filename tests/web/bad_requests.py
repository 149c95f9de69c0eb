"""A request that a prediction route must refuse, and the check that it does: by the application, and in the fast lane."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from asking import GOOD, PROBLEM_BYTES, Client
from wire import Wire, request

# What is sent must never come back; these are easy to find.
SECRET_TEXT, SECRET_NUMBER = "hush-8f3a", 918273645
SECRETS = (SECRET_TEXT.encode(), str(SECRET_NUMBER).encode())
LIMIT = 8 << 20
# What a client leaves as it is in a query.
AS_IS = "%=&@/.,:;+"
S = SECRET_NUMBER


@dataclass(frozen=True)
class Bad:
    """A request for the model abc (numeric columns a, b, c), and what it must be told."""

    name: str
    status: int
    slug: str
    body: Any
    pointer: str | None = None
    query: str = "model=abc"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def cells(name: str, slug: str, first: str, pointer: str | None = "/instances/0/0") -> Bad:
    return Bad(name, 422, slug, f'{{"instances": [[{first}, {S}, 2]]}}', pointer)


def typed(name: str, status: int, slug: str, content_type: str, body: Any = "[[1, 2, 3]]") -> Bad:
    return Bad(name, status, slug, body, headers={"content-type": content_type})


def coded(name: str, status: int, slug: str, coding: str, body: bytes) -> Bad:
    return Bad(name, status, slug, body, headers={"content-encoding": coding})


def csv(name: str, status: int, slug: str, body: str | bytes, pointer: str | None = None) -> Bad:
    return Bad(name, status, slug, body, pointer, headers={"content-type": "text/csv"})


def asked(name: str, status: int, slug: str, query: str) -> Bad:
    return Bad(name, status, slug, "[[1, 2, 3]]", query=query)


def content(body: Any) -> bytes:
    """Bytes and texts as they are, anything else as JSON."""
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def check_refused(client: Client, lane: Wire, bad: Bad, path: str) -> dict[str, Any]:
    """The problem that the request gets: status, slug and place as documented, nothing of what was sent, twice the same.

    Afterwards the service answers on both ways.
    """
    body = content(bad.body)
    answer = client.post(f"{path}?{bad.query}", content=body, headers=dict(bad.headers))

    problem = client.check_problem(answer, bad.status, bad.slug)
    assert not any(secret in answer.content for secret in SECRETS)
    assert bad.pointer in {None, *(place["pointer"] for place in problem.get("errors", []))}
    client.check_alive()
    if "content-length" not in bad.headers:
        check_refused_in_lane(lane, bad, f"{path}?{quote(bad.query, safe=AS_IS)}", body, problem)
    return problem


def check_refused_in_lane(lane: Wire, bad: Bad, target: str, body: bytes, problem: dict[str, Any]) -> None:
    lane.send(request("POST", target, dict(bad.headers), body))
    reply = lane.reply()

    assert reply.status == bad.status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(reply.body) <= PROBLEM_BYTES
    assert json.loads(reply.body) == {**problem, "request_id": reply.headers["x-request-id"]}
    lane.send(request("GET", "/livez"))
    assert lane.reply().status == 200
    lane.send(request("POST", "/predict?model=abc", body=json.dumps(GOOD).encode()))
    assert lane.reply().status == 200
