"""What an answer has to be, whatever was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

# Its errors belong to the tree that ``all_errors`` walks.
import service.web.app  # noqa: F401 — for what it defines
from hardening.fuzz.answers import Answer, MalformedAnswer, answers_in
from hardening.fuzz.cases import MARKERS, Ending
from hardening.fuzz.sending import Exchange
from service.errors import all_errors
from service.web.errors import status_of

# Refusals of the service's own making that are no defects, each with what it tells.
ASKED_FOR = {
    (503, "trainer-busy"): "another training, whose client may have left, is not over",
    (503, "no-live-model"): "models can be published without being promoted, and then be asked",
    (503, "out-of-memory"): "a training asked for more than it may have",
    (504, "train-timeout"): "the run gives trainings few seconds",
    (504, "deadline-exceeded"): "the client said how long it would wait",
    (505, "http-version-not-supported"): "the client spoke another version of HTTP",
}
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "request_id"}
# As ``errors.quoted`` writes a name; the ellipsis of a long one is escaped in JSON.
QUOTED = re.compile(rb"'[^']{0,70}'")
LONGEST_REFUSAL = 8192


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was broken: ``kind`` is one word, ``detail`` says how."""

    kind: str
    detail: str


def statuses() -> dict[str, int]:
    """The status of every slug."""
    return {kind.slug: status_of(kind) for kind in all_errors()}


STATUSES = statuses()


def judged(exchange: Exchange) -> tuple[list[Answer], list[Finding]]:
    """The answers, and what is wrong with them."""
    if exchange.is_refused:
        return [], [Finding("died", "nobody listens")]
    if exchange.is_hanging:
        return [], [Finding("hang", f"no end after {exchange.seconds:.0f} s, {len(exchange.received)} bytes came")]
    try:
        answers = answers_in(exchange.received, exchange.case.data, is_cut=exchange.is_cut)
    except MalformedAnswer as error:
        return [], [Finding("malformed", f"{error}: {exchange.received[:200]!r}")]
    trades = exchange.case.names_are_values
    findings = [finding for answer in answers for finding in flaws(answer, names_are_values=trades)]
    if exchange.case.ending is Ending.KEEP and len(answers) != 1:
        findings.append(
            Finding("unanswered", f"{len(answers)} answers to one whole request: {exchange.received[:200]!r}")
        )
    return answers, findings


def flaws(answer: Answer, *, names_are_values: bool = False) -> Iterator[Finding]:
    """What is wrong with one answer.

    names_are_values: what was sent as a value may stand where a name does, so that it may be quoted as one.
    """
    if answer.status >= 500 and (answer.status, answer.slug) not in ASKED_FOR and not answer.is_to_head:
        yield Finding("server-error", f"{answer.status} {answer.slug}: {answer.body[:300]!r}")
    if answer.status >= 400:
        yield from _flaws_of_refusal(answer, names_are_values=names_are_values)
    elif answer.is_to_head or answer.status == 204:
        if answer.body:
            yield Finding("malformed", "a body where there can be none")
    elif answer.headers.get("content-type") == "application/json":
        yield from _flaws_of_json(answer)


def _flaws_of_refusal(answer: Answer, *, names_are_values: bool) -> Iterator[Finding]:
    body = QUOTED.sub(b"", answer.body) if names_are_values else answer.body
    whole = body + repr(answer.headers).encode()
    for marker in MARKERS:
        if marker in whole:
            yield Finding("echo", f"{answer.status} {answer.slug} repeats a value that was sent")
    if len(answer.body) > LONGEST_REFUSAL:
        yield Finding("long", f"{answer.status} {answer.slug} has {len(answer.body)} bytes")
    if answer.status == 405 and not answer.headers.get("allow"):
        yield Finding("no-problem", "405 without Allow")
    if answer.status in {429, 503} and not answer.headers.get("retry-after", "").isdigit():
        yield Finding("no-problem", f"{answer.status} without Retry-After")
    if not answer.is_to_head:
        yield from _flaws_of_problem(answer)


def _flaws_of_problem(answer: Answer) -> Iterator[Finding]:
    problem = answer.problem()
    if problem is None:
        yield Finding("no-problem", f"{answer.status} with {answer.headers.get('content-type')}: {answer.body[:200]!r}")
        return
    if missing := PROBLEM_MEMBERS - problem.keys():
        yield Finding("no-problem", f"{answer.status} lacks {sorted(missing)}")
    elif problem["status"] != answer.status or STATUSES.get(answer.slug) != answer.status:
        yield Finding("no-problem", f"{answer.status} {answer.slug} says {problem['status']}")
    elif problem["request_id"] != answer.headers.get("x-request-id"):
        yield Finding("no-problem", f"{answer.status} {answer.slug} has two request ids")


def _flaws_of_json(answer: Answer) -> Iterator[Finding]:
    try:
        json.loads(answer.body, parse_constant=_no_constant)
    except ValueError as error:
        yield Finding("malformed", f"{answer.status} is not JSON: {error}")
    if not answer.body.endswith(b"\n"):
        yield Finding("malformed", f"{answer.status} does not end in a newline")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
