"""A key file with one key of each scope, for tests of the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.web.keys.key_file import Scope, add_key

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass(frozen=True)
class KeysOnDisk:
    """The file, and the text of its key by scope; the keys are named like their scopes."""

    path: Path
    by_scope: dict[str, str]

    @classmethod
    def made_in(cls, folder: Path) -> KeysOnDisk:
        path = folder / "keys"
        return cls(path, {scope: add_key(path, scope, scope.value, NOW)[0] for scope in Scope})

    def bearer(self, scope: str) -> dict[str, str]:
        """The header that presents the key of a scope."""
        return {"Authorization": f"Bearer {self.by_scope[scope]}"}
