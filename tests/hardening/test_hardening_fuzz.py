"""The judge and the files of ``make fuzz``: bad answers are found, good ones are not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from hardening.fuzz import failures, mutations
from hardening.fuzz.cases import BATCH, MARKERS, REPEATS, WARM_UP, WORD, Case, Ending
from hardening.fuzz.grammars import kinds as grammars
from hardening.fuzz.judge import Finding, judged
from hardening.fuzz.memory import ALLOWED, Memory
from hardening.fuzz.sending import Sender
from hardening.fuzz.valid import WHOLE

Kinds: TypeAlias = Callable[[], dict[str, int]]
Cases: TypeAlias = Callable[[str, int, str], list[Case]]

CASE = Case("grammar", "models", (WHOLE["models"].wire(),))
OK_BODY = b'{"models":[]}\n'
PROBLEM = {"type": "/problems/wrong-type", "title": "Wrong type", "status": 422, "detail": "no", "request_id": "r"}


def answer(status: int, kind: str, body: bytes, *lines: bytes) -> bytes:
    """An answer as bytes."""
    head = [b"HTTP/1.1 %d Some words" % status, b"content-type: " + kind.encode(), b"content-length: %d" % len(body)]
    return b"\r\n".join([*head, b"x-request-id: r", *lines, b"", b""]) + body


def problem(**changed: object) -> bytes:
    """A problem as bytes, with some members changed."""
    members = PROBLEM | changed
    status = members["status"]
    assert isinstance(status, int)
    return answer(status, "application/problem+json", json.dumps(members).encode() + b"\n", b"retry-after: 1")


OK = answer(200, "application/json", OK_BODY)
BAD = {
    "server-error": problem(type="/problems/internal-error", status=500),
    "no-problem": answer(400, "text/plain", b"no\n"),
    "malformed": OK.replace(b"\r\ncontent-length", b"\ncontent-length"),
    "unanswered": b"",
    "echo": problem(detail=f"{WORD} is no number"),
    "long": problem(detail="x" * 10_000),
}
MORE_BAD = {
    "no-problem": (
        *(problem(status=400), problem(type="/problems/unheard-of"), problem(request_id="other")),
        *(problem(status=405, type="/problems/method-not-allowed"), answer(422, "application/problem+json", b"{")),
        answer(503, "application/problem+json", b'{"type": "/problems/no-live-model"}'),
    ),
    "server-error": (answer(502, "text/html", b"<p>"), problem(type="/problems/store-full", status=507)),
    "malformed": (
        *(OK.replace(b"\r\n\r\n", b"\r\ncontent-length: 14\r\n\r\n"), OK + b"more", OK[:-3], b"garbage\r\n\r\n"),
        *(
            OK.replace(b"r\r\n", b"r\x00\r\n"),
            answer(200, "application/json", b'{"a":NaN}\n'),
            b"HTTP/1.1 200 OK\r\n\r\n",
        ),
        answer(200, "application/json", b"{}"),
    ),
}


@contextmanager
def answering(data: bytes | None) -> Iterator[int]:
    """The port of a server that answers each connection with these bytes and closes, or not at all."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if stopped.is_set():
                        return
                    connection.recv(1 << 16)
                    if data is None:
                        stopped.wait(30)
                    else:
                        connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        stopped.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(30)


def found_in(data: bytes | None, case: Case = CASE) -> set[str]:
    """The kinds of what is found when a service answers like this."""
    with answering(data) as port, Sender(port, guard_s=1.0) as sender:
        return {finding.kind for finding in judged(sender.send(case))[1]}


@pytest.mark.parametrize("data", [OK, problem(), problem(errors=[]), answer(200, "text/plain", b"text")])
@pytest.mark.parametrize("ending", [Ending.KEEP, Ending.SHUT])
def test_good_answers_are_no_findings(data: bytes, ending: Ending) -> None:
    """Successes and problems that are in order pass, on kept connections and others."""
    assert found_in(data, replace(CASE, ending=ending)) == set()


