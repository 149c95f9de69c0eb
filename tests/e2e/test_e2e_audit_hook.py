"""No code is executed from data: Python's own audit events in all processes of the real service are counted."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from keys_on_disk import NOW, KeysOnDisk
from marked_traffic import look_at_health, predict, predict_badly, send_nonsense, write, write_badly
from safetensors.numpy import load, save
from service_process import Service, environment
from watched import watched

from service.serving.control_plane import ControlPlane
from service.store.artifact import describe
from service.store.model_store import ModelStore
from service.store.sealed import _sealed

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
ROW = [[5.1, 3.5, 1.4, 0.2]]
# What somebody might hope that the service evaluates, unpickles, looks up or expands.
MARK = f"/tmp/planted-in-logitd-{os.getpid()}"
CODE = f"__import__('os').system('touch {MARK}')"
HOPES = (
    "{0.__class__.__mro__}",
    "%(x)s%n",
    "${jndi:ldap://127.0.0.1:1/x}",
    f"$(touch {MARK})",
    "!!python/object/apply:os.system ['id']",
)
# Modules of these names are imported late, or by nobody.
BAIT = ("ctypes", "decimal", "dotenv", "json", "numpy", "orjson", "pickle", "service", "structlog", "yaml")


class Planted:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return subprocess.getoutput, (f"touch {MARK}",)


EVIL = pickle.dumps(Planted())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The shipped models for writing, with bait beside them and in the current directory."""
    made = Path(shutil.copytree(PROJECT / "model_store", tmp_path / "work/store"))
    for folder in (made, made / "iris", made.parent):
        for name in BAIT:
            (folder / f"{name}.py").write_text("raise SystemExit('imported from where data lie')\n")
    return made


@pytest.fixture
def keys(tmp_path: Path) -> KeysOnDisk:
    """A key of each scope."""
    return KeysOnDisk.made_in(tmp_path)


def forge(version: Path, numbers: bytes | None = None, **fields: Any) -> None:
    """Write other parameters or fields, and a manifest that vouches for them."""
    if numbers is not None:
        (version / "parameters.safetensors").write_bytes(numbers)
        fields["parameters"] = describe(numbers).model_dump()
    document = json.loads((version / "manifest.json").read_text()) | fields | {"version": int(version.name)}
    document.pop("sha256")
    (version / "manifest.json").write_bytes(_sealed(document))


def forge_store(service: Service, keys: KeysOnDisk) -> None:
    """Versions and alias files that somebody forged, and requests that make the service read them, and swap to them."""
    versions = service.store / "iris/versions"
    for number in range(2, 9):
        shutil.copytree(versions / "1", versions / str(number))
    renamed = dict(
        zip((CODE, *HOPES), load((versions / "1/parameters.safetensors").read_bytes()).values(), strict=False)
    )
    forge(versions / "2", EVIL)
    (versions / "3/manifest.json").write_bytes(EVIL)
    (versions / "4/manifest.json").write_text(HOPES[-1])
    forge(versions / "5", __reduce__=["os.system", ["id"]], warnings=[CODE])
    forge(versions / "6", classes=[CODE, *HOPES[:2]])
    forge(versions / "7", save(renamed))
    forge(versions / "8")
    statuses = []
    for number in range(1, 10):
        answer = service.client.post(f"/predict?model=iris/{number}", json=ROW, headers=keys.bearer("predict"))
        statuses.append(answer.status_code)
        service.client.get(f"/models/iris/versions/{number}/summary", headers=keys.bearer("admin"))
        move = {"version": number, "reason": HOPES[number % len(HOPES)]}
        service.client.put("/models/iris/aliases/live", json=move, headers=keys.bearer("admin"))
        service.client.post("/predict", json=ROW, headers=keys.bearer("predict"))
    # Labels of the sixth may be any text; it and the eighth are well-formed, and the ninth is not there.
    assert statuses == [200, 503, 503, 503, 503, 200, 503, 200, 404]
    for file in ("aliases.json", "history.jsonl"):
        (service.store / "breast-cancer" / file).write_bytes(EVIL)
        service.client.get("/models/breast-cancer", headers=keys.bearer("admin"))
        service.client.post("/predict?model=breast-cancer", json=ROW, headers=keys.bearer("predict"))


