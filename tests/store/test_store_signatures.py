"""Signed versions: what a store that trusts a key loads, and everything that it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from signing_pairs import SigningPair
from stored import MakeDraft, MakeModel, Put

from service.errors import (
    CorruptVersion,
    InvalidSignature,
    NewerFormat,
    ServiceError,
    StoreUnavailable,
    UnsignedVersion,
    VersionNotFound,
)
from service.store.model_store import ModelStore
from service.store.sealed import _sealed
from service.store.seed import seed
from service.store.signature import MAX_SIGNATURE_BYTES, SignatureState

Damage: TypeAlias = Callable[[Path], object]
DOCUMENT = Path(__file__).parents[2] / "docs/signatures.md"
MANIFEST, PARAMETERS, SIGNATURE = "manifest.json", "parameters.safetensors", "signature.json"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> SigningPair:
    """The pair whose public half is trusted."""
    return SigningPair.made_in(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def signed_store(
    tmp_path_factory: pytest.TempPathFactory,
    make_model: MakeModel,
    make_draft: MakeDraft,
    now: datetime,
    pair: SigningPair,
) -> Path:
    """Signed versions 1 and 2 of ``churn``, of which 1 is live, and 1 of ``other``; 3 of ``churn`` is not signed."""
    root, model = tmp_path_factory.mktemp("signed") / "store", make_model()
    store = ModelStore(root)
    for name in ("churn", "churn", "churn", "other"):
        store.put(name, make_draft(model), model, now=now)
    for name, version in (("churn", 1), ("churn", 2), ("other", 1)):
        store.sign(name, version, pair.signing)
    store.set_alias("churn", "live", 1, reason="", now=now)
    return root


@pytest.fixture
def trusting(signed_store: Path, pair: SigningPair, tmp_path: Path) -> ModelStore:
    """A copy of that store which trusts the key."""
    return ModelStore(Path(shutil.copytree(signed_store, tmp_path / "store")), pair.trusted)


def test_a_signed_version_is_loaded(trusting: ModelStore, store: ModelStore) -> None:
    """What the trusted key signed loads as it does where no key is trusted; the signature's state says so."""
    assert trusting.load("churn", 2).manifest == store.load("churn", 2).manifest
    assert trusting.check_signature("churn", 2) is SignatureState.VALID
    assert store.check_signature("churn", 2) is SignatureState.UNCHECKED
    assert store.check_signature("churn", 3) is SignatureState.NONE


def test_an_unsigned_version_is_refused_with_the_remedy(trusting: ModelStore, store: ModelStore) -> None:
    """Where a key is trusted a version without a signature is not used; it may be looked at, to decide on it."""
    with pytest.raises(UnsignedVersion, match="sign it by: logitd models sign churn/3 --key"):
        trusting.load("churn", 3)

    assert trusting.inspect("churn", 3).manifest == store.load("churn", 3).manifest


def flip(file: str, at: int = -30) -> Damage:
    def damage(version: Path) -> None:
        body = bytearray((version / file).read_bytes())
        body[at] ^= 1
        (version / file).write_bytes(body)

    return damage


def forge(file: str, **fields: object) -> Damage:
    """Write other fields, under a right checksum."""

    def damage(version: Path) -> None:
        document = json.loads((version / file).read_bytes()) | fields
        document.pop("sha256")
        (version / file).write_bytes(_sealed(document))

    return damage


def put_in_place(make: Damage) -> Damage:
    """Put something else where the signature was."""

    def damage(version: Path) -> None:
        (version / SIGNATURE).unlink()
        make(version / SIGNATURE)

    return damage


def signature_of(other: str) -> Damage:
    return lambda version: shutil.copy(version.parents[2] / other / SIGNATURE, version / SIGNATURE)


def whole(other: str) -> Damage:
    """Put another signed version, with its signature, where this one was."""

    def damage(version: Path) -> None:
        shutil.rmtree(version)
        shutil.copytree(version.parents[2] / other, version)

    return damage


def renumbered(version: Path) -> None:
    """Version 1 with its signature, its manifest forged to say that it is version 2."""
    whole("churn/versions/1")(version)
    forge(MANIFEST, version=2)(version)


def signed_by_another(version: Path) -> None:
    other = SigningPair.made_in(version.parents[3], "other")
    ModelStore(version.parents[2]).sign("churn", 2, other.signing)