@pytest.mark.parametrize(
    ("kind", "data"),
    [*BAD.items(), *((kind, data) for kind, several in MORE_BAD.items() for data in several)],
)
def test_bad_answers_are_findings(kind: str, data: bytes) -> None:
    """A 500, text instead of a problem, HTTP that is malformed, a value that comes back: each is found."""
    ending = Ending.KEEP if kind == "unanswered" else Ending.SHUT

    assert kind in found_in(data, replace(CASE, ending=ending))


def test_silence_is_a_finding() -> None:
    """What does not answer within the guard hangs; what nobody answers has died."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Sender(port) as sender:
        refused = {finding.kind for finding in judged(sender.send(CASE))[1]}

    assert found_in(None) == {"hang"}
    assert refused == {"died"}


def test_a_name_may_be_quoted_where_bytes_were_moved_about() -> None:
    """Mutations and CSV turn values into names, which a refusal quotes; a value that is not quoted is found there, too."""
    quoted, bare = problem(detail=f"'{WORD}' is not a column"), problem(detail=f"{WORD} is not a column")
    mutated = replace(CASE, part="bytes", ending=Ending.SHUT)

    assert found_in(quoted, mutated) == set()
    assert found_in(bare, mutated) == {"echo"}
    assert found_in(quoted, replace(CASE, ending=Ending.SHUT)) == {"echo"}


def test_steady_growth_is_suspected_and_what_comes_first_is_not() -> None:
    """Memory that a class takes after its warm-up, over as many requests as count, is more than it may take."""
    memory = Memory()
    for _ in range(WARM_UP):
        assert not memory.count(CASE, 10 * ALLOWED).is_due
    dues = [memory.count(CASE, ALLOWED // REPEATS + 1).is_due for _ in range(REPEATS)]

    assert dues == [False] * (REPEATS - 1) + [True]
    assert memory.judge(CASE) == [CASE] * REPEATS
    assert memory.judge(CASE) == []


def test_a_failing_input_is_kept_and_made_small(tmp_path: Path) -> None:
    """The file has the exact bytes; the smallest input is what the failure needs."""
    case = Case("bytes", "flip json", (b"POST /\xff", b" HTTP\x00 and much more of it" * 20), Ending.RESET)
    kept = failures.Failures(tmp_path, seed=3)

    line = kept.add(
        Finding("log", "a defect"), [case], lambda: failures.smallest(case, lambda one: b"\xff" in one.data)
    )
    again = kept.add(Finding("log", "a defect"), [case, case], lambda: None)
    paths = [Path(text.rpartition(" -> ")[2]) for text in (line, again)]

    assert [failures.read(path) for path in paths] == [[case], [case, case]]
    assert json.loads(paths[0].read_text())["smallest"]["pieces"] == ["\xff"]


def test_findings_that_read_alike_are_kept_a_few_times(tmp_path: Path) -> None:
    """Thousands of one kind leave three files, and are counted."""
    kept = failures.Failures(tmp_path, seed=3)

    lines = [kept.add(Finding("echo", f"422 request {n}"), [CASE] * (n + 1), lambda: None) for n in range(20)]

    assert [bool(line) for line in lines] == [True] * 3 + [False] * 17
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("kinds", "cases"), [(grammars.kinds, grammars.cases), (mutations.kinds, mutations.cases)], ids=["grammar", "bytes"]
)
def test_the_seed_decides_what_is_sent(kinds: Kinds, cases: Cases) -> None:
    """Every class makes cases, the same for the same seed, and others for another."""
    for kind in kinds():
        first, again, other = (cases(kind, 10, seed) for seed in ("1", "1", "2"))

        assert first
        assert first == again
        assert first != other


def test_classes_are_large_enough_to_be_judged() -> None:
    """But for trainings, one batch warms a class up and measures it."""
    sizes = {**grammars.kinds(), **mutations.kinds()}

    assert {kind for kind, n in sizes.items() if n < BATCH} == {kind for kind in sizes if "train" in kind} - {
        "train heads"
    }


def test_values_are_planted() -> None:
    """What may not come back is in requests of both sorts, and in the valid ones that mutations begin with."""
    kinds = ("json cells", "csv headers", "heads")
    sent = b"".join(case.data for kind in kinds for case in grammars.cases(kind, 60, "1"))

    assert all(marker in sent for marker in MARKERS)
    assert MARKERS[1] in WHOLE["json"].wire()
