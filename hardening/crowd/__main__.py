"""`python -m hardening.crowd`: normal traffic beside a thousand slow clients; exit code 1 when it suffers."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hardening.crowd.run import Crowded, Size, crowded
from hardening.load.descriptors import allow_many
from hardening.load.models import SMALL, store_with_models
from hardening.load.service import serving
from hardening.load.table import table


def main() -> int:
    """Let the crowd in, and print what came of it; the exit code."""
    options = _parser().parse_args()
    allow_many()
    size = Size(options.half_open, options.trickling)
    print(f"{size.total} slow clients for {options.seconds:g} s beside {options.rate:g} requests/s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        store = store_with_models(Path(folder), 1)
        with serving(store, workers=options.workers, LOGITD_DEFAULT_MODEL=SMALL) as service:
            seen = crowded(service, size, options.rate, options.seconds)
    print(report(seen))
    found = seen.findings()
    print(*(f"out of bounds: {line}" for line in found), sep="\n", end="\n" if found else "")
    return 1 if found else 0


def report(seen: Crowded) -> str:
    """The traffic, the descriptors, and what became of the crowd."""
    traffic = [
        (name, label, n, outcome.took_ms(label, 0.5), outcome.took_ms(label, 0.99), outcome.took_ms(label, 1.0))
        for name, outcome in seen.parts().items()
        for label, n in outcome.counts().items()
    ]
    descriptors = f"descriptors {seen.before}, {seen.most} at most, {seen.after} afterwards"
    crowd = [(kind, label, n) for (kind, label), n in sorted(seen.closed.items())]
    return "\n\n".join(
        [
            table(("traffic", "answer", "count", "p50 ms", "p99 ms", "max ms"), traffic),
            table(("crowd", "closed by the service with", "times"), crowd) if crowd else "nobody was sent away",
            f"p99 {seen.times:.2f} times that without the crowd; {descriptors}",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hardening.crowd", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of each part: alone, beside the crowd, alone again"
    )
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--half-open", type=int, default=500, help="connections that send half a head")
    parser.add_argument("--trickling", type=int, default=500, help="connections that send a byte a second")
    parser.add_argument("--workers", type=int, default=1, help="of the service")
    return parser


if __name__ == "__main__":
    sys.exit(main())
