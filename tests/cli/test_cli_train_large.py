"""``logitd train`` on more rows than it may hold: bounded memory, and no trace of the temporary files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import PATIENCE, Logitd, OnTerminal, environment, logitd

from service.store.model_store import ModelStore

# The peak of the process's own memory in KiB, the last word on standard error.
MEASURED = """
import sys
from pathlib import Path
from service.cli.app import run
code = run(sys.argv[1:])
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr)
sys.exit(code)
"""
N_COLUMNS = 100
ROWS = np.random.default_rng(3).normal(size=(2_000, N_COLUMNS))
LABELS = np.where(ROWS[:, :3].sum(axis=1) + np.random.default_rng(4).logistic(size=len(ROWS)) > 0, "yes", "no")
NAMES = [f"x{column}" for column in range(N_COLUMNS)]


def write_csv(path: Path, repeats: int) -> None:
    lines = (",".join(map(repr, row)) + f",{label}\n" for row, label in zip(ROWS.tolist(), LABELS, strict=True))
    path.write_text(",".join([*NAMES, "y"]) + "\n" + "".join(lines) * repeats)


def write_parquet(path: Path, repeats: int) -> None:
    columns = dict(zip(NAMES, ROWS.T, strict=True)) | {"y": LABELS}
    table = pa.table(columns)
    pq.write_table(pa.concat_tables([table] * repeats), path, row_group_size=5_000, use_dictionary=False)


def peak_bytes(data: str, folder: Path) -> int:
    """The most memory that a training on ``data`` had at any time."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "train", data, "--target", "y", "--model", "m", "--C", "1", "--memory", "32"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return int(done.stderr.split()[-1]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read as Linux tells it")
@pytest.mark.parametrize(("write", "suffix", "repeats"), [(write_csv, "csv", 15), (write_parquet, "parquet", 60)])
def test_memory_does_not_grow_with_the_file(
    folder: Path, write: Callable[[Path, int], None], suffix: str, repeats: int
) -> None:
    """Of a file that is longer than one whose rows are on disk already, little is ever in memory."""
    short, long = folder / f"short.{suffix}", folder / f"long.{suffix}"
    write(short, 6)
    write(long, repeats)

    growth = peak_bytes(long.name, folder) - peak_bytes(short.name, folder)

    # A few megabytes either way are the allocator's.
    assert 2 * growth < long.stat().st_size - short.stat().st_size


def test_full_disk_is_told_and_leaves_nothing(folder: Path, store: ModelStore) -> None:
    """Where a temporary file cannot grow the message names TMPDIR, the exit code is 6, and no file is left."""
    (folder / "tmp").mkdir()
    write_parquet(folder / "t.parquet", 8)

    done = logitd(
        *("train", "t.parquet", "--target", "y", "--model", "m", "--memory", "32"),
        folder=folder,
        variables={"TMPDIR": str(folder / "tmp")},
        shell='ulimit -f 4096; "$@"',
    )

    assert done.code == 6
    assert done.err.startswith("error: the rows do not fit into memory, and not into a temporary file in ")
    assert "TMPDIR" in done.err
    assert list((folder / "tmp").iterdir()) == []
    assert store.names() == []


def test_rows_are_counted_on_a_terminal(folder: Path) -> None:
    """While a long file is read a terminal shows how many rows there have been; a pipe gets none of it."""
    row = ",".join(["1.5"] * 20)
    (folder / "t.csv").write_text(",".join(NAMES[:20]) + ",y\n" + f"{row},0\n{row},1\n" * 30_000)
    command = OnTerminal("train", "t.csv", "--target", "y", "--model", "m", "--C", "1", folder=folder)

    command.read_until(" rows …")

    assert "reading, " in command.output
    command.process.terminate()
    command.read_all()


def test_least_memory_is_said(here: Logitd) -> None:
    """Less memory than the least is a mistake in the use of the command."""
    done = here("train", "iris", "--model", "m", "--memory", "31")

    assert done.code == 2
    assert "--memory" in done.err
