from __future__ import annotations

import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from stored import Put

from service.errors import InvalidName, InvalidVersion, ServiceError, VersionNotFound
from service.store.model_store import ModelStore
from service.store.names import ModelRef, check_alias, check_name, parse_version

HOSTILE = [
    "..", ".", "../x", "..%2fx", "%2e%2e/x", "..%252fx", "..\\x", "/etc/passwd", "//x", "x/../y", "x%00y", "x\0", "CON",
    "-rf", "--help", "~", "$HOME", "{{7*7}}", "%s%n", "a b", "", "a" * 65, "a" * 255, "a" * 10_000, ".hidden", "LIVE",
    "ｘ", "\u202ex", "\u00e9", "e\u0301", "🙂", "x\r\nSet-Cookie", "%0d%0a", "x;id", "x|id", "file:///etc", "s3://b/k",
    "http://169.254.169.254/", "x#/../..", "x\n", "churn/versions/1", "x-", "_x",
]  # fmt: skip


@pytest.mark.parametrize("name", ["a", "7", "iris", "iris-binary", "a.b_c-d", "x.tmp", "aux.json", "a..b", "a" * 64])
def test_ordinary_names_pass(name: str) -> None:
    """Lower-case letters, digits, dots, dashes and underscores make a name, up to 64 of them."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_refused(name: str) -> None:
    """Nothing that a file system, shell, browser or terminal could read in another way is a name."""
    with pytest.raises(InvalidName):
        check_name(name)


@given(st.text())
def test_every_name_that_passes_is_one_plain_path_component(name: str) -> None:
    """A name that passes is ASCII, not hidden, and stays inside its parent directory."""
    with suppress(InvalidName):
        checked = check_name(name)

        assert re.match(r"[a-z0-9._-]+\Z", checked)
        assert (Path("root") / checked).resolve().parent == Path("root").resolve()


@pytest.mark.parametrize("alias", ["versions", "3", "007", "", "Live", "live@x"])
def test_an_alias_is_a_name_that_no_version_could_be(alias: str) -> None:
    """Numbers and the word ``versions`` are names of models, but not of aliases."""
    with pytest.raises(InvalidName):
        check_alias(alias)


def test_versions_are_plain_positive_integers() -> None:
    """``1`` to ``999999999`` are versions."""
    assert [parse_version(text) for text in ("1", "42", "999999999")] == [1, 42, 999_999_999]


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "01", "+1", "", " 1", "1\n", "latest", "1_0", "١"])
def test_other_spellings_of_versions_are_invalid(text: str) -> None:
    """Signs, leading zeros, fractions, spaces and foreign digits are refused."""
    with pytest.raises(InvalidVersion):
        parse_version(text)


@pytest.mark.parametrize("text", ["1000000000", "1" + "0" * 30, "9" * 5000])
def test_a_version_of_more_than_nine_digits_does_not_exist(text: str) -> None:
    """A number too large for any version is well-formed, so it is not found rather than invalid."""
    with pytest.raises(VersionNotFound):
        parse_version(text)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("churn", ModelRef("churn")),
        ("churn@live", ModelRef("churn", alias="live")),
        ("churn/3", ModelRef("churn", version=3)),
    ],
)
def test_a_reference_is_read_and_written_in_the_same_way(text: str, reference: ModelRef) -> None:
    """The three spellings of a reference survive the round trip."""
    parsed = ModelRef.parse(text)

    assert parsed == reference
    assert str(parsed) == text


def test_a_reference_without_a_name_says_that_it_is_the_default() -> None:
    """The default model has no name until somebody resolves it."""
    assert str(ModelRef(None, version=2)) == "(default)/2"


@pytest.mark.parametrize("text", ["", "@live", "churn@", "churn@3", "churn@live/3", "churn/3@live", "a/b/3", "../x"])
def test_other_references_are_refused(text: str) -> None:
    """A reference with an empty, hostile or double part names nothing."""
    with pytest.raises((InvalidName, InvalidVersion)):
        ModelRef.parse(text)


class PathLog:
    """Collects every path that Python opens, lists, makes, renames or removes, while ``is_on``."""

    def __init__(self) -> None:
        self.is_on = False
        self.paths: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_on and event in {"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove"}:
            self.paths.append(str(arguments[0]))


@pytest.fixture(scope="module")
def path_log() -> PathLog:
    """The log of this module; Python keeps such a hook until it ends."""
    log = PathLog()
    sys.addaudithook(log)
    return log


@given(name=st.one_of(st.sampled_from(HOSTILE), st.text(max_size=80)))
@example(name="versions")
def test_no_name_opens_a_file_outside_the_store(
    path_log: PathLog, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """Whatever the name of a model or alias, every path that is touched lies below the root of the store."""
    root = tmp_path_factory.getbasetemp() / "names"
    store = ModelStore(root)
    attempts = (
        lambda: store.load(name, 1),
        lambda: store.aliases(name),
        lambda: store.history(name),
        lambda: store.delete(name, 1),
        lambda: store.stamp(name),
        lambda: store.set_alias("churn", name, 1, reason="", now=datetime(2026, 3, 1, tzinfo=UTC)),
    )

    path_log.paths.clear()
    path_log.is_on = True
    for attempt in attempts:
        with suppress(ServiceError):
            attempt()
    path_log.is_on = False

    assert [path for path in path_log.paths if not path.startswith(str(root))] == []
    assert not root.exists()


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_not_repeated_in_the_message(put: Put, name: str) -> None:
    """The refusal says what a name looks like, in printable ASCII, and not what was sent."""
    with pytest.raises(InvalidName) as caught:
        put(name)

    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 200
