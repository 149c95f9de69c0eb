"""``logitd models sign`` and ``verify --key``, and the commands where only signed versions are used."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from command_line import Logitd
from signing_pairs import SigningPair

from service.serving import views
from service.store.model_store import ModelStore


@pytest.fixture
def pair(folder: Path) -> SigningPair:
    """``signing.private.pem`` and ``signing.public.pem`` in the current directory."""
    return SigningPair.made_in(folder)


@pytest.fixture
def trained(here: Logitd, pair: SigningPair) -> Logitd:
    """The command line on a store whose model ``iris`` has one version, which is live; a pair of keys is there."""
    assert pair.private.exists()
    here("train", "iris", "--model", "iris")
    return here


@pytest.fixture
def requiring(trained: Logitd, pair: SigningPair, monkeypatch: pytest.MonkeyPatch) -> Logitd:
    """The same where only signed versions are used."""
    monkeypatch.setenv("LOGITD_REQUIRE_SIGNATURE", str(pair.public))
    return trained


def test_sign_and_verify(trained: Logitd, pair: SigningPair) -> None:
    """A version is signed by its number; verify says who is not, and what is not looked at without a key."""
    before, unsigned = trained("models", "verify"), trained("models", "verify", "--key", str(pair.public))
    signed = trained("models", "sign", "iris/1", "--key", str(pair.private))
    after, checked = trained("models", "verify"), trained("models", "verify", "iris", "--key", str(pair.public))

    assert (before.code, before.out) == (0, "iris/1: intact\n")
    assert unsigned.code == 6
    assert unsigned.out.startswith("iris/1: iris/1 is not signed, and only signed versions are used here; sign it by:")
    assert signed.out == f"signed iris/1 with the key of fingerprint {pair.trusted.fingerprint}\n"
    assert (after.code, after.out) == (0, "iris/1: intact, signature not checked\n")
    assert (checked.code, checked.out) == (0, "iris/1: intact, signed\n")


def test_sign_and_verify_as_json(trained: Logitd, pair: SigningPair) -> None:
    """``--json`` tells damage from a signature that is missing or not the key's."""
    key = ("--key", str(pair.public), "--json")

    unsigned = trained("models", "verify", "iris/1", *key).json()
    signed = trained("models", "sign", "iris/1", "--key", str(pair.private), "--json").json()
    checked = trained("models", "verify", *key).json()
    other = SigningPair.made_in(pair.public.parent, "other")
    by_other = trained("models", "verify", "iris/1", "--json", "--key", str(other.public))

    assert signed == {"signed": "iris/1", "key": pair.trusted.fingerprint}
    assert checked == [{"version": "iris/1", "intact": True, "signature": "valid", "problem": None}]
    assert (unsigned[0]["intact"], unsigned[0]["signature"]) == (True, "none")
    assert (by_other.code, by_other.json()[0]["intact"], by_other.json()[0]["signature"]) == (6, True, "invalid")
    assert "signed with another key" in by_other.json()[0]["problem"]


def test_a_damaged_signature_is_found_without_a_key(trained: Logitd, folder: Path, pair: SigningPair) -> None:
    """Verify reads every file of a version."""
    trained("models", "sign", "iris/1", "--key", str(pair.private))
    os.truncate(folder / "model_store/iris/versions/1/signature.json", 10)

    done = trained("models", "verify", "--json")

    assert (done.code, done.json()[0]["intact"], done.json()[0]["signature"]) == (6, True, "invalid")
    assert "signature.json is not JSON" in done.json()[0]["problem"]


def test_show_tells_of_the_signature(requiring: Logitd, folder: Path, pair: SigningPair) -> None:
    """An unsigned version can be looked at, so that one can decide to sign it; JSON is what HTTP answers."""
    unsigned = requiring("models", "show", "iris")
    requiring("models", "sign", "iris/1", "--key", str(pair.private))
    signed, told = requiring("models", "show", "iris"), requiring("models", "show", "iris", "--json")

    assert "\nsignature: none\n" in unsigned.out
    assert "\nsignature: valid\n" in signed.out
    trusting = ModelStore(folder / "model_store", pair.trusted)
    assert told.json() == json.loads(json.dumps(views.version(trusting, trusting.load("iris", 1))))


