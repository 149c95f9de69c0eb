"""schemathesis: the service against its own OpenAPI document, all phases and checks."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any

import requests
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from hardening.fuzz.answers import Answer
from hardening.fuzz.attack import Attack
from hardening.fuzz.cases import CONTRACT, HOST, Case
from hardening.fuzz.judge import Finding, flaws
from hardening.fuzz.sending import GUARD_S

# Checks that are not asked for, and why.
LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "ignored_auth": "this service has no keys; tests/web/test_web_keys.py asks every route with and without",
        "object_level_authorization": "the same, and there are no accounts whose things could be told apart",
        "use_after_free": "of sequences alone, which train and so take minutes; tests/web/test_web_models.py has them",
        "ensure_resource_availability": "the same",
    }
)
# Where a good request by the document can be refused all the same: with these statuses, for this reason.
KNOWS_MORE: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "/predict": (("400", "422"), "the model knows its columns; to the document any text is CSV"),
        "/predict_proba": (("400", "422"), "the same"),
        "/train": (("400", "422"), "rows have to be alike, as many as the labels, and enough; CSV as above"),
        "/models/{model}/aliases/{alias}": (
            ("412", "422"),
            "If-Match may be of another moment; 7.0 is a whole number to JSON Schema alone",
        ),
    }
)
ACCEPTED = ("2xx", "3xx", "401", "403", "404", "409", "429", "5xx")
# Which of the last three are asked for is the judge's question.
ANSWERED = ("2xx", "3xx", "4xx", "503", "504", "505")


def configuration(seed: int, examples: int) -> SchemathesisConfig:
    """The settings of schemathesis; ``examples`` for each operation and phase."""
    left_out: dict[str, Any] = {check: {"enabled": False} for check in LEFT_OUT}
    refused = {path: [*ACCEPTED, *statuses] for path, (statuses, _) in KNOWS_MORE.items()}
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "request-timeout": GUARD_S,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
            "checks": {
                "max_response_time": GUARD_S,
                "not_a_server_error": {"expected-statuses": list(ANSWERED)},
                **left_out,
            },
            "operations": [
                {
                    "include-path": path,
                    "checks": {"positive_data_acceptance": {"expected-statuses": statuses}},
                    # A training takes a process of its own.
                    "generation": {"max-examples": max(1, examples // 10) if path == "/train" else examples},
                }
                for path, statuses in refused.items()
            ],
        }
    )


def run(attack: Attack, *, seed: int, examples: int, ends_at: float) -> None:
    """Send what schemathesis makes of the attacked service's document, until ``monotonic`` says ``ends_at``.

    seed, examples: decide what that is; see ``configuration``.
    """
    url = f"http://{HOST}:{attack.service.port}/openapi.json"
    schema = schemathesis.openapi.from_url(url, config=configuration(seed, examples))

    @schema.hook
    def after_call(context: Any, case: Any, response: Response) -> None:  # noqa: ARG001 — schemathesis' signature
        answer = _answer(response)
        attack.account(_case(response.request, case.operation.label), [answer], list(flaws(answer)))

    stream = from_schema(schema).execute()
    for event in stream:
        if monotonic() > ends_at:
            stream.stop()
        if isinstance(event, events.ScenarioFinished):
            _report(attack, event.recorder)
        elif isinstance(event, events.NonFatalError):
            attack.report(Finding("contract", f"{event.label}: {event.value!r}"), [Case(CONTRACT, event.label, (b"",))])
        elif isinstance(event, events.FatalError):
            raise event.exception


def _report(attack: Attack, recorder: ScenarioRecorder) -> None:
    """The checks that failed, each with the request that it failed on."""
    for case_id, checks in recorder.checks.items():
        for failed in (check.failure_info for check in checks if check.failure_info is not None):
            answered = recorder.interactions[case_id].response
            assert answered is not None
            detail = f"{recorder.label}: {answered.status_code}: {failed.failure.title}: {failed.failure.message}"
            attack.report(Finding("contract", detail), [_case(answered.request, recorder.label)])


def _answer(response: Response) -> Answer:
    headers = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
    return Answer(response.status_code, headers, response.content, response.request.method == "HEAD")


def _case(request: requests.PreparedRequest, label: str) -> Case:
    """The request as it was sent."""
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    assert isinstance(content, bytes)
    lines = [f"{request.method} {request.path_url} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {_text(value)}" for name, value in request.headers.items()]
    return Case(CONTRACT, label, ("\r\n".join([*lines, "", ""]).encode(errors="replace") + content,))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
