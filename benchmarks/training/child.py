"""One peer on one problem, in a process of its own: `python -m benchmarks.training.child`, spoken to by the runner.

Writes one JSON line per tolerance.  The time limit is an alarm that ends the process, so that it holds inside foreign
code too; what was written before it stays.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.objective import Coefficients, value
from benchmarks.training.peer import Fit, Peer
from benchmarks.training.peers import named
from benchmarks.training.problem import Problem, load

WARM_ROWS = 500
# Small fits are repeated until they took so long together, and their median is kept.
REPEAT_S = 0.3
MAX_REPEATS = 50


def main(arguments: list[str]) -> None:
    """Measure as told: folder, peer, optimum, limit in seconds, gap that is enough, tolerances."""
    folder, name, optimum, limit_s, enough, *ladder = arguments
    problem, peer = load(Path(folder)), named(name)
    warnings.simplefilter("ignore")
    try:
        peer.prepare(problem.head(WARM_ROWS), float(ladder[0]))()
        signal.setitimer(signal.ITIMER_REAL, float(limit_s))
        for tolerance in ladder:
            line = measured(problem, peer, float(tolerance), float(optimum))
            print(json.dumps(line), flush=True)
            if line["gap"] <= float(enough):
                break
    except Exception as error:  # noqa: BLE001 — whatever a peer raises is its result
        print(json.dumps({"refused": f"{type(error).__name__}: {error}"[:300]}), flush=True)


def measured(problem: Problem, peer: Peer, tolerance: float, optimum: float) -> dict[str, Any]:
    """Seconds of the fit alone, peak memory above what the data takes (MiB), the relative gap, and what the peer says."""
    fit = peer.prepare(problem, tolerance)
    before = _status("VmRSS")
    _forget_peak()
    seconds, at = repeated(fit)
    peak = _status("VmHWM")
    gap = (value(problem, at) - optimum) / optimum
    measures = {"tolerance": tolerance, "seconds": seconds, "peak_mib": max(0.0, peak - before), "gap": gap}
    return {**measures, "solver": at.solver, "status": at.status}


def repeated(fit: Fit) -> tuple[float, Coefficients]:
    """The median time of a fit, and its coefficients."""
    times: list[float] = []
    while not times or (sum(times) < REPEAT_S and len(times) < MAX_REPEATS):
        start = time.perf_counter()
        at = fit()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), at


def _forget_peak() -> None:
    """Let VmHWM start anew; see proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(field: str) -> float:
    """A line of /proc/self/status, from KiB to MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
