"""``logitd key``: what it prints where, and that it never prints a key twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import Logitd

KEY = re.compile(r"lgt_[A-Za-z0-9_-]{43}")


def test_a_key_is_printed_once_on_standard_output(folder: Path, here: Logitd) -> None:
    """Standard output has the key alone; the message on standard error, the list and the file have it not."""
    done = here("key", "create", "--scope", "predict", "--name", "shop", "--file", "keys")

    assert done.code == 0
    assert KEY.fullmatch(done.out.strip())
    assert "keys as shop, for predict" in done.err
    listed = here("key", "list", "--file", "keys")
    for text in (done.err, listed.out, listed.err, (folder / "keys").read_text()):
        assert done.out.strip() not in text
    digest = (folder / "keys").read_text().split()[-3]
    assert not any(digest in text for text in (done.out, done.err, listed.out, here("config").out))


def test_every_answer_can_be_json(folder: Path, here: Logitd) -> None:
    """``--json`` for create, list and revoke; the setting names the file where no flag does."""
    (folder / ".env").write_text("LOGITD_API_KEYS_FILE=my keys\n")

    made = here("key", "create", "--scope", "train", "--json").json()
    listed = here("key", "list", "--json").json()
    revoked = here("key", "revoke", "train-1", "--json").json()

    assert KEY.fullmatch(made.pop("key"))
    assert made == {"name": "train-1", "scope": "train", "file": "my keys"}
    assert [(key["name"], key["scope"]) for key in listed] == [("train-1", "train")]
    assert revoked == {"revoked": "train-1", "scope": "train"}
    assert here("key", "list", "--json").json() == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("key create --scope admin", 2, "error: no key file is named"),
        ("key create --file keys", 2, "error: Missing option '--scope'"),
        ("key create --scope write --file keys", 2, "error: Invalid value for '--scope'"),
        ("key create --scope admin --name a/b --file keys", 2, "error: the name must be"),
        ("key create --scope admin --file none/keys", 2, "error: the key file cannot be written"),
        ("key list --file none", 2, "error: the key file cannot be read"),
        ("key revoke nobody --file t.csv", 2, "error: line 1 of the key file is wrong"),
        ("key revoke nobody --file empty", 4, "error: there is no key 'nobody'"),
    ],
)
def test_mistakes_are_told(folder: Path, here: Logitd, arguments: str, code: int, message: str) -> None:
    """A mistake has its exit code and its line, and leaves no file behind."""
    (folder / "t.csv").write_text("a,b\n")
    (folder / "empty").write_text("")

    done = here(*arguments.split())

    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(message)
    assert {path.name for path in folder.iterdir()} == {"t.csv", "empty"}