def send_code(service: Service, keys: KeysOnDisk) -> None:
    """Code, templates and pickles wherever a request has room for text."""
    client = service.client
    headers = {**keys.bearer("admin"), "X-Request-Id": HOPES[0], "traceparent": HOPES[2], "User-Agent": HOPES[2]}
    statuses = set()
    for hope in (CODE, *HOPES):
        for path in ("/predict", "/predict_proba"):
            csv = {**headers, "Content-Type": "text/csv"}
            answers = [
                client.post(path, json={"instances": [{hope: hope}]}, headers=headers),
                client.post(path, params={"model": hope}, json=[[hope]], headers=headers),
                client.post(path, params={"threshold": hope}, json=ROW, headers=headers),
                client.post(path, content=f"=cmd|'{hope}'!A1,1,2,3\n", headers=csv),
                client.get(f"/models/{quote(hope, safe='')}", headers=headers),
                client.get(f"/problems/{quote(hope, safe='')}", headers=headers),
            ]
            statuses |= {answer.status_code for answer in answers}
    assert statuses == {404, 422}
    for kind in ("application/octet-stream", "application/x-npy", "application/json", "text/csv"):
        client.post("/predict", content=EVIL, headers={**headers, "Content-Type": kind})
    client.post("/train", content=EVIL, headers={**headers, "Content-Type": "application/x-pickle"})
    client.put("/models/iris/aliases/live", content=EVIL, headers=headers)


def train_on_code(service: Service, keys: KeysOnDisk) -> None:
    """Code as labels, categories, names of columns, and options."""
    body = {"model": "coded", "instances": [[CODE, n] for n in range(12)], "feature_names": [CODE, HOPES[0]]}
    body["targets"] = [CODE, HOPES[1]] * 6
    trained = service.client.post("/train", json=body, headers=keys.bearer("train"))
    optioned = service.client.post("/train", json={**body, "options": {"solver": CODE}}, headers=keys.bearer("train"))
    assert (trained.status_code, optioned.status_code) == (201, 422)
    predicted = service.client.post(
        "/predict?model=coded&explain=true", json=[[CODE, 1]], headers=keys.bearer("predict")
    )
    assert predicted.json()["predictions"][0] in {CODE, HOPES[1]}


def read_everything(service: Service, keys: KeysOnDisk) -> None:
    """Every path that is read."""
    paths = ("/", "/models", "/models/iris", "/models/iris/example", "/metrics", "/version", "/openapi.json", "/docs")
    for path in (*paths, "/docs/swagger-ui.css", "/models/iris/aliases/live", "/problems/invalid-json", "/nothing"):
        service.client.get(path, headers=keys.bearer("admin"))


def test_no_code_runs_from_data(store: Path, keys: KeysOnDisk) -> None:
    """Under good, bad and hostile traffic, forged stores, swaps and trainings nothing is noted but what is listed.

    Each training is one process of Python, and no other process begins; nothing is unpickled, and nothing connects.
    """
    variables = {"LOGITD_API_KEYS_FILE": str(keys.path), "LOGITD_WORKERS": "2", "LOGITD_LOG_LEVEL": "debug"}
    with watched(store, keys.path, **variables) as (service, notes):
        assert service.process.stderr is not None
        reader = threading.Thread(target=service.process.stderr.read)
        reader.start()
        for act in (predict, predict_badly, look_at_health, write, write_badly, read_everything):
            act(service, keys)
        for act in (send_nonsense, send_code, train_on_code, forge_store):
            act(service, keys)
        ControlPlane(ModelStore(store), lambda: NOW).promote("iris", "live", 8)
        live = service.client.post("/predict", json=ROW, headers=keys.bearer("predict"))
        assert service.stop() == 0
        reader.join()

    assert live.json()["version"] == 8
    assert notes.unexpected() == []
    # Two trainings of ``write``, one of ``write_badly``, two of ``train_on_code``.
    assert notes.count("begin") == {"first": 1, "worker": 2, "trainer": 5}
    assert notes.count("subprocess.Popen") == {"first": 2}
    assert notes.count("pickle.find_class") == notes.count("socket.connect") == notes.count("os.system") == Counter()
    assert not Path(MARK).exists()