def test_an_unsigned_version_does_not_predict(requiring: Logitd, pair: SigningPair) -> None:
    """By name, alias or number it is exit code 6 with the remedy; once it is signed it answers."""
    refused = [requiring("predict", "iris", "--model", ref) for ref in ("iris", "iris@live", "iris/1")]
    requiring("models", "sign", "iris/1", "--key", str(pair.private))
    answered = requiring("predict", "iris", "--model", "iris")

    assert [done.code for done in refused] == [6, 6, 6]
    assert all(done.err.startswith("error: iris/1 is not signed") for done in refused)
    assert all(done.err.count("\n") == 1 for done in refused)
    assert all(done.out == "" for done in refused)
    assert answered.code == 0


def test_who_trains_does_not_sign(requiring: Logitd, store: ModelStore, pair: SigningPair) -> None:
    """A new version is stored, not live; promote and rollback refuse it until it is signed."""
    trained = requiring("train", "iris", "--model", "iris", "--json")
    refused = requiring("models", "promote", "iris/2")
    assert store.aliases("iris")["live"].version == 1
    requiring("models", "sign", "iris/2", "--key", str(pair.private))
    promoted = requiring("models", "promote", "iris/2")
    back = requiring("models", "rollback", "iris")

    assert (trained.code, trained.json()["promoted"]) == (7, False)
    assert trained.json()["promotion"] == (
        "the fit is certified, but only signed versions go live here: "
        "sign iris/2 by `logitd models sign`, then promote it"
    )
    assert (refused.code, promoted.code) == (6, 0)
    assert refused.err.startswith("error: iris/2 is not signed")
    assert (back.code, store.aliases("iris")["live"].version) == (6, 2)


def test_a_promotion_that_was_not_asked_for_is_no_failure(requiring: Logitd) -> None:
    """``--promote false`` is how to train where versions are signed by somebody else: exit code 0."""
    done = requiring("train", "iris", "--model", "iris", "--promote", "false", "--json")

    assert (done.code, done.json()["promotion"]) == (0, "promotion was not asked for")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("sign iris/1", 2, "Missing option '--key'"),
        ("sign iris --key signing.private.pem", 2, "name the version: iris/NUMBER"),
        ("sign iris/9 --key signing.private.pem", 4, "model 'iris' has no such version"),
        ("sign none/1 --key signing.private.pem", 4, "there is no model 'none'"),
        ("sign iris/1 --key none.pem", 2, "--key: the file cannot be read: No such file or directory"),
        ("sign iris/1 --key .", 2, "--key: expected an ordinary file"),
        ("sign iris/1 --key signing.public.pem", 2, "--key: expected the private key, found a public one"),
        ("verify --key signing.private.pem", 2, "--key: expected the public key, found a private one"),
        ("verify --key none.pem", 2, "--key: the file cannot be read"),
        ("verify none --key signing.public.pem", 4, "there is no model 'none'"),
    ],
)
def test_mistake_about_keys_is_one_line(trained: Logitd, arguments: str, code: int, message: str) -> None:
    """A key that cannot be used is exit code 2 with a line that says why."""
    done = trained("models", *arguments.split())

    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_an_empty_key_is_not_no_key(trained: Logitd) -> None:
    """``--key "$KEY"`` without a value does not pass for a check."""
    done = trained("models", "verify", "--key", "")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: --key: expected an ordinary file")


@pytest.mark.parametrize("command", ["models verify", "models list", "predict iris --model iris", "serve --port 0"])
def test_a_required_key_that_cannot_be_read_stops_every_command(
    trained: Logitd, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """LOGITD_REQUIRE_SIGNATURE fails closed: exit code 2 before anything is read or served."""
    monkeypatch.setenv("LOGITD_REQUIRE_SIGNATURE", "none.pem")

    done = trained(*command.split())

    assert (done.code, done.out) == (2, "")
    assert done.err == "error: LOGITD_REQUIRE_SIGNATURE: the file cannot be read: No such file or directory\n"


def test_without_cryptography_the_command_that_installs_it_is_named(
    requiring: Logitd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extra is missing the service does not start, and says what to do."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)

    done = requiring("serve", "--port", "0")

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: signatures need the package cryptography, which is not installed (pip install 'logitd[signatures]')\n"
    )
