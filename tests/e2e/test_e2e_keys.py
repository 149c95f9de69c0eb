"""HTTPS and keys on the real service, and what it says of them before it listens."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from service_process import COMMAND, PATIENCE, environment, serving

PROJECT = Path(__file__).parents[2]
ROW = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    cert: Path
    key: Path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A self-signed certificate of this machine, valid for a day."""
    folder = tmp_path_factory.mktemp("tls")
    made = Pair(folder / "cert.pem", folder / "key.pem")
    names = "subjectAltName=IP:127.0.0.1"
    openssl("req", "-x509", *EC_KEY, "-keyout", made.key, "-out", made.cert, "-days", "1", "-addext", names)
    made.key.chmod(0o600)
    return made


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate that ended yesterday."""
    folder = tmp_path_factory.mktemp("expired")
    made, request = Pair(folder / "cert.pem", folder / "key.pem"), folder / "request.pem"
    openssl("req", "-new", *EC_KEY, "-keyout", made.key, "-out", request)
    openssl("x509", "-req", "-in", request, "-signkey", made.key, "-days", "-1", "-out", made.cert)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The shipped models, for writing."""
    return Path(shutil.copytree(PROJECT / "model_store", tmp_path / "model_store"))


def run(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**variables),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_https_with_keys(store: Path, pair: Pair, tmp_path: Path) -> None:
    """Predictions by the fast lane and all other routes are served over TLS; health asks for no key, nor for trust."""
    key = run("key", "create", "--scope", "admin", "--file", "keys", folder=tmp_path).stdout.strip()
    tls = {"LOGITD_TLS_CERT": str(pair.cert), "LOGITD_TLS_KEY": str(pair.key)}

    with serving(store, trusted=pair.cert, prefix=(), LOGITD_API_KEYS_FILE=str(tmp_path / "keys"), **tls) as service:
        client, bearer = service.client, {"Authorization": f"Bearer {key}"}
        statuses = [client.post("/predict", json=ROW, headers=bearer).status_code for _ in range(3)]
        statuses += [client.post("/predict", json=ROW).status_code, client.get("/models").status_code]
        statuses += [client.get("/models", headers=bearer).status_code, client.get("/readyz").status_code]
        health = run("health", "--port", service.port, folder=tmp_path, **tls)
        client.close()
        code = service.stop()
        assert service.process.stderr is not None
        log = service.process.stderr.read()

    assert service.url.startswith("https://")
    assert statuses == [200, 200, 200, 401, 401, 200, 200]
    assert (health.returncode, health.stdout) == (0, "ready\n")
    assert code == 0
    # Clients that leave are no news with TLS either.
    assert '"level":"warning"' not in log
    assert key not in log


def test_keys_are_made_and_revoked_while_it_runs(store: Path, tmp_path: Path) -> None:
    """A key made beside the running service is taken within seconds, and refused again once revoked."""
    run("key", "create", "--scope", "train", "--file", "keys", folder=tmp_path)

    with serving(store, LOGITD_API_KEYS_FILE=str(tmp_path / "keys")) as service:

        def status(key: str, *, expected: int) -> int:
            found = 0
            for _ in range(200):
                found = service.client.post("/predict", json=ROW, headers={"X-API-Key": key}).status_code
                if found == expected:
                    break
                time.sleep(0.05)
            return found

        made = run("key", "create", "--scope", "predict", "--name", "mine", "--file", "keys", folder=tmp_path)
        taken = status(made.stdout.strip(), expected=200)
        run("key", "revoke", "mine", "--file", "keys", folder=tmp_path)
        refused = status(made.stdout.strip(), expected=401)

    assert (taken, refused) == (200, 401)


def test_mistakes_are_told_before_it_listens(store: Path, pair: Pair, expired: Pair, tmp_path: Path) -> None:
    """E8: a certificate that is missing, expired or of another key, and a key file that is none, exit with 2."""
    (tmp_path / "damaged").write_text("predict secret-word\n")
    secret = tmp_path / "with-password.pem"
    openssl("ec", "-in", pair.key, "-aes256", "-passout", "pass:hush", "-out", secret)
    cases = [
        (("--tls-cert", "none.pem"), {}, "LOGITD_TLS_CERT: the file cannot be read"),
        (("--tls-cert", str(pair.cert), "--tls-key", "none.pem"), {}, "LOGITD_TLS_KEY: the file cannot be read"),
        (("--tls-key", str(pair.key)), {}, "LOGITD_TLS_KEY is set without LOGITD_TLS_CERT"),
        (("--tls-cert", str(pair.cert), "--tls-key", str(expired.key)), {}, "do not belong together"),
        (("--tls-cert", str(pair.cert), "--tls-key", str(secret)), {}, "the key has a password"),
        (("--tls-cert", str(expired.cert), "--tls-key", str(expired.key)), {}, "has expired"),
        ((), {"LOGITD_API_KEYS_FILE": "none"}, "the key file cannot be read"),
        ((), {"LOGITD_API_KEYS_FILE": "damaged"}, "line 1 of the key file is wrong"),
        ((), {"LOGITD_API_KEYS_FILE": os.devnull}, "the key file must be an ordinary file"),
    ]

    for flags, variables, message in cases:
        done = run("serve", "--port", "0", *flags, folder=store.parent, **variables)

        assert (done.returncode, done.stdout) == (2, ""), (flags, variables, done.stderr)
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert "secret-word" not in done.stderr


def test_secrets_that_everyone_can_read_are_a_warning(store: Path, pair: Pair, tmp_path: Path) -> None:
    """E8: a private key and a key file of mode 644 are told in one line each, and the mistake after them still counts."""
    both, keys = tmp_path / "both.pem", tmp_path / "keys"
    both.write_bytes(pair.cert.read_bytes() + pair.key.read_bytes())
    run("key", "create", "--scope", "admin", "--file", "keys", folder=tmp_path)
    keys.chmod(0o644)
    both.chmod(0o644)

    variables = {"LOGITD_API_KEYS_FILE": str(keys), "LOGITD_SEED_STORE": str(tmp_path / "none"), "LOGITD_STORE": "new"}
    done = run("serve", "--port", "0", "--tls-cert", str(both), folder=tmp_path, **variables)

    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("warning: ")] == [
        f"warning: every user can read or write the file of {name}; chmod 600 it"
        for name in ("LOGITD_API_KEYS_FILE", "LOGITD_TLS_CERT")
    ]
