"""The signature of a stored version: a small file beside its manifest, and the bytes that it is over.

It says that the holder of a private key wants these numbers under this name and number.  The message holds the
SHA-256 of the manifest, and the manifest that of the parameters, so that a signature covers every byte of a version
and fits no other one.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from enum import StrEnum
from hashlib import sha256
from typing import Literal

from pydantic import Field

from service.errors import InvalidSignature
from service.record import Record
from service.store.sealed import seal, unseal
from service.store.signing_keys import PrivateKey, PublicKey

SIGNATURE = "signature.json"
MAX_SIGNATURE_BYTES = 4096
# No other signature of the same key is over bytes that begin so.
DOMAIN = "logitd model signature v1"
SHORT = 16


class SignatureState(StrEnum):
    """What is known of a version's signature: there is none, nobody asked, it is the trusted key's, or it is not."""

    NONE = "none"
    UNCHECKED = "not checked"
    VALID = "valid"
    INVALID = "invalid"


class Signature(Record):
    """The file ``signature.json``: fingerprint of the public key, and the signature in base64 (64 bytes)."""

    format_version: Literal[1] = 1
    algorithm: Literal["ed25519"] = "ed25519"
    key: str = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = Field(pattern=r"^[A-Za-z0-9+/]{86}==$")

    def to_bytes(self) -> bytes:
        """The file; see ``sealed.seal``."""
        return seal(self)


def message(name: str, version: int, manifest: bytes) -> bytes:
    """What is signed: four lines of ASCII, the domain, the model's name, the version, and the SHA-256 of its manifest.

    manifest: the bytes of ``manifest.json``.  No name holds a line feed, so no two versions have one message.
    """
    return f"{DOMAIN}\n{name}\n{version}\n{sha256(manifest).hexdigest()}\n".encode()


def sign(name: str, version: int, manifest: bytes, key: PrivateKey) -> Signature:
    """The signature of a version by ``key``."""
    signature = key.sign(message(name, version, manifest))
    return Signature(key=key.public.fingerprint, signature=b64encode(signature).decode())


def parse_signature(body: bytes, *, where: str) -> Signature:
    """The signature of a file; raises NewerFormat or CorruptVersion, naming ``where``.  See ``sealed.unseal``."""
    return unseal(Signature, body, where=where)


def check_signature(signature: Signature, name: str, version: int, manifest: bytes, key: PublicKey) -> None:
    """Raise InvalidSignature unless the private half of ``key`` signed this version."""
    if key.accepts(b64decode(signature.signature), message(name, version, manifest)):
        return
    if signature.key != key.fingerprint:
        raise InvalidSignature(
            f"{name}/{version} is signed with another key: its fingerprint begins with {signature.key[:SHORT]}, "
            f"expected {key.fingerprint[:SHORT]}"
        )
    raise InvalidSignature(
        f"{name}/{version} is not what was signed: its manifest was changed, or another version was copied here"
    )