def test_a_planted_pickle_is_found(store: Path) -> None:
    """The same watch on a service that unpickles while it predicts: what the test above looks for, it would see."""
    plant = f"""
import pickle
from service.serving.data_plane import DataPlane
honest = DataPlane.predict
def unpickle(self, *arguments, **options):
    pickle.loads({pickle.dumps(Counter())!r})
    return honest(self, *arguments, **options)
DataPlane.predict = unpickle
"""
    with watched(store, then=plant) as (service, notes):
        assert service.client.post("/predict?explain=true", json=ROW).status_code == 200
        service.stop()

    assert notes.unexpected() == ["first: pickle.find_class ['collections', 'Counter'] by sitecustomize.py unpickle"]


PLANTED = [
    # What a process does; the event that is noted; its first word.
    (f"import pickle; pickle.loads({pickle.dumps(Counter())!r})", "pickle.find_class", "collections"),
    ("exec('1')", "exec", "<string>"),
    ("eval('1')", "compile", "1"),
    ("compile('1', 'x', 'exec')", "compile", "1"),
    ("import marshal; marshal.loads(marshal.dumps(1))", "marshal.loads", ""),
    ("import os; os.system('true')", "os.system", "true"),
    ("import subprocess; subprocess.run(['true'])", "subprocess.Popen", "true"),
    ("import os; os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)", "os.posix_spawn", "/bin/true"),
    ("import os; os.execv('/bin/true', ['true'])", "os.exec", "/bin/true"),
    ("import os; os.fork() or os._exit(0)", "os.fork", ""),
    ("import socket; socket.socket().connect_ex(('127.0.0.1', 1))", "socket.connect", "<socket.socket"),
    ("open('/etc/hostname')", "open", "/etc/hostname"),
    ("import os; os.rename('/nowhere/a', '/nowhere/b')", "os.rename", "/nowhere/a"),
    ("import ctypes; ctypes.CDLL('libc.so.6')", "ctypes.dlopen", "libc.so.6"),
    ("import sys; sys.path.insert(0, HERE); import bait", "exec", "HERE/bait.py"),
]


@pytest.mark.parametrize(("code", "event", "word"), PLANTED, ids=[event for _, event, _ in PLANTED])
def test_the_watch_sees(tmp_path: Path, code: str, event: str, word: str) -> None:
    """Each kind of event is noted in a process that does it, and by whom."""
    (tmp_path / "bait.py").write_text("x = 1\n")

    found = notes_of(f"def act():\n {code.replace('HERE', repr(str(tmp_path)))}\nact()", tmp_path)

    first = [" ".join(note["what"]) for note in found if note["event"] == event]
    assert any(what.startswith(word.replace("HERE", str(tmp_path))) for what in first)


def test_the_watch_lets_installed_modules_be_imported(tmp_path: Path) -> None:
    """Imports of what is installed, and the code that they make, are not noted, nor are files of our own."""
    (tmp_path / "own").write_text("")
    code = f"import dataclasses, decimal, email.message, service.settings; open({str(tmp_path / 'own')!r})"

    assert [note["event"] for note in notes_of(code, tmp_path)] == ["begin"]


def notes_of(code: str, folder: Path) -> list[dict[str, Any]]:
    """What is noted of a process that does this."""
    begin = f"import sys; sys.path.append({str(HERE)!r}); import watch; sys.path.pop()\n"
    begin += f"watch.begin({str(folder / 'notes')!r}, {str(folder / 'own')!r})\n"
    subprocess.run([sys.executable, "-c", begin + code], env=environment(), capture_output=True, check=False)
    return [json.loads(line) for line in (folder / "notes").read_text().splitlines()]
