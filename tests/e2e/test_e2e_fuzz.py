"""``make fuzz``, as far as two minutes go; and that it finds what is put in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from service_process import environment

PROJECT = Path(__file__).parents[2]
FAULTY = Path(__file__).with_name("faulty_service.py")
SEED = 1
# Seconds after which a run of two minutes has hung.
PATIENCE = 600


def fuzz(*options: str | Path, fault: str = "") -> subprocess.CompletedProcess[str]:
    """A run of ``python -m hardening.fuzz``, against the service with a fault when one is named."""
    command = ["--command", f"{sys.executable} {FAULTY} {fault}"] if fault else []
    return subprocess.run(
        [sys.executable, "-m", "hardening.fuzz", "--seed", str(SEED), *command, *options],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_two_minutes_break_no_promise(tmp_path: Path) -> None:
    """Requests of all three parts: no defect, no hang, no restart, no value that comes back, no growth."""
    done = fuzz("--minutes", "2", "--folder", tmp_path / "failures")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith(f"seed {SEED}\n")
    assert all(f"\n{part} " in done.stdout for part in ("contract", "grammar", "bytes"))
    assert not (tmp_path / "failures").exists()


@pytest.mark.parametrize(("fault", "kind"), [("defect", "server-error"), ("leak", "memory")])
def test_a_fault_that_is_put_in_is_found(tmp_path: Path, fault: str, kind: str) -> None:
    """A 500 and a leak end the run with exit code 1 and a file, which fails again, and passes without the fault."""
    done = fuzz("--only", "csv numbers", "--requests", "125", "--folder", tmp_path, fault=fault)
    files = sorted(tmp_path.glob(f"{kind}-*.json"))

    assert done.returncode == 1
    assert f"{kind}: grammar csv numbers: " in done.stderr
    again, without = fuzz("--replay", files[0], "--folder", tmp_path, fault=fault), fuzz("--replay", files[0])
    assert (again.returncode, without.returncode) == (1, 0)
