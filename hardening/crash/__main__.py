"""`python -m hardening.crash`: every fault at every call, and 500 kills; exit code 1 when one breaks a promise."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

# One thread: a fork has no others.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from hardening.crash import faults, kills
from hardening.crash.tracing import is_permitted

SAMPLES = {"full": (1, 500), "quick": (4, 100), "tiny": (97, 10)}


def main() -> int:
    """Run both parts in a temporary folder and print one line for each; the exit code."""
    options = _parser().parse_args()
    every, n_kills = SAMPLES[options.sample]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        failures = [*_faults(Path(folder) / "faults", every), *_kills(Path(folder) / "kills", n_kills)]
    print(*failures, sep="\n", end="", file=sys.stderr)
    return 1 if failures else 0


def _faults(folder: Path, every: int) -> list[str]:
    if not is_permitted():
        print("faults: skipped, since strace is missing or not permitted here")
        return []
    began = perf_counter()
    outcomes, failures = faults.run_all(folder, every=every)
    ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"faults: {outcomes.total()} ({ended}), {len(failures)} failures, {perf_counter() - began:.0f} s", flush=True)
    return failures


def _kills(root: Path, n_kills: int) -> list[str]:
    began = perf_counter()
    promises, answers, failures = kills.run_all(root, kills=n_kills)
    said = ", ".join(f"{len(promises.said[word])} {word}" for word in ("published", "live", "deleted"))
    seconds = perf_counter() - began
    print(f"kills: {n_kills} ({said}), {answers} reads, {len(failures)} failures, {seconds:.0f} s", flush=True)
    return failures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hardening.crash", description=__doc__)
    sample = parser.add_mutually_exclusive_group()
    sample.add_argument("--quick", dest="sample", action="store_const", const="quick", help="a sample, about a minute")
    sample.add_argument("--tiny", dest="sample", action="store_const", const="tiny", help="a sample for the test suite")
    parser.set_defaults(sample="full")
    parser.add_argument("--folder", type=Path, help="where to work; the folder's file system is what is tested")
    return parser


if __name__ == "__main__":
    sys.exit(main())
