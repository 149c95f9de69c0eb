"""What an overload and a crowd are held to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hardening.crowd.__main__ import report as crowd_report
from hardening.crowd.run import Crowded, Size
from hardening.load.generator import Outcome
from hardening.load.probe import FAILED, Probed, back_to_normal_s, p99_ms
from hardening.overload.__main__ import report
from hardening.overload.bounds import REFUSED, findings
from hardening.overload.kinds import Kind
from hardening.overload.measure import Overload, Turn

HELD, TOLD = Kind("batch", b"", 10.0, is_held=True), Kind("row", b"", 1.5, is_held=False)


def outcome(seconds: float = 1.0, **took_s: list[float]) -> Outcome:
    """Requests by label, underlines for spaces, all sent at the start, with what each took."""
    found = Outcome(seconds)
    for label, times in took_s.items():
        for took in times:
            found.due += 1
            found.sent.append(0.0)
            found.add(label.strip("_").replace("__", "-").replace("_", " "), 0.0, took)
    return found


def overloaded(**changes: Any) -> Overload:
    """One that bears it: 100 answers and 900 quick refusals of 1000 requests, at a peak of 100/s."""
    offered = outcome(_200=[0.05] * 100)
    for _ in range(900):
        offered.due += 1
        offered.sent.append(0.5)
        offered.add(REFUSED, 0.5, 0.002)
    livez = [Probed(0.0, "200", 3.0)] * 10
    turns = [Turn(peak, 100.0, outcome(_200=[0.05] * 100)) for peak in (50.0, 100.0, 200.0)]
    return replace(Overload(HELD, (100.0, 100.0), 1000.0, offered, livez, 5.0, 1.0, 0.5, turns), **changes)


def slow() -> Outcome:
    offered = outcome(_200=[0.05] * 100)
    for _ in range(900):
        offered.sent.append(0.5)
        offered.add(REFUSED, 0.5, 0.011)
    return offered


def test_a_service_that_bears_it_is_within_bounds() -> None:
    """Goodput, refusals, health, memory and recovery as they must be; a report of it."""
    assert findings(overloaded()) == []
    assert "100 requests/s, 100% of the peak" in report(overloaded())
    assert "100% (50% … 200% in 3)" in report(overloaded())


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"turns": [Turn(100.0, 110.0, outcome(_200=[0.05] * 100))]}, "in 1 of 1 turns less was sent than planned"),
        ({"peaks": (100.0, 120.0)}, "goodput is 83% of the peak, at least 90% are due"),
        ({"turns": [Turn(120.0, 100.0, outcome(_200=[0.05] * 100))]}, "in turns it is 83%"),
        ({"rate": 2000.0}, "1000 of 2000 requests/s were sent, and 0 waited for one of 0 connections"),
        ({"offered": slow()}, "refusals took 11.0 ms at p99, at most 10 ms are allowed"),
        ({"offered": outcome(_200=[0.05] * 1000)}, "nothing was refused"),
        ({"livez": [Probed(0.0, FAILED, 5000.0)]}, "1 of 1 probes of /livez: no answer"),
        ({"livez": [Probed(0.0, "200", 1001.0)]}, "/livez took 1001 ms at p99"),
        ({"growth_mib": 65.0}, "memory grew by 65 MiB, at most 64 are allowed"),
        ({"back_s": float("inf")}, "back to normal after inf s, at most 2 s are allowed"),
    ],
)
def test_each_bound_is_held(changes: dict[str, Any], finding: str) -> None:
    """What is out of bounds is one line."""
    assert findings(overloaded(**changes)) == [f"batch: {finding}"]


@pytest.mark.parametrize(
    "label", ["unanswered", "unsent", "closed", "500 internal-error", f"{REFUSED}, no Retry-After"]
)
def test_only_answers_and_refusals_are_allowed(label: str) -> None:
    """A request without an answer is a finding, and so is a refusal that does not say when to come back."""
    measured = overloaded()
    measured.offered.add(label, 0.0, 1.0)
    measured.turns[0].offered.add(label, 0.0, 1.0)

    assert findings(measured) == [f"batch: 2 requests came to {label}"]


def test_what_is_only_told_is_not_held_to_goodput() -> None:
    """For one row neither goodput nor refusals have bounds; health, memory and recovery have."""
    assert (
        findings(overloaded(kind=TOLD, peaks=(1e6, 1e6), turns=[Turn(1e6, 1e6, outcome(_200=[0.05]))], rate=1e6)) == []
    )
    assert findings(overloaded(kind=TOLD, growth_mib=100.0)) != []


def test_goodput_counts_what_came_in_time() -> None:
    """An answer after the end is no goodput, and what waited was not sent at its rate."""
    late = outcome(2.0, _200=[0.5, 1.0, 2.5])
    late.sent[2] = 2.1

    assert late.rate("200") == 1.0
    assert late.sent_rate() == 1.0


def test_goodput_is_that_of_a_second_like_most() -> None:
    """The machine stood still for one second of five, and was quick in another: neither counts."""
    seconds = [[0.5] * 10, [1.5] * 10, [2.5] * 90, [3.5] * 11, []]

    assert outcome(5.0, _200=[took for each in seconds for took in each]).rate("200") == 10.0


def test_back_to_normal_is_the_first_of_a_row() -> None:
    """One quick answer among slow ones is luck; without a row there is no way back."""
    took = [50.0, 1.0, 50.0, 1.0, 1.0, 1.0]
    seen = [Probed(10.0 + at, "200", ms) for at, ms in enumerate(took)]
    refused = [replace(one, label=REFUSED) for one in seen]

    assert back_to_normal_s(seen, 9.5, 2.0, in_a_row=3) == 3.5
    assert back_to_normal_s(seen, 9.5, 2.0, in_a_row=4) == float("inf")
    assert back_to_normal_s(refused, 9.5, 100.0, in_a_row=1) == float("inf")
    assert p99_ms(seen) == 50.0


def crowd(**changes: Any) -> Crowded:
    quick = outcome(_200=[0.001] * 100)
    return replace(
        Crowded(Size(), quick, quick, quick, 14, 1014, 15, {("half a head", "408 request-timeout"): 3}), **changes
    )


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"beside": outcome(_200=[0.0041] * 9), "alone_again": outcome(_200=[0.002])}, []),
        ({"beside": outcome(_200=[0.0041] * 9)}, ["p99 is 4.1 ms beside the crowd, and 1.0 ms without it"]),
        ({"beside": outcome(_200=[0.001], closed=[1.0])}, ["beside the crowd: 1 requests came to closed"]),
        ({"most": 900}, ["the crowd was never there: 886 of 1000 connections"]),
        ({"after": 19}, ["the service holds 19 descriptors, and held 14 before the crowd came"]),
        ({"closed": {("half a head", "refused"): 2}}, ["2 connections of the crowd were refused"]),
        ({"beside": outcome()}, ["p99 is nan ms beside the crowd, and 1.0 ms without it"]),
    ],
)
def test_a_crowd_may_not_be_noticed(changes: dict[str, Any], lines: list[str]) -> None:
    """All answers 200 in about the same time, descriptors as before, and the crowd was really there."""
    assert crowd(**changes).findings() == lines
    assert "p99 " in crowd_report(crowd(**changes))
