"""`python -m hardening.restarts`: 100 restarts behind a balancer; exit code 1 when a request notices one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.serving.open_loop import percentile
from hardening.load.models import store_with_models
from hardening.load.table import table
from hardening.restarts.run import Rolled, roll


def main() -> int:
    """Restart the instances in turn, and print what came of it; the exit code."""
    options = _parser().parse_args()
    print(f"{options.count} restarts at {options.rate:g} requests/s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rolled = roll(store_with_models(Path(folder), 1), options.count, options.rate, options.workers)
    print(report(rolled))
    found = rolled.findings()
    print(*(f"out of bounds: {line}" for line in found), sep="\n", end="\n" if found else "")
    return 1 if found else 0


def report(rolled: Rolled) -> str:
    """The answers, what the balancer did, and how long the restarts took."""
    offered = rolled.offered
    answers = [
        (label, count, offered.took_ms(label, 0.5), offered.took_ms(label, 0.99), offered.took_ms(label, 1.0))
        for label, count in offered.counts().items()
    ]
    parts = {"stop": [r.stop_s for r in rolled.restarts], "start": [r.start_s for r in rolled.restarts]}
    times = [
        (name, len(seconds), percentile(sorted(seconds), 0.5), percentile(sorted(seconds), 1.0))
        for name, seconds in parts.items()
    ]
    return "\n\n".join(
        [
            table(("answer", "count", "p50 ms", "p99 ms", "max ms"), answers),
            table(("part of a restart", "count", "p50 s", "max s"), times),
            table(("the balancer", "count"), sorted(rolled.events.items())),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hardening.restarts", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="restarts in all")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--workers", type=int, default=1, help="of each instance")
    return parser


if __name__ == "__main__":
    sys.exit(main())
