"""`python -m benchmarks.training`: measure, and write results.md, results.json and the curves; with --own, own.md."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.training.curves import curves
from benchmarks.training.ours import OWN
from benchmarks.training.own import own_markdown
from benchmarks.training.peer import N_THREADS
from benchmarks.training.peers import PEERS, contenders
from benchmarks.training.report import markdown
from benchmarks.training.runner import CLEAR, SHORTEST_LIMIT_S, Outcome, measure
from benchmarks.training.shapes import SHAPES
from benchmarks.training.summary import README, with_summary

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the chosen shapes and peers, or the service's own solvers, and write what was found."""
    options = _parser().parse_args()
    started = datetime.now(UTC)
    outcome = Outcome([], [], {})
    for shape in options.shapes:
        peers = list(OWN.values()) if options.own else contenders(shape, options.peers)
        measure(outcome, shape, peers, rounds=options.rounds, limit_s=options.limit)
        # After each shape: a run that is interrupted keeps what it has.
        (write_own if options.own else write)(outcome, facts(options, started), options.out)


def facts(options: argparse.Namespace, started: datetime) -> dict[str, str]:
    """What a reader needs to judge the figures: date, machine, versions and settings."""
    return {
        "date": f"{started:%Y-%m-%d %H:%M} UTC, {(datetime.now(UTC) - started).seconds // 60} minutes",
        "machine": f"{os.cpu_count()} CPUs, {processor()}, {platform.system()} {platform.machine()}",
        "threads": f"{N_THREADS} for every peer, through the environment",
        "versions": f"Python {platform.python_version()}, {versions()}",
        "rounds": f"{options.rounds}, interleaved; the spread is the fastest and slowest of them",
        "limit": f"{options.limit:g} s per peer and shape in each round, all its tolerances together, "
        f"in the first also {CLEAR:g} times the fastest peer so far (at least {SHORTEST_LIMIT_S:g} s)",
    }


def write(outcome: Outcome, about: dict[str, str], folder: Path) -> None:
    """results.md, results.json and one SVG per shape, into a folder; into the benchmark's own, the README's table too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(markdown(outcome, about), encoding="utf-8")
    (folder / "results.json").write_text(outcome.to_json() + "\n", encoding="utf-8")
    for reference in outcome.references:
        runs = [run for run in outcome.runs if run.shape == reference.shape]
        title = f"{reference.shape}: {SHAPES[reference.shape].text}"
        (folder / f"curves-{reference.shape}.svg").write_text(curves(runs, title), encoding="utf-8")
    if folder.resolve() == HERE:
        README.write_text(with_summary(README.read_text(encoding="utf-8"), outcome), encoding="utf-8")
    print(f"written to {folder}", flush=True)


def write_own(outcome: Outcome, about: dict[str, str], folder: Path) -> None:
    """own.md and own.json, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.md").write_text(own_markdown(outcome, about), encoding="utf-8")
    (folder / "own.json").write_text(outcome.to_json() + "\n", encoding="utf-8")
    print(f"written to {folder}", flush=True)


def versions() -> str:
    """Name and version of every distribution that is measured, and of those that they all stand on."""
    installed = {peer.distribution: peer.version for peer in PEERS.values() if peer.version}
    installed |= {name: metadata.version(name) for name in ("numpy", "scipy", "pyarrow")}
    return ", ".join(f"{name} {version}" for name, version in installed.items())


def processor() -> str:
    """The CPU's name as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--shapes", type=_among(SHAPES), default=list(SHAPES), help=f"of {', '.join(SHAPES)}")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--peers", type=_among(PEERS), help=f"of {', '.join(PEERS)}; default: those usual for each shape")
    who.add_argument("--own", action="store_true", help="the service's own solvers against each other instead")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=25.0, help="seconds per peer, shape and round")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    return parser


def _among(known: Collection[str]) -> Callable[[str], list[str]]:
    """A comma-separated choice of known names."""

    def choice(words: str) -> list[str]:
        names = words.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names

    return choice


if __name__ == "__main__":
    main()
