"""What ``logitd serve`` refuses before it listens: every setting that it cannot have, in one line and by its name."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from command_line import Logitd, logitd

from service.cli.start import check_store

# Nobody has this address (RFC 5737): a service that would accept a wrong setting fails to listen, and the test with it.
NOWHERE = "192.0.2.1"
WORKERS = "LOGITD_WORKERS: expected a whole number from 1 to 64"
PORT = "LOGITD_PORT: expected a whole number from 0 to 65535"
STORE = "LOGITD_STORE: expected a directory"
KEYS = "LOGITD_API_KEYS_FILE"
DIGEST = sha256(b"lgt_" + b"x" * 43).hexdigest()
FULL_LINE = f"predict {DIGEST} a 2026-01-31T12:00:00Z\n"

# Row, the variables, and how the one line goes on after "error: "; the exit code is 2.
REFUSED: list[tuple[str, Mapping[str, str], str]] = [
    *(("E1", {"LOGITD_WORKERS": text}, WORKERS) for text in ("0", "-1", "1.5", "abc", "10000", "65", "", "1_0", "٢")),
    *(("E2", {"LOGITD_PORT": text}, PORT) for text in ("-1", "70000", "abc", "8.5", "", "0x10", "8_0", "+80")),
    ("E2", {"PORT": "70000"}, PORT),
    *(("E2", {"LOGITD_HOST": text}, "LOGITD_HOST: expected ") for text in ("", "a b", "é" * 70, "[::1]", "a\nb")),
    *(("E3", {"LOGITD_STORE": text}, STORE) for text in ("", "s3://", "s3://b/x", "http://x", "file:///x")),
    *(("E3", {"LOGITD_STORE": text}, STORE) for text in ("file", "file/x", "x" * 300, "fifo")),
    ("E3", {"LOGITD_SEED_STORE": "nowhere"}, "LOGITD_SEED_STORE names no directory"),
    *(
        ("E4", {"LOGITD_MAX_BODY_BYTES": text}, "LOGITD_MAX_BODY_BYTES: expected ")
        for text in ("-1", "0", "1023", "8MB", "8MiB", "NaN", "1e9", str(1 << 60), "9" * 5000)
    ),
    *(("E4", {"LOGITD_MAX_ROWS": text}, "LOGITD_MAX_ROWS: expected ") for text in ("0", "-1", "inf", str(10**10))),
    ("E4", {"LOGITD_TRAIN_MEMORY_BYTES": str(1 << 50)}, "LOGITD_TRAIN_MEMORY_BYTES: expected at most "),
    ("E4", {"LOGITD_TRAIN_MEMORY_BYTES": "1024"}, "LOGITD_TRAIN_MEMORY_BYTES: expected a whole number from 268435456"),
    *(
        ("E4", {"LOGITD_TRAIN_TIMEOUT_S": text}, "LOGITD_TRAIN_TIMEOUT_S: expected ")
        for text in ("0", "-1", "nan", "inf", "1e9", "1_0")
    ),
    ("E5", {"LOGITD_WORKRES": "2"}, "unknown setting LOGITD_WORKRES, did you mean LOGITD_WORKERS?"),
    # A key shorter than 32 characters cannot be told from its SHA-256: it is refused where it is presented, see
    # test_web_key_file.py, as is all else that a line can have wrong.
    ("E6", {KEYS: "short"}, "line 1 of the key file is wrong: the SHA-256 must be 64"),
    ("E6", {KEYS: "spaces"}, "line 1 of the key file is wrong: expected four words"),
    ("E6", {KEYS: "twice"}, "the key file has the same key twice"),
    ("E6", {KEYS: "none"}, "the key file holds no key"),
    *(("E9", {"LOGITD_LOG_LEVEL": text}, "LOGITD_LOG_LEVEL: expected ") for text in ("TRACE;", "INFO", "loud", "")),
]
# E7: beyond loopback without keys predictions alone are served, and no write (api.md): test_settings.py, test_web_keys.py.
# E8: with certificates made by openssl, in test_e2e_keys.py.  E10 to E12: on running services, in test_e2e_start_up.py.


def ids(rows: list[tuple[str, Mapping[str, str], str]]) -> list[str]:
    return [
        f"{row} {name.removeprefix('LOGITD_')}={text[:12]!a}" for row, given, _ in rows for name, text in given.items()
    ]


@pytest.fixture
def files(folder: Path) -> Path:
    """The current directory with what the rows name."""
    (folder / "file").write_text("x")
    os.mkfifo(folder / "fifo")
    (folder / "short").write_text(FULL_LINE.replace(DIGEST, DIGEST[:31]))
    (folder / "spaces").write_text(FULL_LINE.replace(DIGEST, f"{DIGEST[:32]} {DIGEST[32:]}"))
    (folder / "twice").write_text(FULL_LINE + FULL_LINE.replace("predict", "train").replace(" a ", " b "))
    (folder / "none").write_text("# nothing yet\n\n")
    (folder / "ended").write_text("\n" + FULL_LINE.replace("\n", "\r\n") + "\n\n")
    return folder


@pytest.mark.parametrize(("row", "variables", "message"), REFUSED, ids=ids(REFUSED))
def test_a_setting_that_cannot_be_is_refused(
    files: Path, here: Logitd, monkeypatch: pytest.MonkeyPatch, row: str, variables: Mapping[str, str], message: str
) -> None:
    """Exit code 2 and one line that names the variable and what it may be; nothing is made or left behind."""
    before = sorted(files.iterdir())
    for name, text in {"LOGITD_HOST": NOWHERE, **variables}.items():
        monkeypatch.setenv(name, text)

    done = here("serve")

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), row
    assert done.err.startswith(f"error: {message}")
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("row", "variables", "value"),
    [
        ("E1", {"LOGITD_WORKERS": " 2 "}, 2),
        ("E1", {"LOGITD_WORKERS": "64"}, 64),
        ("E2", {"LOGITD_PORT": "0"}, 0),
        ("E2", {"LOGITD_HOST": "::1"}, "::1"),
        ("E2", {"LOGITD_HOST": "fe80::1%eth0"}, "fe80::1%eth0"),
        ("E4", {"LOGITD_MAX_BODY_BYTES": "1024"}, 1024),
        ("E4", {"LOGITD_MAX_ROWS": "1000000000"}, 10**9),
        ("E4", {"LOGITD_TRAIN_TIMEOUT_S": ".5"}, 0.5),
    ],
)
def test_a_setting_at_the_edge_is_taken(
    here: Logitd, monkeypatch: pytest.MonkeyPatch, row: str, variables: Mapping[str, str], value: object
) -> None:
    """Spaces around a number do not matter, and the ends of a range belong to it."""
    ((name, text),) = variables.items()
    monkeypatch.setenv(name, text)

    done = here("config", "--json")

    assert [line["value"] for line in done.json() if line["setting"] == name] == [value], row


@pytest.mark.parametrize("name", ["not/there/yet", "relative", "modèles", "relative/", "link"])
def test_a_store_may_come_later(folder: Path, name: str) -> None:
    """E3, decided otherwise: relative, Unicode and absent directories are stores; the default is one, and one may appear."""
    (folder / "relative").mkdir()
    (folder / "link").symlink_to("relative")

    check_store(Path(name))

    assert not (folder / "not").exists()


def test_a_key_file_may_have_blank_lines(files: Path, here: Logitd, monkeypatch: pytest.MonkeyPatch) -> None:
    """E6: line ends of any kind are stripped: the start gets as far as the address that nobody has."""
    monkeypatch.setenv("LOGITD_HOST", NOWHERE)
    monkeypatch.setenv(KEYS, "ended")

    done = here("serve", "--port", "0")

    assert done.err.splitlines()[-1].startswith(f"error: cannot listen on {NOWHERE}:0: ")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_told(folder: Path, here: Logitd, workers: str) -> None:
    """E2: exit code 1, not 2: nothing is wrong with the setting; the next try may succeed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        done = here("serve", "--port", port, "--workers", workers)

    message = f"error: cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"
    assert (done.code, done.out, done.err) == (1, "", message)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("flags", [("--port", "70000"), ("--port", "http"), ("--workers", "0"), ("--wokers", "2")])
def test_a_flag_that_cannot_be_is_refused(here: Logitd, flags: tuple[str, str]) -> None:
    """E1, E2, E5: on the command line, too, it is exit code 2 and one line, which names flag or variable."""
    done = here("serve", "--host", NOWHERE, *flags)

    assert (done.code, done.err.count("\n")) == (2, 1)
    assert flags[0] in done.err or "LOGITD_" in done.err


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="a privilege is taken away with setpriv, which is not here")
def test_a_privileged_port_is_told(folder: Path) -> None:
    """E2: where this user may not have the port, that is exit code 1 and one line."""
    start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    if start.strip() == "0":
        pytest.skip("on this machine no port is privileged")

    taken = "--bounding-set=-net_bind_service --inh-caps=-net_bind_service"
    done = logitd(
        "serve", "--port", "1", folder=folder, shell=f'exec setpriv {taken} "$@"' if os.geteuid() == 0 else '"$@"'
    )

    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("error: cannot listen on 127.0.0.1:1: Permission denied")
