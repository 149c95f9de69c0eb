"""Strange names on the command line and in the environment: one line, the documented exit code, nothing opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.app import run
from service.errors import InvalidSettings
from service.settings import load_settings

NAMES = [
    *("..", ".", "../x", "..%2fx", "%2e%2e/x", "..%252fx", "..\\x", "/etc/passwd", "//x", "x/../y", "x%00y", "x\0"),
    *("CON", "aux.json", "-rf", "~", "$HOME", "{{7*7}}", "%s%n", "a b", "", "a" * 64, "a" * 65, "a" * 255),
    *("a" * 10_000, ".hidden", "x.tmp", "LIVE", "versions", "ｘ", "\u202eiris", "e\u0301", "\u00e9", "😀", "iris\n"),
    *("\r\nSet-Cookie: x", "%0d%0a", ";id", "|id", "file:///etc", "s3://b/k", "http://169.254.169.254/", "#/../.."),
]
WELL_FORMED = {"aux.json", "a" * 64, "x.tmp", "versions"}
COMMANDS = {"show": "{}", "verify": "{}", "promote": "{}/1", "rollback": "{}", "delete": "{}/1"}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_leads_anywhere(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    name: str,
) -> None:
    """5.5: a name is malformed (2) or not found (4); the message is one short printable line, and no file is made."""
    monkeypatch.chdir(tmp_path)

    code = run(["models", command, "--store", str(tmp_path / "store"), "--", COMMANDS[command].format(name)])

    said = capsys.readouterr()
    assert code in ({4} if name in WELL_FORMED else {2, 4})
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.rstrip("\n").isprintable()
    assert len(said.err) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_a_default_model_is_a_name(name: str) -> None:
    """5.5: LOGITD_DEFAULT_MODEL is a well-formed name, or the settings are refused without repeating it."""
    variables = {"LOGITD_DEFAULT_MODEL": name}

    if name in WELL_FORMED:
        assert load_settings(flags={}, environment=variables, dotenv={}).settings.default_model == name
        return
    with pytest.raises(InvalidSettings) as caught:
        load_settings(flags={}, environment=variables, dotenv={})
    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 400
