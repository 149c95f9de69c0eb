"""The store changes under the running service: read-only, full, away and back; the live version answers throughout."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_process import Service, logitd, serving

from service.cli.start import warn_of_open_store

ROW = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
SMALL = {"instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [1.5]], "targets": ["no", "no", "yes", "yes", "yes", "no"]}
# The command that follows runs with a file system of its own, of one megabyte, mounted over the store and filled from it.
OWN_DISK = (
    *("unshare", "--map-root-user", "--mount", "sh", "-c"),
    'cp -a "$0" "$0.copy" && mount -t tmpfs -o size=1m none "$0" && cp -a "$0.copy/." "$0" && exec "$@"',
)


@pytest.fixture
def mounted(store: Path) -> Iterator[Service]:
    """The service over a store on a file system of its own."""
    if subprocess.run([*OWN_DISK, store, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of one's own needs unshare and the permission to mount")
    with serving(store, prefix=(*OWN_DISK, str(store))) as service:
        yield service


def remount(service: Service, options: str) -> None:
    """Mount the service's file system anew, under the running service."""
    inside = ("nsenter", "-t", str(service.process.pid), "--user", "--mount", "--preserve-credentials")
    subprocess.run([*inside, "mount", "-o", f"remount,{options}", str(service.store)], check=True)


def seen_by(service: Service) -> Path:
    """The store as the service sees it."""
    return Path(f"/proc/{service.process.pid}/root{service.store}")


def answering(service: Service) -> int:
    """The version that answers; the service lives and is ready."""
    assert service.client.get("/livez").status_code == 200
    assert service.client.get("/readyz").status_code == 200
    answer = service.client.post("/predict", json=ROW)
    assert answer.status_code == 200
    return int(answer.json()["version"])


def refusal(service: Service) -> tuple[int, str]:
    """Status and type of the answer to a training that cannot be stored."""
    answer = service.client.post("/train", json={"model": "exam", **SMALL})
    return answer.status_code, answer.json()["type"]


@pytest.mark.parametrize(("mode", "warnings"), [(0o755, 0), (0o775, 0), (0o1777, 0), (0o777, 1)])
def test_a_store_that_everybody_may_write_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, warnings: int
) -> None:
    """S11: a start warns when every user may write to the store; a group may, and one that is not there is no matter."""
    tmp_path.chmod(mode)

    warn_of_open_store(tmp_path)
    warn_of_open_store(tmp_path / "missing")

    assert capsys.readouterr().err.count("warning:") == warnings


def test_a_store_that_becomes_read_only(mounted: Service) -> None:
    """T24: while the disk is read-only predictions go on, writes are refused, and afterwards they succeed."""
    remount(mounted, "ro")
    during = answering(mounted), refusal(mounted), answering(mounted)
    moved = mounted.client.put("/models/iris/aliases/live", json={"version": 1})
    deleted = mounted.client.delete("/models/iris/versions/9")

    remount(mounted, "rw")

    assert during == (1, (503, "/problems/store-unavailable"), 1)
    assert moved.status_code == 503
    assert deleted.status_code in {404, 503}
    assert mounted.client.post("/train", json={"model": "exam", **SMALL}).status_code == 201


def test_a_store_that_is_full(mounted: Service) -> None:
    """T23: while the disk is full predictions go on and writes say so, leaving nothing; with space they succeed."""
    ballast = seen_by(mounted) / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(2**20))

    during = answering(mounted), refusal(mounted), answering(mounted)
    moved = mounted.client.put("/models/iris/aliases/live", json={"version": 1})
    left = [path.name for path in (seen_by(mounted) / "iris/.tmp").iterdir()]
    ballast.unlink()

    assert during == (1, (507, "/problems/store-full"), 1)
    assert moved.status_code == 507
    assert left == []
    assert mounted.client.put("/models/iris/aliases/live", json={"version": 1}).status_code == 200
    assert mounted.client.post("/train", json={"model": "exam", **SMALL}).status_code == 201


def test_a_store_that_appears_goes_away_and_comes_back(iris_store: Path, tmp_path: Path) -> None:
    """S7, S12, E12: ready once a store appears, also while it is away again; a restored one is followed as before."""
    store = tmp_path / "store"
    with serving(store) as service:
        empty = service.client.get("/readyz").status_code, service.client.post("/predict", json=ROW).status_code
        subprocess.run(["cp", "-a", iris_store, store], check=True)
        seen = [answering(service)]
        store.rename(tmp_path / "away")
        seen.append(answering(service))
        (tmp_path / "away").rename(store)
        seen.append(answering(service))
        assert logitd("train", "iris", "--model", "iris", "--C", "10", store=store).returncode == 0
        seen.append(answering(service))

    assert empty == (503, 503)
    assert seen == [1, 1, 1, 2]
