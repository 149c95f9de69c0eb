"""A file that is mapped into memory trains in a part of its own size: rows are never copied as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from portable import cases, two_or_three_classes
from problems import drawn

N_COPIES, N_ROWS, N_COLUMNS = 30, 10_000, 50
# What the fit may take beside the file, as a share of it: labels, weights and a few vectors of the rows.
SHARE = 0.35
COPIED = "columns far from 0 are brought to scale in a copy"

TRAIN = f"""
import os, resource, sys
# One processor: the stacks and buffers of threads are address space too.
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
import numpy as np
from service import LogisticRegression

rows, labels = sys.argv[1:]
labels = np.load(labels)
few = np.fromfile(rows, count={N_ROWS * N_COLUMNS}).reshape(-1, {N_COLUMNS})
LogisticRegression().fit(few, labels)  # what NumPy and BLAS allocate once
X = np.memmap(rows, mode="r", dtype=np.float64, shape=({N_COPIES * N_ROWS}, {N_COLUMNS}))
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = in_use + int({SHARE} * X.nbytes)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    X[:].copy()
except MemoryError:
    print("no room for a copy")
model = LogisticRegression(C=1.0).fit(X, np.tile(labels, {N_COPIES}))
print(model.certificate_.status, model.certificate_.gap_relative <= model.tol, model.coef_.shape)
"""


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Path]:
    """Where a test puts its rows; they are gone after it, for pytest keeps the folders of three runs."""
    path = tmp_path / "rows.bin"
    yield path
    path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads its address space the way of Linux")
@two_or_three_classes
@pytest.mark.parametrize("shift", cases({"near": 0.0, "far": 1000.0}, ("far",), COPIED))
def test_a_mapped_file_trains_without_a_copy(rows: Path, tmp_path: Path, shift: float, K: int) -> None:
    """With room for a third of the file beside it, 120 MB of rows are fitted to the certified optimum."""
    X, y = drawn(N_ROWS, N_COLUMNS, K, spread=0.1)
    block, labels = (X + shift).tobytes(), tmp_path / "labels.npy"
    with rows.open("wb") as file:
        file.writelines(block for _ in range(N_COPIES))
    np.save(labels, y)

    trained = subprocess.run(
        [sys.executable, "-c", TRAIN, rows, labels],
        # An arena of each thread would be 64 MB of address space.
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    shape = (1 if K == 2 else K, N_COLUMNS)
    assert trained.stdout == f"no room for a copy\noptimal True {shape}\n", trained.stderr
