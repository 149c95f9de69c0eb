"""Strange names in every place of every URL: none leads out of the store, and none comes back raw."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from asking import Client

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
