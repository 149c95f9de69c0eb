"""``logitd models``: list, show, promote, rollback, verify, delete."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Logitd, logitd

from service.serving import views
from service.store.model_store import ModelStore


@pytest.fixture
def two_versions(here: Logitd) -> Logitd:
    """The command line on a store with two versions of ``iris``, the second live."""
    here("train", "iris", "--model", "iris")
    here("train", "iris", "--model", "iris", "--C", "0.1")
    return here


def test_list_is_a_line_a_model(two_versions: Logitd) -> None:
    """The list shows versions, aliases and the live version's metrics; ``--json`` has the same."""
    two_versions("train", "moons", "--model", "moons", "--promote", "false")

    shown, told = two_versions("models", "list"), two_versions("models", "list", "--json")

    header, iris, moons = shown.out.splitlines()
    assert header.split() == ["model", "versions", "aliases", "accuracy", "log-loss", "on"]
    assert iris.split()[:6] == ["iris", "1,", "2", "live", "→", "2"]
    assert iris.rstrip().endswith("30 held-out rows")
    assert moons.split() == ["moons", "1"]
    assert [line["name"] for line in told.json()] == ["iris", "moons"]
    assert told.json()[0]["aliases"] == {"live": 2}


def test_empty_store_says_what_to_do(here: Logitd, folder: Path) -> None:
    """Without a model the list is empty, and a message names the next command; nothing is created."""
    shown, told = here("models", "list"), here("models", "list", "--json")

    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "no model yet; next: logitd train iris --model iris\n"
    assert told.json() == []
    assert list(folder.iterdir()) == []


def test_show_is_the_summary_and_the_history(two_versions: Logitd, store: ModelStore) -> None:
    """A version is shown by number, alias or name alone, with the statistician's table and how aliases moved."""
    by_number, by_alias, by_name = (two_versions("models", "show", ref) for ref in ("iris/2", "iris@live", "iris"))
    first = two_versions("models", "show", "iris/1")

    assert by_number.out == by_alias.out == by_name.out
    assert by_number.out.startswith(views.summary(store.load("iris", 2)))
    assert "live: 1 → 2  the fit is certified" in by_number.out
    assert first.out.startswith("Logistic regression iris/1, classes: setosa, versicolor, virginica\n")


def test_show_as_json_is_the_manifest(two_versions: Logitd, store: ModelStore) -> None:
    """``--json`` prints what ``GET /models/iris/versions/1`` answers."""
    told = two_versions("models", "show", "iris/1", "--json")

    assert told.json() == views.version(store, store.load("iris", 1))


def test_show_without_live_version_is_the_latest(here: Logitd) -> None:
    """A model that is not live is shown by its latest version, with its warnings."""
    here("train", "moons", "--model", "moons", "--solver", "gradient-descent", "--max-iter", "1")

    shown = here("models", "show", "moons")

    assert shown.code == 0
    assert "warning: not-converged\n" in shown.out
    assert "Standard errors are not known" in shown.out


def test_promote_and_rollback_move_the_alias(two_versions: Logitd, store: ModelStore) -> None:
    """An alias moves to a version and back; both say where it is now, and the history keeps the reasons."""
    promoted = two_versions("models", "promote", "iris/1", "--reason", "calmer")
    back = two_versions("models", "rollback", "iris", "--json")
    other = two_versions("models", "promote", "iris/1", "--alias", "candidate")

    assert promoted.out == "iris@live is version 1 now\n"
    assert back.json() == {"model": "iris", "alias": "live", "version": 2}
    assert other.out == "iris@candidate is version 1 now\n"
    assert [entry.reason for entry in store.history("iris")][2:] == ["calmer", "rollback", ""]
    assert {alias: entry.version for alias, entry in store.aliases("iris").items()} == {"candidate": 1, "live": 2}


