"""Write ``requirements/*.lock`` from ``pyproject.toml``: pinned versions and their hashes, no addresses.

``serve.lock`` holds what the service runs on, and the build backend that installs it; ``image.lock``, ``test.lock`` and
``check.lock`` add to it.  All four come from one resolution, so that a package has one version in all.
``bench.lock`` is for an environment of its own: it keeps to those versions, but the peers in it have no say in them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
HEADER = "# Written by `make lock`. Do not edit.\n"
COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--fork-strategy", "fewest", "--no-header", "--no-annotate", "--generate-hashes", "--upgrade"),
]
LOCKS = {
    "serve": ["--group", "build"],
    "image": ["--extra", "signatures", "--group", "build"],
    "test": ["--extra", "train", "--extra", "otel", "--extra", "signatures", "--group", "test"],
    "check": ["--group", "check"],
}
BENCH = ["--extra", "train", "--group", "build", "--group", "bench"]


def compile_lock(sources: list[str], constraint: Path | None, target: Path) -> None:
    pins = ["--constraint", str(constraint)] if constraint else []
    command = [*COMPILE, "pyproject.toml", *sources, *pins, "--output-file", str(target)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        everything = Path(scratch) / "everything.lock"
        compile_lock([word for sources in LOCKS.values() for word in sources], None, everything)
        for name, sources in {**LOCKS, "bench": BENCH}.items():
            target = Path(scratch) / f"{name}.lock"
            compile_lock(sources, everything, target)
            (HERE / f"{name}.lock").write_text(HEADER + target.read_text())


if __name__ == "__main__":
    main()
