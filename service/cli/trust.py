"""The key that versions must be signed with, where the settings name one."""

from __future__ import annotations

from pathlib import Path

from service.settings import Settings, variable
from service.store.signing_keys import PublicKey, read_public_key


def trusted_key(chosen: Settings) -> PublicKey | None:
    """The public key of LOGITD_REQUIRE_SIGNATURE, None without; raises InvalidSettings when it cannot be used."""
    if not chosen.require_signature:
        return None
    return read_public_key(Path(chosen.require_signature), variable("require_signature"))
