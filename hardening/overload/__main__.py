"""`python -m hardening.overload`: ten times what the service can do; exit code 1 when it does not bear it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.serving.pinning import LOAD_CPU, SERVER_CPU, on_cpu
from hardening.load.descriptors import allow_many
from hardening.load.models import store_with_models
from hardening.load.probe import p99_ms
from hardening.load.service import serving
from hardening.load.table import table
from hardening.overload.bounds import REFUSED, findings
from hardening.overload.kinds import KINDS, Kind
from hardening.overload.measure import Overload, overload


def main() -> int:
    """Overload a service with each kind of request in turn, and print what came of it; the exit code."""
    options = _parser().parse_args()
    allow_many()
    measured = [_measured(options, KINDS[name](options.rows)) for name in options.kinds]
    print("\n\n".join(map(report, measured)))
    found = [line for one in measured for line in findings(one)]
    print(*(f"out of bounds: {line}" for line in found), sep="\n", end="\n" if found else "")
    return 1 if found else 0


def _measured(options: argparse.Namespace, kind: Kind) -> Overload:
    print(f"{kind.name}: {options.seconds:g} s at {kind.times:g} times the peak", flush=True)
    with tempfile.TemporaryDirectory() as folder, on_cpu(LOAD_CPU):
        store = store_with_models(Path(folder), n_versions=1)
        with serving(store, workers=options.workers, cpu=SERVER_CPU) as service:
            return overload(service, kind, options.seconds, options.loop_seconds)


def report(measured: Overload) -> str:
    """Two tables: the figures, and what became of the requests."""
    offered = measured.offered
    ratio = offered.sent_rate() / measured.peaks[0]
    turns = sorted(turn.goodput for turn in measured.turns)
    figures = [
        ("peak, closed loop", "{:.0f} requests/s before, {:.0f} after".format(*measured.peaks)),
        ("offered, open loop", f"{offered.sent_rate():.0f} requests/s, {ratio:.1f} times the peak"),
        ("goodput", f"{offered.rate('200'):.0f} requests/s, {measured.goodput:.0%} of the peak"),
        ("the same in turns", f"{measured.goodput_in_turns:.0%} ({turns[0]:.0%} … {turns[-1]:.0%} in {len(turns)})"),
        ("refused, p99", f"{offered.took_ms(REFUSED, 0.99):.1f} ms"),
        ("/livez, p99", f"{p99_ms(measured.livez):.1f} ms of {len(measured.livez)}"),
        ("memory", f"{measured.growth_mib:+.0f} MiB"),
        ("back to normal", f"{measured.back_s:.2f} s (normal: {measured.quiet_ms:.1f} ms at p99)"),
        ("connections", f"{offered.most_connections}; {offered.waited} requests waited for one"),
        ("generator late", f"{offered.late_ms:.1f} ms at most"),
    ]
    answers = [
        (label, count, offered.took_ms(label, 0.5), offered.took_ms(label, 0.99))
        for label, count in offered.counts().items()
    ]
    return f"{table((measured.kind.name, ''), figures)}\n\n{table(('answer', 'count', 'p50 ms', 'p99 ms'), answers)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hardening.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the overload, and of both peaks")
    parser.add_argument(
        "--loop-seconds", type=float, default=5.0, help="of each closed loop that the best is chosen by"
    )
    parser.add_argument("--workers", type=int, default=1, help="of the service; all share one CPU")
    parser.add_argument("--rows", type=int, default=2000, help="of a batch")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=sorted(KINDS), help="of requests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
