"""What the benchmark of serving writes, from figures that were made up."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.serving.__main__ import write
from benchmarks.serving.open_loop import OpenLoop
from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.ours import OURS, WITHOUT_METRICS
from benchmarks.serving.report import brief, markdown, number, ratio
from benchmarks.serving.runner import Installation, Outcome, Remark, Turn
from benchmarks.serving.server import NotServing
from benchmarks.serving.summary import summary_table, with_summary

TUTORIAL = "tutorial"


def tail(rate: float, p99_ms: float) -> OpenLoop:
    return OpenLoop(
        rate=rate,
        due=1000,
        failed=0,
        unanswered=0,
        p50_ms=0.1,
        p99_ms=p99_ms,
        p999_ms=2.0,
        max_ms=3.0,
        late_p99_ms=0.01,
        late_max_ms=0.02,
    )


def turn(
    peer: str, number: int, requests_per_s: float, *, shape: str = "1x30", tails: tuple[OpenLoop, ...] = ()
) -> Turn:
    return Turn(
        round=number,
        shape=shape,
        peer=peer,
        requests_per_s=requests_per_s,
        failed=0,
        cold_start_s=0.25 + number,
        idle_mib=40.0,
        latencies=tails,
    )


@pytest.fixture
def outcome() -> Outcome:
    turns = [
        *(turn(FLOOR.name, 0, 50_000.0), turn(FLOOR.name, 1, 40_000.0), turn(FLOOR.name, 2, 60_000.0)),
        *(turn(OURS, round_, rate, tails=(tail(300.0, 0.5),)) for round_, rate in enumerate((100_000.0, 60_000.0))),
        turn(OURS, 2, 120_000.0, tails=(tail(300.0, 0.7), tail(20_000.0, 0.9))),
        *(turn(TUTORIAL, 0, 2_000.0, tails=(tail(300.0, 1.5),)), turn(TUTORIAL, 1, 2_500.0)),
        turn(WITHOUT_METRICS, 2, 123_000.0),
        *(turn(OURS, 0, 100.0, shape="10000x30"), turn(TUTORIAL, 0, 10.0, shape="10000x30")),
    ]
    installations = [
        Installation(FLOOR.name, "0.54", 100.0, 0.0),
        Installation(OURS, "0.1.0", 100.0, 1e-16),
        Installation(TUTORIAL, "0.165", 400.0, 2e-16),
    ]
    remarks = [Remark("mlflow", "", "not installed: ERROR: no | matching"), Remark(TUTORIAL, "100x30", "ended")]
    return Outcome({"machine": "a machine"}, installations, turns, remarks)


def test_outcome_survives_json(outcome: Outcome) -> None:
    """results.json holds all that was measured."""
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_ratios_are_within_a_round(outcome: Outcome) -> None:
    """Each round's figures over those of the same round; a round that one of them lacks does not count."""
    to_floor, to_tutorial = ratio(outcome, OURS, FLOOR.name, "1x30"), ratio(outcome, OURS, TUTORIAL, "1x30")

    assert to_floor is not None
    assert to_tutorial is not None
    assert (to_floor.middle, to_floor.low, to_floor.high, to_floor.rounds) == (2.0, 1.5, 2.0, 3)
    assert (to_tutorial.middle, to_tutorial.rounds) == (37.0, 2)
    assert ratio(outcome, OURS, "mlflow", "1x30") is None


def test_report_has_every_figure(outcome: Outcome) -> None:
    """Throughput with its spread and ratios, latency by rate, the process, the price of metrics, and who is missing."""
    lines = markdown(outcome).splitlines()

    assert "- machine: a machine" in lines
    assert f"| {OURS} | 100 000 (60 000 … 120 000) | 100 000 | 2 × (1.5 × … 2 ×) | 1 × (1 × … 1 ×) | 0 |" in lines
    assert f"| {TUTORIAL} | 10.0 | 100 000 | – | 10 × | 0 |" in lines
    assert f"| {OURS} | 0.1 ms | 0.9 ms | 2 ms | 3 ms | 0 | 0.01 ms |" in lines
    assert f"Not asked, for it is beyond their throughput: {FLOOR.name}, {WITHOUT_METRICS}, {TUTORIAL}." in lines
    assert any(line.startswith(f"| {TUTORIAL} | 0.165 | 0.75 s (0.25 s … 1.25 s) | 40 MiB (40") for line in lines)
    assert f"With metrics on, {OURS} answers 0.976 × as many requests as with them off." in lines
    assert "- mlflow: not installed: ERROR: no | matching" in lines
    assert "- tutorial on 100x30: ended" in lines


def test_brief_report_leaves_the_process_out(outcome: Outcome) -> None:
    """While one works on the service, throughput, latency and the price of metrics are what is printed."""
    report, whole = brief(outcome), markdown(outcome)

    assert "With metrics on" in report
    assert "## Latency at 300 requests a second" in report
    assert "## The process" not in report
    assert all(line in whole for line in report.splitlines())


def test_results_are_written(outcome: Outcome, tmp_path: Path) -> None:
    """The report, the figures in JSON, and a drawing that is well-formed XML with a bar for each server and shape."""
    write(outcome, tmp_path)

    drawn = ET.parse(tmp_path / "throughput.svg").getroot()
    rectangles = [each for each in drawn.iter() if each.tag.endswith("rect")]
    assert (tmp_path / "results.md").read_text() == markdown(outcome)
    assert Outcome.from_json((tmp_path / "results.json").read_text()) == outcome
    assert len(rectangles) == 1 + 4 + 2


def test_nothing_measured_is_still_a_report(tmp_path: Path) -> None:
    """When no server came up, the reasons are what there is to write."""
    outcome = Outcome()
    outcome.remark(OURS, "", NotServing("ended with code 1: no store"))

    write(outcome, tmp_path)

    assert f"- {OURS}: ended with code 1: no store" in (tmp_path / "results.md").read_text()
    assert ET.parse(tmp_path / "throughput.svg").getroot().tag.endswith("svg")


def test_summary_has_one_line_a_server(outcome: Outcome) -> None:
    """Requests, how many times as many ours answers, the tail, rows of a batch, cold start, idle memory, install."""
    table = summary_table(outcome)

    assert table.splitlines()[2:] == [
        f"| {FLOOR.name} | 50 000 | 2 × | – | – | 1.25 s | 40 MiB | – |",
        f"| {OURS} | 100 000 | – | 0.5 ms | 1 000 000 | 1.25 s | 40 MiB | 100 MiB |",
        f"| {TUTORIAL} | 2 250 | 37 × | 1.5 ms | 100 000 | 0.75 s | 40 MiB | 400 MiB |",
    ]


def test_summary_replaces_its_block_alone(outcome: Outcome) -> None:
    """The text around the markers stays, and a text without them stays whole."""
    before, after = "one\n<!-- serving figures: by hand -->\n", "<!-- end of serving figures -->\ntwo\n"

    assert with_summary(f"{before}old\n{after}", outcome) == before + summary_table(outcome) + after
    assert with_summary("one\ntwo\n", outcome) == "one\ntwo\n"


@pytest.mark.parametrize(
    ("value", "words"), [(0.1234, "0.12"), (9.87, "9.87"), (34.56, "34.6"), (999.0, "999"), (52_345.0, "52 300")]
)
def test_numbers_have_three_digits(value: float, words: str) -> None:
    """No more than were measured; thousands are apart."""
    assert number(value) == words
