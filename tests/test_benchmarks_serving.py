"""The benchmark of serving: the model and the peers that it measures, and a real server's turn up to the load."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.closed_loop import ClosedLoop, counted
from benchmarks.serving.environment import Environment, installed, this_environment
from benchmarks.serving.memory import process_tree, tree_mib
from benchmarks.serving.model import drawn, publish
from benchmarks.serving.peer import Peer, Place
from benchmarks.serving.peers import PEERS, SELF
from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.open_inference import second_of_output
from benchmarks.serving.pinning import SERVER_CPU
from benchmarks.serving.runner import Outcome, install, takes
from benchmarks.serving.server import NotServing, distance, free_ports, serving
from benchmarks.serving.shapes import SHAPES
from service.store.model_store import ModelStore
from service.tabular.table import Table


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(this_environment(), tmp_path, free_ports(3), SHAPES["1x4"])


def ends_with(code: int) -> Peer:
    """A server that says goodbye and ends."""
    said = f"import sys; print('goodbye'); sys.exit({code})"
    return replace(FLOOR, command=lambda _: [sys.executable, "-c", said])


def test_stored_model_gives_the_probabilities_of_the_drawn_one(tmp_path: Path) -> None:
    """What this service serves from the store is what the others get as coefficients."""
    linear, X = drawn(4), np.random.default_rng(3).standard_normal((20, 4))

    publish(linear, "columns", tmp_path)
    stored = ModelStore(tmp_path).load("columns", 1)

    table = Table(stored.model.schema.names, tuple(X.T), len(X))
    assert stored.model.probabilities(table)[:, 1] == pytest.approx(linear.probabilities(X), rel=1e-14)
    assert ModelStore(tmp_path).aliases("columns")["live"].version == 1


@pytest.mark.parametrize("name", SHAPES)
def test_rows_are_always_the_same(name: str) -> None:
    """A shape is a fixed request, so that every peer, round and run is asked the same."""
    shape = SHAPES[name]

    assert shape.rows().shape == (shape.n_rows, shape.n_columns)
    assert (shape.rows() == shape.rows()).all()


@pytest.mark.parametrize("peer", PEERS.values(), ids=list(PEERS))
def test_every_peer_gets_all_numbers(peer: Peer) -> None:
    """The body of each peer holds every cell to the last bit."""
    X = SHAPES["100x30"].rows()

    body = peer.request(X).decode()

    assert all(repr(cell) in body for cell in X.ravel().tolist())


@pytest.mark.parametrize(
    "data", [[0.75, 0.25, 0.5, 0.5], [[0.75, 0.25], [0.5, 0.5]]], ids=["flat as MLServer's", "in rows"]
)
def test_output_tensors_are_read_by_row(data: list[object]) -> None:
    """P(second class) of each row, however the server lays the tensor out."""
    assert second_of_output({"outputs": [{"shape": [2, 2], "data": data}]}) == [0.25, 0.5]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"probabilities": [[0.75, 0.25], [0.5, 0.5]]}, 0.0),
        ({"probabilities": [[0.75, 0.25], [0.25, 0.75]]}, 0.25),
        ({"probabilities": [[0.75, 0.25]]}, float("inf")),
        ({"detail": "no"}, float("inf")),
        ("no", float("inf")),
    ],
)
def test_only_right_answers_count(answer: object, expected: float) -> None:
    """The distance is the largest difference; too few rows, and an answer of another kind, are infinitely wrong."""
    assert distance(FLOOR, json.dumps(answer).encode(), np.array([0.25, 0.5])) == expected


def test_a_real_server_is_started_asked_and_ended(place: Place) -> None:
    """The floor gives a right answer on its own CPU, has memory, and leaves no process behind."""
    FLOOR.prepare(place)

    with serving(FLOOR, place) as running:
        cpus = os.sched_getaffinity(running.pid)
        mib = tree_mib(running.pid)

    assert running.difference <= 1e-12
    assert running.cold_start_s > 0
    assert cpus == {SERVER_CPU}
    assert mib > 1
    assert not Path(f"/proc/{running.pid}").exists()


def test_a_server_that_ends_says_why(place: Place) -> None:
    """Its code and its last line are the reason in the report."""
    with pytest.raises(NotServing, match="ended with code 3: goodbye"), serving(ends_with(3), place):
        pass


def test_a_process_tree_begins_with_its_root() -> None:
    """The root is counted once, with all below it."""
    tree = process_tree(os.getpid())

    assert tree[0] == os.getpid()
    assert len(set(tree)) == len(tree)


def test_environments_know_versions_and_sizes() -> None:
    """The version of a distribution, and what all of them take on the disk."""
    here = this_environment()

    assert here.version("numpy") == np.__version__
    assert here.mib() > 1


def test_environments_are_made_once(tmp_path: Path) -> None:
    """An environment stays as it is until what it is made from changes; it holds no pip of its own."""
    first = installed("empty", (), tmp_path)
    (first.packages / "left.txt").write_text("left")

    again = installed("empty", (), tmp_path)

    assert again == first == Environment(tmp_path / "empty" / "bin", first.packages)
    assert [path.name for path in first.packages.iterdir()] == ["left.txt"]


def test_a_peer_that_cannot_be_installed_is_remarked(tmp_path: Path) -> None:
    """The last line of pip's error stands in the report, and the others go on."""
    outcome, missing = Outcome(), str(tmp_path / "missing.txt")

    environments = install(outcome, [replace(FLOOR, installs=(("--requirement", missing),))], tmp_path)

    assert environments == {}
    assert "missing.txt" in outcome.remarks[0].text
    assert outcome.refused(FLOOR.name, "1x4")


def test_wrk_is_understood() -> None:
    """Answers over seconds, and every kind of failure together, from the line among wrk's own."""
    said = 'Running 1s test\n{"requests": 30, "seconds": 1.5, "failed": 2, "p50_ms": 1.0, "p99_ms": 2.0}\n'

    assert counted(said) == ClosedLoop(requests_per_s=20.0, failed=2)


def test_metrics_are_weighed_on_one_row() -> None:
    """This service without metrics runs on 1×30 alone; the others everywhere."""
    assert [shape for shape in SHAPES if takes(PEERS[SELF[2]], SHAPES[shape])] == ["1x30"]
    assert all(takes(PEERS[SELF[0]], shape) for shape in SHAPES.values())
