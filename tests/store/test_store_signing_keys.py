"""Key files: what is read, what is refused, and what is said of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from signing_pairs import SigningPair

from service.errors import InvalidSettings
from service.store.signing_keys import MAX_PEM_BYTES, read_private_key, read_public_key

PROJECT = Path(__file__).parents[2]
READERS = {"private": read_private_key, "public": read_public_key}
PLAIN = NoEncryption()
Make: TypeAlias = Callable[[Path], object]


def private_pem(
    key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption = PLAIN,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption)


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def gigabyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30)


ED25519, EC = Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
HUSH = BestAvailableEncryption(b"hush")
NEITHER: dict[str, tuple[Make, str]] = {
    "missing": (lambda _: None, "the file cannot be read: No such file or directory"),
    "directory": (Path.mkdir, "expected an ordinary file"),
    "FIFO": (os.mkfifo, "expected an ordinary file"),
    "gigabyte": (gigabyte, f"at most {MAX_PEM_BYTES} bytes"),
    "empty": (Path.touch, "expected an Ed25519 key in PEM"),
    "garbage": (lambda path: path.write_bytes(b"\xff\x00garbage"), "expected an Ed25519 key in PEM"),
    "torn": (lambda path: path.write_bytes(private_pem(ED25519)[:40]), "found a private one|expected an Ed25519 key"),
}
PRIVATE: dict[str, tuple[bytes, str]] = {
    "elliptic curve": (private_pem(EC), "expected an Ed25519 key in PEM"),
    "RSA": (private_pem(RSA), "expected an Ed25519 key in PEM"),
    "OpenSSH": (private_pem(ED25519, PrivateFormat.OpenSSH), "expected an Ed25519 key in PEM"),
    "with a password": (private_pem(ED25519, encryption=HUSH), "the key has a password; openssl pkey -in FILE"),
    "public": (public_pem(EC), "expected the private key, found a public one"),
}
PUBLIC: dict[str, tuple[bytes, str]] = {
    "elliptic curve": (public_pem(EC), "expected an Ed25519 key in PEM"),
    "RSA": (public_pem(RSA), "expected an Ed25519 key in PEM"),
    "private": (private_pem(ED25519), "expected the public key, found a private one; write it by openssl pkey -pubout"),
    "with a password": (private_pem(ED25519, encryption=HUSH), "expected the public key, found a private one"),
}


def refused(half: str, path: Path) -> str:
    with pytest.raises(InvalidSettings, match=r"^--key: ") as caught:
        READERS[half](path, "--key")
    return caught.value.detail


@pytest.mark.parametrize("half", READERS)
@pytest.mark.parametrize("case", NEITHER)
def test_what_is_no_key_file_is_refused(tmp_path: Path, case: str, half: str) -> None:
    """A file that is missing, special, huge, empty or garbage is refused in words, and not waited for."""
    make, message = NEITHER[case]
    make(tmp_path / "key.pem")

    detail = refused(half, tmp_path / "key.pem")

    assert any(words in detail for words in message.split("|"))


@pytest.mark.parametrize(("half", "case"), [("private", c) for c in PRIVATE] + [("public", c) for c in PUBLIC])
def test_another_kind_of_key_is_refused(tmp_path: Path, half: str, case: str) -> None:
    """Other algorithms, the other half, a password: the line says which, and nothing of what the file holds."""
    body, message = {"private": PRIVATE, "public": PUBLIC}[half][case]
    (tmp_path / "key.pem").write_bytes(body)

    detail = refused(half, tmp_path / "key.pem")

    assert message in detail
    assert "\n" not in detail
    assert body.splitlines()[1].decode() not in detail


def test_a_name_that_no_file_has_is_refused() -> None:
    """A null byte is no file name, which is said as a mistake of the user."""
    assert refused("public", Path("a\0b")) == "--key: expected the name of a file"


def test_a_link_to_a_key_is_followed(tmp_path: Path) -> None:
    """Secrets are mounted as symbolic links; they are the user's own files, unlike those of the store."""
    pair = SigningPair.made_in(tmp_path)
    (tmp_path / "link").symlink_to(pair.public)

    assert read_public_key(tmp_path / "link", "--key") == pair.trusted


def test_the_fingerprint_is_the_digest_of_the_key_in_der(tmp_path: Path) -> None:
    """It is what ``openssl pkey -pubin -outform DER | sha256sum`` prints, and both halves have the same."""
    pair = SigningPair.made_in(tmp_path)
    key = load_pem_public_key(pair.public.read_bytes())

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert pair.trusted.fingerprint == pair.signing.public.fingerprint == sha256(der).hexdigest()


def test_a_private_key_is_not_shown(tmp_path: Path) -> None:
    """What a log or a debugger prints of a key is its public half."""
    assert "Ed25519PrivateKey" not in repr(SigningPair.made_in(tmp_path).signing)


@pytest.mark.parametrize("half", READERS)
def test_without_cryptography_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: str) -> None:
    """Where the extra is not installed, asking for signatures names the command that installs it."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)

    with pytest.raises(InvalidSettings, match="cryptography, which is not installed") as caught:
        READERS[half](tmp_path / "key.pem", "--key")

    assert caught.value.hint == "pip install 'logitd[signatures]'"


def test_who_does_not_ask_for_signatures_does_not_wait_for_them() -> None:
    """The service and every command are imported without ``cryptography``, which takes long."""
    script = "import sys, service.cli.app, service.cli.listen; print('cryptography' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
