"""`python -m hardening.soak`: the service under a load of all sorts, minute after minute; exit code 1 when it suffers."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hardening.load.table import table
from hardening.soak.lives import Life
from hardening.soak.planted import PLANTS
from hardening.soak.run import Evidence, Plan, soak


def main() -> int:
    """Soak the service with each number of workers in turn, and print what was found; the exit code."""
    options = _parser().parse_args()
    findings = [line for workers in options.workers for line in _soaked(options, workers)]
    print(*(f"out of bounds: {line}" for line in findings), sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


def _soaked(options: argparse.Namespace, workers: int) -> list[str]:
    plan = Plan(60.0 * options.minutes, workers, options.clients, options.plant, options.samples, options.log)
    print(f"soak of {options.minutes:g} min, {workers} workers", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        evidence = soak(plan, Path(folder))
    print(report(evidence), flush=True)
    return [f"{line} ({workers} workers)" for line in evidence.findings()]


def report(evidence: Evidence) -> str:
    """The tables."""
    tally, lost = evidence.tally, evidence.tally.lost_in_kills(evidence.kills)
    done = f"{tally.total} requests; {len(evidence.kills)} kills, in which {lost} requests were lost"
    outcomes = [(kind, label, count) for (kind, label), count in sorted(tally.counts.items())]
    return "\n\n".join(
        [
            table(("kind", "answer", "count"), outcomes),
            table(
                ("process", "pid", "seconds", "first MiB", "last MiB", "KiB/min", "descriptors", "threads"),
                [_row(life) for life in evidence.lives.those_that_answer()],
            ),
            f"{done}; {len(evidence.hangups)} replacements of all workers; {len(evidence.findings())} findings",
        ]
    )


def _row(life: Life) -> tuple[object, ...]:
    first, last = life.looks[0], life.looks[-1]
    return (
        life.role,
        life.pid,
        round(life.seconds),
        round(first.rss_kib / 1024),
        round(last.rss_kib / 1024),
        round(life.slope()) if life.is_long_enough else "-",
        f"{first.n_descriptors} … {last.n_descriptors}",
        f"{first.n_threads} … {last.n_threads}",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hardening.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each number of workers; 30 is a good soak")
    parser.add_argument("--workers", type=_numbers, default=(2, 1), help="numbers of workers, in turn: 2,1")
    parser.add_argument("--clients", type=int, default=2, help="processes of clients")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="put a defect in, which has to be found")
    parser.add_argument("--samples", type=Path, help="file to which each second is added as a line of JSON")
    parser.add_argument("--log", type=Path, help="file to which the service's log is added")
    return parser


def _numbers(words: str) -> tuple[int, ...]:
    """Comma-separated whole numbers."""
    return tuple(map(int, words.split(",")))


if __name__ == "__main__":
    sys.exit(main())
