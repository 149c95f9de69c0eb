"""Strange names in every place of every URL: none leads out of the store, and none comes back raw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from asking import Client

from service.errors import InvalidInput, InvalidName
from service.serving.trainer_child import Job, run

pytest_plugins = ("served",)

NAMES = [
    *("..", ".", "../x", "..%2fx", "%2e%2e/x", "..%252fx", "..\\x", "/etc/passwd", "//x", "x/../y", "x%00y", "x\0"),
    *("CON", "aux.json", "-rf", "--help", "~", "$HOME", "{{7*7}}", "%s%n", "a b", "", "a" * 64, "a" * 65, "a" * 255),
    *("a" * 10_000, ".hidden", "x.tmp", "LIVE", "versions", "ｘ", "\u202eiris", "e\u0301", "\u00e9", "😀", "iris\n"),
    *("\r\nSet-Cookie: x", "%0d%0a", ";id", "|id", "file:///etc", "s3://b/k", "http://169.254.169.254/", "#/../.."),
]
PATHS = [
    *("/models/{}", "/models/{}/example", "/models/{}/versions/1", "/models/{}/versions/1/summary"),
    *("/models/{}/aliases/live", "/models/iris/versions/{}", "/models/iris/versions/{}/summary"),
    *("/models/iris/aliases/{}", "/problems/{}", "/docs/{}", "/predict?model={}", "/predict?model=iris@{}"),
    *("/predict_proba?model={}", "/predict?model={}/1", "/train?model={}", "DELETE /models/{}/versions/1"),
    *("PUT /models/{}/aliases/live", "PUT /models/iris/aliases/{}", "DELETE /models/iris/versions/{}"),
]
# No version 99 is there to point to, and one class cannot be trained on.
BODIES = {"PUT": b'{"version": 99}', "/train": b'{"instances": [[1], [2], [3]], "targets": [0, 0, 0]}'}


WELL_FORMED = {"aux.json", "a" * 64, "x.tmp", "versions"}
GOOD = {"instances": [[1], [2], [3], [4]], "targets": [0, 0, 1, 0], "options": {"C": 1.0}}


class Opened:
    """The files that this process opens while it is on, as the interpreter's audit events tell."""

    def __init__(self) -> None:
        self.is_on = False
        self.paths: list[Path] = []

    def hear(self, event: str, details: tuple[object, ...]) -> None:
        if self.is_on and event in {"open", "os.scandir", "os.listdir"} and isinstance(details[0], (str, Path)):
            self.paths.append(Path(details[0]))


@pytest.fixture(scope="session")
def opened() -> Opened:
    """One listener for all tests, since an audit hook stays for ever."""
    opened = Opened()
    sys.addaudithook(opened.hear)
    return opened


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
@pytest.mark.parametrize("is_csv", [False, True], ids=["JSON", "CSV"])
def test_no_name_is_trained_out_of_the_store(tmp_path: Path, name: str, *, is_csv: bool) -> None:
    """5.5: a training's name is well-formed or invalid-name, by the code that the trainer's child runs; nothing is made."""
    body = b"x,y\n1,0\n2,0\n3,1\n4,0\n" if is_csv else json.dumps({**GOOD, "model": name}).encode()
    job = Job(
        store=str(tmp_path / "store"),
        trusted=None,
        is_csv=is_csv,
        parameters={"model": name, "target": "y", "C": "1"} if is_csv else {},
        data_sha256="0",
        max_rows=10,
        max_features=10,
        max_cells=100,
    )

    if name in WELL_FORMED:
        assert run(job, body)["model"] == name
        assert [path.name for path in (tmp_path / "store").iterdir()] == [name]
        return
    with pytest.raises((InvalidName, InvalidInput)) as caught:
        run(job, body)
    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
@pytest.mark.parametrize("path", PATHS)
def test_no_name_leads_out_of_the_store(
    client: Client, trained_store: Path, opened: Opened, path: str, name: str
) -> None:
    """5.5: a name, as it is or percent-encoded, is 404 or 422; nothing outside of the store is opened for it."""
    method, _, path = path.rpartition(" ")
    method = method or ("POST" if path.startswith(("/predict", "/train")) else "GET")
    body_sent = BODIES.get(method) or BODIES.get(path.partition("?")[0]) or b"[[1, 2, 3, 4]]"
    opened.paths.clear()

    for written in (name, quote(name, safe="")):
        opened.is_on = True
        status, body = client.raw(method, path.format(written), body_sent)
        opened.is_on = False

        assert status in {404, 422}
        assert body.isascii()
        assert b"\r" not in body
        assert len(body) <= 4096
    # FastAPI reads the source of a route when it first refuses a request to it.
    others = [path for path in opened.paths if path.suffix != ".py"]
    assert [path for path in others if not path.is_relative_to(trained_store)] == []