def test_delete_spares_what_is_in_use(two_versions: Logitd, store: ModelStore) -> None:
    """A version that an alias points to is exit code 5; another one goes."""
    refused, gone = two_versions("models", "delete", "iris/2"), two_versions("models", "delete", "iris/1")

    assert (refused.code, gone.code) == (5, 0)
    assert refused.err == "error: version 2 of model 'iris' is in use by 'live'; move it first\n"
    assert gone.out == "deleted iris/1\n"
    assert store.versions("iris") == [2]


def test_delete_as_json(two_versions: Logitd) -> None:
    """``--json`` names what was deleted."""
    assert two_versions("models", "delete", "iris/1", "--json").json() == {"deleted": "iris/1"}


def test_verify_finds_a_changed_byte(two_versions: Logitd, folder: Path) -> None:
    """Every version is checked; a damaged one is exit code 6 and named, and cannot be promoted or shown."""
    intact = two_versions("models", "verify")
    file = folder / "model_store/iris/versions/1/parameters.safetensors"
    body = bytearray(file.read_bytes())
    body[-1] ^= 1
    file.write_bytes(body)

    all_of_it, told = two_versions("models", "verify"), two_versions("models", "verify", "iris/1", "--json")
    good, promoted = two_versions("models", "verify", "iris@live"), two_versions("models", "promote", "iris/1")

    assert (intact.code, intact.out) == (0, "iris/1: intact\niris/2: intact\n")
    assert all_of_it.code == told.code == promoted.code == 6
    assert all_of_it.out.splitlines()[1] == "iris/2: intact"
    assert "parameters.safetensors" in all_of_it.out.splitlines()[0]
    assert (told.json()[0]["version"], told.json()[0]["intact"]) == ("iris/1", False)
    assert (good.code, good.out) == (0, "iris/2: intact\n")
    assert two_versions("models", "show", "iris/1").code == 6


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("show none", 4, "there is no model 'none'"),
        ("show irsi", 4, "there is no model 'irsi' (did you mean 'iris'?)"),
        ("show iris/9", 4, "model 'iris' has no such version; its latest is 2"),
        ("show iris@best", 4, "model 'iris' has no alias 'best'"),
        ("show iris/x", 2, "a version is a whole number"),
        ("show IRIS", 2, "a name is 1 to 64"),
        ("promote iris", 2, "name the version: iris/NUMBER"),
        ("promote iris/9", 4, "model 'iris' has no such version"),
        ("promote iris/1 --alias 3", 2, "an alias cannot be a number"),
        ("rollback iris --alias best", 4, "model iris has no alias best"),
        ("rollback none", 4, "there is no model 'none'"),
        ("delete iris/9", 4, "model 'iris' has no such version"),
        ("delete iris", 2, "name the version"),
        ("verify none", 4, "there is no model 'none'"),
        ("show", 2, "Missing argument 'NAME[/VERSION|@ALIAS]'"),
    ],
)
def test_mistake_about_models_is_one_line(two_versions: Logitd, arguments: str, code: int, message: str) -> None:
    """What is not found is 4, what is not a name or a version is 2; the line says which."""
    done = two_versions("models", *arguments.split())

    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_rollback_needs_a_version_before(here: Logitd) -> None:
    """An alias that never pointed elsewhere cannot go back."""
    here("train", "iris", "--model", "iris")

    done = here("models", "rollback", "iris")

    assert done.code == 4
    assert done.err == "error: alias 'live' of model 'iris' never pointed to another version than 1\n"


def test_store_is_named_by_flag_environment_or_default(folder: Path, here: Logitd) -> None:
    """``--store`` goes before LOGITD_STORE, and that before model_store."""
    here("train", "iris", "--model", "by-flag", "--store", "flag")
    here("train", "iris", "--model", "by-default")
    variables = {"LOGITD_STORE": "flag"}

    by_flag = logitd("models", "list", "--json", "--store", "model_store", folder=folder, variables=variables)
    by_environment = logitd("models", "list", "--json", folder=folder, variables=variables)

    assert [line["name"] for line in by_flag.json()] == ["by-default"]
    assert [line["name"] for line in by_environment.json()] == ["by-flag"]
