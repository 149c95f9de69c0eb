"""Train the shipped models anew, byte for byte: ``make models``, or ``python model_store/rebuild.py DIRECTORY``.

The bits of a sum depend on the order in which a processor's kernels add.  The variables below choose one kernel for every
x86-64 machine with AVX2, one thread, and a fixed date, so that the files come out the same everywhere.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "SOURCE_DATE_EPOCH": "1767225600",  # 2026-01-01
}
# The default model first.
MODELS = ("iris", "breast-cancer")


def rebuild(store: Path) -> None:
    """Write the shipped models into ``store``; what it held of them before is removed."""
    for name in MODELS:
        shutil.rmtree(store / name, ignore_errors=True)
        command = [sys.executable, "-W", "ignore", "-m", "service", "train", name, "--model", name]
        environment = {**os.environ, **ENVIRONMENT, "LOGITD_STORE": str(store)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        (store / name / ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="the directory to write them into")
    rebuild(parser.parse_args().store)
