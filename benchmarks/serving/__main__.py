"""`python -m benchmarks.serving`: measure, and write results.md, results.json and the figure; with --self, print alone."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.serving.environment import this_environment
from benchmarks.serving.figure import figure
from benchmarks.serving.peers import PEERS, SELF
from benchmarks.serving.pinning import LOAD_CPU, SERVER_CPU
from benchmarks.serving.report import brief, markdown
from benchmarks.serving.runner import LATENCY_SHAPE, Outcome, Plan, install, measure
from benchmarks.serving.shapes import SHAPES
from benchmarks.serving.summary import README, with_summary

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the chosen peers on the chosen shapes, and write what was found."""
    options = _parser().parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("the closed loop needs wrk: apt-get install wrk")
    (_measure_ourselves if options.self else _measure_all)(options)


def _measure_ourselves(options: argparse.Namespace) -> None:
    """The floor and this service, from the environment that the benchmark runs in; nothing is installed or written."""
    plan = Plan(rounds=options.rounds or 2, warm_s=1, seconds=1, rates=(300.0, 20_000.0), latency_s=0.5)
    outcome = Outcome()
    environments = dict.fromkeys(SELF, this_environment())
    measure(outcome, [PEERS[name] for name in SELF], [SHAPES[LATENCY_SHAPE]], plan, environments)
    print(brief(outcome))


def _measure_all(options: argparse.Namespace) -> None:
    started, busy = datetime.now(UTC), os.getloadavg()[0]
    plan = Plan(options.rounds or 3, options.warm, options.seconds, tuple(options.rates), options.latency)
    outcome, peers = Outcome(), [PEERS[name] for name in options.peers]
    environments = install(outcome, peers)

    def write_so_far() -> None:
        outcome.facts.update(facts(plan, started, busy))
        write(outcome, options.out)

    measure(outcome, peers, [SHAPES[name] for name in options.shapes], plan, environments, write_so_far)


def facts(plan: Plan, started: datetime, busy: float) -> dict[str, str]:
    """What a reader needs to judge the figures: date, machine and settings; busy: the load average before."""
    return {
        "date": f"{started:%Y-%m-%d %H:%M} UTC, {(datetime.now(UTC) - started).seconds // 60} minutes",
        "machine": f"{os.cpu_count()} CPUs, {processor()}, {platform.system()} {platform.machine()}",
        "before": f"load average {busy:.2f}: what else ran shares the CPUs with all servers",
        "python": platform.python_version(),
        "setting": f"one worker on CPU {SERVER_CPU}, the load on CPU {LOAD_CPU}, loopback, connections kept alive",
        "closed loop": f"wrk, {plan.seconds} s after {plan.warm_s} s of warming up",
        "open loop": f"{plan.latency_s:g} s at each rate, from the moment at which a request was due",
        "rounds": f"{plan.rounds}, interleaved; the figure is their median, the lowest and highest behind it",
    }


def write(outcome: Outcome, folder: Path) -> None:
    """results.md, results.json and the figure, into a folder; into the benchmark's own, the README's table too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(markdown(outcome), encoding="utf-8")
    (folder / "results.json").write_text(outcome.to_json() + "\n", encoding="utf-8")
    (folder / "throughput.svg").write_text(figure(outcome), encoding="utf-8")
    if folder.resolve() == HERE:
        README.write_text(with_summary(README.read_text(encoding="utf-8"), outcome), encoding="utf-8")
    print(f"written to {folder}", flush=True)


def processor() -> str:
    """The CPU's name as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--shapes", type=_among(SHAPES), default=list(SHAPES), help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--peers", type=_among(PEERS), default=list(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--self", action="store_true", help="the floor and this service on one row, half a minute")
    parser.add_argument("--rounds", type=int, help="default: 3, with --self 2")
    parser.add_argument("--warm", type=int, default=3, help="seconds of the closed loop before those that count")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of the closed loop that count")
    parser.add_argument("--rates", type=_rates, default=(300.0, 3_000.0, 20_000.0), help="requests/s of the open loop")
    parser.add_argument("--latency", type=float, default=4.0, help="seconds of the open loop at each rate")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    return parser


def _rates(words: str) -> tuple[float, ...]:
    """Comma-separated numbers."""
    return tuple(map(float, words.split(",")))


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
