"""Ed25519 keys (RFC 8032) in PEM files, by the package ``cryptography``, which is imported when a key is read or used.

``openssl genpkey -algorithm ed25519 -out private.pem`` makes a pair, ``openssl pkey -in private.pem -pubout -out
public.pem`` writes its public half: see ``docs/signatures.md``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from service.errors import InvalidSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_PEM_BYTES = 1 << 16
# A SubjectPublicKeyInfo of Ed25519 (RFC 8410) is this and the 32 bytes of the key.
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
IS_PRIVATE, IS_PUBLIC = b"PRIVATE KEY-----", b"PUBLIC KEY-----"
MISSING = "signatures need the package cryptography, which is not installed"
REMEDY = "pip install 'logitd[signatures]'"

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What signatures are checked with; ``raw`` is its 32 bytes."""

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key in DER, hexadecimal: ``openssl pkey -pubin -in FILE -outform DER | sha256sum``."""
        return sha256(DER_PREFIX + self.raw).hexdigest()

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the other half of this pair signed ``message``."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 — an extra
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What versions are signed with, and the public half of the pair."""

    public: PublicKey
    _key: Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes; the same message has the same one."""
        return self._key.sign(message)


def read_public_key(path: Path, what: str) -> PublicKey:
    """The public key of a PEM file; ``what`` names the file's setting or option in messages.

    Raises InvalidSettings: ``cryptography`` is missing, the file cannot be read, or it holds something else.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 — an extra
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
    except ImportError:
        raise InvalidSettings(MISSING, hint=REMEDY) from None
    body = _pem(path, what)
    if IS_PRIVATE in body:
        raise InvalidSettings(f"{what}: expected the public key, found a private one; write it by openssl pkey -pubout")
    key = _load(lambda: load_pem_public_key(body), what)
    if not isinstance(key, Ed25519PublicKey):
        _refuse(what)
    return PublicKey(key.public_bytes_raw())


def read_private_key(path: Path, what: str) -> PrivateKey:
    """The private key of a PEM file that has no password; raises as ``read_public_key`` does."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 — an extra
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise InvalidSettings(MISSING, hint=REMEDY) from None
    body = _pem(path, what)
    if IS_PUBLIC in body:
        raise InvalidSettings(f"{what}: expected the private key, found a public one, which cannot sign")
    key = _load(lambda: load_pem_private_key(body, password=None), what)
    if not isinstance(key, Ed25519PrivateKey):
        _refuse(what)
    return PrivateKey(PublicKey(key.public_key().public_bytes_raw()), key)


def _pem(path: Path, what: str) -> bytes:
    try:
        status = path.stat()
        # Before it is opened: a FIFO would be waited for.
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_PEM_BYTES:
            raise InvalidSettings(f"{what}: expected an ordinary file of at most {MAX_PEM_BYTES} bytes")
        with path.open("rb") as file:
            return file.read(MAX_PEM_BYTES)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown cause"
        raise InvalidSettings(f"{what}: the file cannot be read: {reason}") from None
    except ValueError:
        raise InvalidSettings(f"{what}: expected the name of a file") from None


def _load(load: Callable[[], Loaded], what: str) -> Loaded:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 — an extra

    try:
        return load()
    except TypeError:
        # What cryptography raises when a password is needed and none is given.
        raise InvalidSettings(f"{what}: the key has a password; openssl pkey -in FILE -out NEW takes it off") from None
    except (ValueError, UnsupportedAlgorithm):
        _refuse(what)


def _refuse(what: str) -> NoReturn:
    raise InvalidSettings(
        f"{what}: expected an Ed25519 key in PEM, as openssl genpkey -algorithm ed25519 makes it"
    ) from None
