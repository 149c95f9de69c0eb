"""Pairs of signing keys in PEM files, as a user makes them by OpenSSL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from service.store.signing_keys import PrivateKey, PublicKey, read_private_key, read_public_key


@dataclass(frozen=True)
class SigningPair:
    """The files of a private key and of its public half."""

    private: Path
    public: Path

    @classmethod
    def made_in(cls, folder: Path, name: str = "signing") -> SigningPair:
        """A new pair: ``name.private.pem`` and ``name.public.pem``."""
        pair = cls(folder / f"{name}.private.pem", folder / f"{name}.public.pem")
        key = Ed25519PrivateKey.generate()
        pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        pair.public.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        )
        return pair

    @property
    def signing(self) -> PrivateKey:
        return read_private_key(self.private, "--key")

    @property
    def trusted(self) -> PublicKey:
        return read_public_key(self.public, "--key")