def under_a_false_name(version: Path) -> None:
    """Signed by another key, and saying that it was the trusted one."""
    key = json.loads((version / SIGNATURE).read_bytes())["key"]
    signed_by_another(version)
    forge(SIGNATURE, key=key)(version)


# What is done to version 2, which is signed, and what a store says of it that trusts the key.
REFUSED: dict[str, tuple[Damage, type[ServiceError], str]] = {
    "a bit of the manifest": (flip(MANIFEST), InvalidSignature, "not what was signed"),
    "a forged manifest": (forge(MANIFEST, warnings=[]), InvalidSignature, "not what was signed"),
    "no manifest any more": (lambda v: (v / MANIFEST).write_bytes(b"{"), InvalidSignature, "not what was signed"),
    "a bit of the parameters": (flip(PARAMETERS), CorruptVersion, "SHA-256 is not that of the manifest"),
    "no signature": (lambda v: (v / SIGNATURE).unlink(), UnsignedVersion, "is not signed"),
    "a bit of the signature": (flip(SIGNATURE), CorruptVersion, "checksum differs"),
    "another signature": (forge(SIGNATURE, signature="A" * 86 + "=="), InvalidSignature, "not what was signed"),
    "half a signature": (forge(SIGNATURE, signature="A" * 42 + "=="), CorruptVersion, "signature"),
    "no base64": (forge(SIGNATURE, signature="?" * 86 + "=="), CorruptVersion, "signature"),
    "another algorithm": (forge(SIGNATURE, algorithm="none"), CorruptVersion, "algorithm"),
    "a field more": (forge(SIGNATURE, more=1), CorruptVersion, "more"),
    "of a newer release": (forge(SIGNATURE, format_version=2), NewerFormat, "upgrade"),
    "another key": (signed_by_another, InvalidSignature, "signed with another key: its fingerprint begins with"),
    "another key, hidden": (under_a_false_name, InvalidSignature, "not what was signed"),
    "that of another version": (signature_of("churn/versions/1"), InvalidSignature, "not what was signed"),
    "that of another model": (signature_of("other/versions/1"), InvalidSignature, "not what was signed"),
    "another version, replayed": (whole("churn/versions/1"), InvalidSignature, "not what was signed"),
    "another model, replayed": (whole("other/versions/1"), InvalidSignature, "not what was signed"),
    "an old version, renumbered": (renumbered, InvalidSignature, "not what was signed"),
    "empty": (lambda v: (v / SIGNATURE).write_bytes(b""), CorruptVersion, "not JSON"),
    "garbage": (lambda v: (v / SIGNATURE).write_bytes(b"\xff\x00garbage"), CorruptVersion, "not JSON"),
    "truncated": (lambda v: os.truncate(v / SIGNATURE, 100), CorruptVersion, "not JSON"),
    "a terabyte": (lambda v: os.truncate(v / SIGNATURE, 2**40), CorruptVersion, f"{MAX_SIGNATURE_BYTES} bytes"),
    "a link": (put_in_place(lambda p: p.symlink_to("/etc/passwd")), CorruptVersion, "not an ordinary file"),
    "a FIFO": (put_in_place(os.mkfifo), CorruptVersion, "not an ordinary file"),
    "a directory": (put_in_place(Path.mkdir), CorruptVersion, "not an ordinary file"),
    "a device": (put_in_place(lambda p: p.symlink_to("/dev/zero")), CorruptVersion, "not an ordinary file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_everything_else_is_refused(trusting: ModelStore, churn: Path, now: datetime, case: str) -> None:
    """A version, a signature or their pairing that is not what the key's holder made is not loaded nor promoted."""
    damage, kind, message = REFUSED[case]

    damage(churn / "versions/2")

    for use in (trusting.load, trusting.verify):
        with pytest.raises(kind, match=message):
            use("churn", 2)
    with pytest.raises(kind):
        trusting.set_alias("churn", "live", 2, reason="", now=now)

    assert trusting.aliases("churn")["live"].version == 1
    assert trusting.load("churn", 1).manifest.version == 1


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from([MANIFEST, PARAMETERS, SIGNATURE]), bit=st.integers(min_value=0))
def test_no_bit_may_change(trusting: ModelStore, churn: Path, file: str, bit: int) -> None:
    """Any flipped bit of any file of a signed version is found."""
    path = churn / "versions/2" / file
    body = path.read_bytes()
    at, mask = bit // 8 % len(body), 1 << bit % 8
    path.write_bytes(body[:at] + bytes([body[at] ^ mask]) + body[at + 1 :])
    try:
        with pytest.raises((InvalidSignature, CorruptVersion, NewerFormat)):
            trusting.load("churn", 2)
    finally:
        path.write_bytes(body)

    assert trusting.load("churn", 2).manifest.version == 2


@pytest.mark.usefixtures("trusting")
def test_openssl_accepts_what_is_signed(churn: Path, pair: SigningPair, tmp_path: Path) -> None:
    """The documented commands check a signature without this program: OpenSSL agrees about it, and about the message."""
    commands = DOCUMENT.read_text().rpartition("```sh\n")[2].partition("```")[0]
    shutil.copy(pair.public, churn / "versions/2/public.pem")

    done = subprocess.run(
        ["bash", "-e", "-c", commands.replace("/tmp/", f"{tmp_path}/")],
        cwd=churn / "versions/2",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully")


def test_signing_touches_the_signature_only(store: ModelStore, put: Put, churn: Path, pair: SigningPair) -> None:
    """A version stays as it was published; the same key gives the same file, another key another."""
    put()
    folder = churn / "versions/1"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    first = store.sign("churn", 1, pair.signing)
    body = (folder / SIGNATURE).read_bytes()
    again = store.sign("churn", 1, pair.signing)
    same = (folder / SIGNATURE).read_bytes()
    store.sign("churn", 1, SigningPair.made_in(churn, "another").signing)

    assert first == again
    assert same == body != (folder / SIGNATURE).read_bytes()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != SIGNATURE} == before
    assert list((churn / ".tmp").iterdir()) == []


def test_a_damaged_version_is_not_signed(store: ModelStore, put: Put, churn: Path, pair: SigningPair) -> None:
    """Nobody vouches for what is not intact, nor for what is not there."""
    put()
    flip(PARAMETERS)(churn / "versions/1")

    with pytest.raises(CorruptVersion):
        store.sign("churn", 1, pair.signing)
    with pytest.raises(VersionNotFound):
        store.sign("churn", 2, pair.signing)

    assert not (churn / "versions/1" / SIGNATURE).exists()


@pytest.mark.parametrize("stray", ["link", "FIFO", "garbage"])
def test_signing_takes_the_place_of_whatever_was_there(
    trusting: ModelStore, churn: Path, pair: SigningPair, tmp_path: Path, stray: str
) -> None:
    """A stray file is replaced and not written through."""
    path, outside = churn / "versions/3" / SIGNATURE, tmp_path / "outside"
    outside.write_bytes(b"mine")
    make: dict[str, Damage] = {
        "link": lambda p: p.symlink_to(outside),
        "FIFO": os.mkfifo,
        "garbage": lambda p: p.write_bytes(b"x"),
    }
    make[stray](path)

    trusting.sign("churn", 3, pair.signing)

    assert trusting.load("churn", 3).manifest.version == 3
    assert outside.read_bytes() == b"mine"


def test_a_directory_in_its_place_stops_the_signature(
    store: ModelStore, put: Put, churn: Path, pair: SigningPair
) -> None:
    """What cannot be replaced is an error of the store, and leaves nothing behind."""
    put()
    (churn / "versions/1" / SIGNATURE).mkdir()

    with pytest.raises(StoreUnavailable, match=f"writing churn/versions/1/{SIGNATURE} failed"):
        store.sign("churn", 1, pair.signing)

    assert list((churn / ".tmp").iterdir()) == []


def test_signed_models_are_copied_with_their_signatures(
    trusting: ModelStore, tmp_path: Path, pair: SigningPair
) -> None:
    """A store that is filled from signed models serves them where the key is trusted."""
    seed(tmp_path / "filled", tmp_path / "store")

    filled = ModelStore(tmp_path / "filled", pair.trusted)
    assert filled.load("other", 1).manifest == trusting.load("other", 1).manifest


def test_a_signed_version_can_be_deleted(trusting: ModelStore) -> None:
    """The signature goes with its version."""
    trusting.delete("churn", 2)

    assert trusting.versions("churn") == [1, 3]
