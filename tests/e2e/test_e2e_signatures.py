"""The service as a process that requires signatures, with a key pair made by OpenSSL as a user would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from service_process import logitd, serving

ROW = {"instances": [[5.1, 3.5, 1.4, 0.2]]}


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """``public.pem``, beside ``private.pem``."""
    for command in (
        "genpkey -algorithm ed25519 -out private.pem",
        "pkey -in private.pem -pubout -out public.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "public.pem"


def test_workers_load_signed_versions_only(store: Path, public: Path) -> None:
    """Every worker refuses the unsigned model, and answers once it is signed; a training does not go live."""
    with serving(store, LOGITD_REQUIRE_SIGNATURE=str(public), LOGITD_WORKERS="2") as service:
        refused = service.client.post("/predict", json=ROW)
        ready = service.client.get("/readyz")
        signed = logitd("models", "sign", "iris/1", "--key", "private.pem", store=store)
        promoted = logitd("models", "promote", "iris/1", store=store)
        answers = [service.client.post("/predict", json=ROW, headers={"Connection": "close"}) for _ in range(8)]
        trained = service.client.post(
            "/train", json={"model": "iris", "instances": [[1], [2], [3], [4]] * 5, "targets": [0, 1, 0, 1] * 5}
        )
        code = service.stop()

    assert (refused.status_code, ready.status_code) == (503, 503)
    assert "iris/1 is not signed" in refused.json()["detail"]
    assert (signed.returncode, promoted.returncode) == (0, 0), signed.stderr + promoted.stderr
    assert [answer.status_code for answer in answers] == [200] * 8
    assert (trained.status_code, trained.json()["promoted"]) == (201, False)
    assert "only signed versions go live here" in trained.json()["promotion"]
    assert code == 0
