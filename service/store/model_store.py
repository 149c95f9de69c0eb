"""``ModelStore``: where models live.  The one door to stored versions, their aliases and their history."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.errors import (
    AliasNotFound,
    CorruptVersion,
    InvalidInput,
    UnsignedVersion,
    VersionInUse,
    VersionNotFound,
    quoted,
)
from service.model import Model
from service.record import VersionDraft
from service.store.aliases import AliasBook, AliasEntry, HistoryEntry, check_reason, replay, shortened
from service.store.artifact import check_draft, decode_model, describe, encode_parameters
from service.store.files import MAX_DOCUMENT_BYTES
from service.store.local import ALIASES, HISTORY, LocalStore
from service.store.manifest import MANIFEST, PARAMETERS, Manifest, complete
from service.store.names import MAX_VERSION, check_alias
from service.store.sealed import seal, unseal
from service.store.signature import (
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
    Signature,
    SignatureState,
    check_signature,
    parse_signature,
    sign,
)
from service.store.signing_keys import PrivateKey, PublicKey

# A longer one forgets its older half: each change reads it, and each reader gets it.
MOST_HISTORY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A version that was read and found intact."""

    manifest: Manifest
    model: Model


class ModelStore:
    """Immutable versions of models, and aliases that point to them, in a directory.

    Any number of processes and threads may use one directory at once.  Every method may raise InvalidName, and
    StoreUnavailable when the directory cannot be read or written; every write may raise StoreFull, and leaves nothing
    behind then.  Readers take no lock.

    trusted: with a key, versions that it did not sign are not loaded.
    """

    def __init__(self, root: Path, trusted: PublicKey | None = None) -> None:
        self._files = LocalStore(root)
        self.trusted = trusted
        # Not a method around it: this is asked before every answer.
        self.stamp = self._files.stamp

    def names(self) -> list[str]:
        """The models that have at least one version, sorted; none when the directory does not exist."""
        return self._files.names()

    def versions(self, name: str) -> list[int]:
        """The versions of a model, ascending.  Raises ModelNotFound."""
        return self._files.versions(name)

    def manifest(self, name: str, version: int) -> Manifest:
        """The manifest of a version; its parameters are not looked at.

        Raises ModelNotFound, VersionNotFound, CorruptVersion or NewerFormat.
        """
        return self._manifest(name, version, self._files.read(name, version, MANIFEST))

    def load(self, name: str, version: int) -> StoredModel:
        """A version, every byte of it checked.

        Raises as ``manifest`` does; where a key is trusted UnsignedVersion or InvalidSignature, before anything of the
        version is parsed.
        """
        body = self._files.read(name, version, MANIFEST)
        if self.trusted is not None:
            self._check_signature(name, version, body)
        return self._decoded(name, version, body)

    def inspect(self, name: str, version: int) -> StoredModel:
        """A version to be looked at rather than used: as ``load``, whether it is signed or not."""
        return self._decoded(name, version, self._files.read(name, version, MANIFEST))

    def check_signature(self, name: str, version: int) -> SignatureState:
        """What is known of the signature of a version; see ``sign``.

        Raises ModelNotFound, VersionNotFound, CorruptVersion or NewerFormat when its file is damaged, and where a key is
        trusted UnsignedVersion or InvalidSignature.
        """
        return self._check_signature(name, version, self._files.read(name, version, MANIFEST))

    def sign(self, name: str, version: int, key: PrivateKey) -> Signature:
        """Sign a version that is intact, durably; a signature that it has is replaced.  Raises as ``manifest`` does."""
        with self._files.locked(name):
            body = self._files.read(name, version, MANIFEST)
            self._decoded(name, version, body)
            signature = sign(name, version, body, key)
            self._files.replace(name, version, SIGNATURE, signature.to_bytes())
        return signature

    def verify(self, name: str, version: int) -> Manifest:
        """The manifest of a version that loads.  Raises as ``load`` does."""
        return self.load(name, version).manifest

    def put(self, name: str, draft: VersionDraft, model: Model, *, now: datetime) -> Manifest:
        """Publish ``model`` as a new version, durable before this returns; no alias moves.

        The number is one more than the highest that the model ever had, deleted ones too, whatever ``now`` says.
        Raises InvalidInput when the draft describes another model, a number in the model is not finite, or the manifest
        would be too long to be read again.
        """
        check_draft(draft, model)
        parameters = encode_parameters(model)
        file = describe(parameters)

        def manifest_of(version: int) -> Manifest:
            return complete(draft, name=name, version=version, created_at=now, parameters=file)

        if len(manifest_of(MAX_VERSION).to_bytes()) > MAX_DOCUMENT_BYTES:
            raise InvalidInput(
                "the model cannot be stored: its classes, columns and categories take more than "
                f"{MAX_DOCUMENT_BYTES >> 20} MiB of text; use fewer or shorter ones"
            )

        # Parameters first, so that a manifest never stands beside less than it describes.
        version = self._files.publish(
            name, lambda version: {PARAMETERS: parameters, MANIFEST: manifest_of(version).to_bytes()}
        )
        return manifest_of(version)

    def aliases(self, name: str) -> dict[str, AliasEntry]:
        """The aliases of a model by name.  Raises ModelNotFound, or CorruptVersion when the alias file is damaged."""
        return self._book(name).aliases

    def set_alias(
        self, name: str, alias: str, version: int, *, reason: str, now: datetime, expected_serial: int | None = None
    ) -> AliasEntry:
        """Point an alias to a version, whatever it pointed to before (the same version too), and record it.

        expected_serial: the serial that the alias must have now, 0 if it must not exist; else PreconditionFailed.
        The version must load, else it raises as ``load`` does.  Raises InvalidParameter for a reason of more than 1000
        characters.
        """
        check_alias(alias)
        check_reason(reason)
        with self._files.locked(name):
            book = self._book(name)
            book.check_serial(alias, expected_serial)
            self.verify(name, version)
            changed, line = book.changed(alias, version, reason=reason, now=now)
            # The history first: a crash in between leaves a line that took no effect, which readers can tell.  In the
            # other order an alias would have moved without a trace, and a rollback would go wrong.
            self._record(name, book, line.to_line())
            self._files.replace_aliases(name, seal(changed))
        return changed.aliases[alias]

    def _record(self, name: str, book: AliasBook, line: bytes) -> None:
        """Add a line to the history; when that is too long its older half is forgotten in the same step."""
        if self._files.history_bytes(name) + len(line) > MOST_HISTORY_BYTES:
            # One that is damaged is left as it is, for whoever looks into it.
            with suppress(CorruptVersion):
                past = self._past(name, book)
                self._files.replace_history(name, shortened(past, MOST_HISTORY_BYTES // 2) + line)
                return
        self._files.append_history(name, line)

    def history(self, name: str) -> list[HistoryEntry]:
        """The changes of the aliases of a model, oldest first: all, or when they are many the newest 512 KiB and more.

        Raises ModelNotFound or CorruptVersion.
        """
        # The aliases first: lines that come after them are not in effect yet, and are left out.
        return self._past(name, self._book(name))

    def _past(self, name: str, book: AliasBook) -> list[HistoryEntry]:
        return replay(self._files.read_history(name), book, where=f"{name}/{HISTORY}")

    def previous_version(self, name: str, alias: str) -> int:
        """The version that an alias pointed to before the present one: where a rollback goes.

        After a rollback that is the version which was rolled back.  It may have been deleted since.  Raises
        ModelNotFound, AliasNotFound, VersionNotFound when there was none, or CorruptVersion.
        """
        book = self._book(name)
        past = self._past(name, book)
        present = book.version_of(check_alias(alias))
        if present is None:
            raise AliasNotFound(f"model {quoted(name)} has no alias {quoted(alias)}")
        for entry in reversed(past):
            if entry.alias == alias and entry.previous not in {present, None}:
                return entry.previous
        is_whole = len(past) == book.serial
        raise VersionNotFound(
            f"alias {quoted(alias)} of model {quoted(name)} never pointed to another version than {present}"
            if is_whole
            else f"the history of model {quoted(name)} no longer tells where alias {quoted(alias)} pointed before",
            hint="" if is_whole else "name the version that it is to point to",
        )

    def delete(self, name: str, version: int) -> None:
        """Remove a version; its number is not given again.

        Raises VersionInUse when an alias points to it, ModelNotFound, VersionNotFound or CorruptVersion (of the alias
        file; a damaged version can be deleted).
        """
        with self._files.locked(name):
            used_by = self._book(name).aliases_of(version)
            if used_by:
                aliases = ", ".join(quoted(alias) for alias in used_by)
                raise VersionInUse(f"version {version} of model {quoted(name)} is in use by {aliases}; move it first")
            self._files.delete(name, version)

    def is_writable(self) -> bool:
        """Whether this process may publish here: permissions and a read-only mount count, free space does not."""
        return self._files.is_writable()

    def _manifest(self, name: str, version: int, body: bytes) -> Manifest:
        where = f"{name}/versions/{version}/{MANIFEST}"
        manifest = Manifest.from_bytes(body, where=where)
        if (manifest.name, manifest.version) != (name, version):
            raise CorruptVersion(f"{where} belongs to another version: it was copied here")
        return manifest

    def _decoded(self, name: str, version: int, body: bytes) -> StoredModel:
        manifest = self._manifest(name, version, body)
        parameters = self._files.read(name, version, PARAMETERS, limit=manifest.parameters.size)
        return StoredModel(manifest, decode_model(manifest, parameters))

    def _check_signature(self, name: str, version: int, manifest: bytes) -> SignatureState:
        body = self._files.read_optional(name, version, SIGNATURE, limit=MAX_SIGNATURE_BYTES)
        if body is None:
            if self.trusted is None:
                return SignatureState.NONE
            raise UnsignedVersion(
                f"{name}/{version} is not signed, and only signed versions are used here; "
                f"sign it by: logitd models sign {name}/{version} --key PRIVATE.pem"
            )
        signature = parse_signature(body, where=f"{name}/versions/{version}/{SIGNATURE}")
        if self.trusted is None:
            return SignatureState.UNCHECKED
        check_signature(signature, name, version, manifest, self.trusted)
        return SignatureState.VALID

    def _book(self, name: str) -> AliasBook:
        body = self._files.read_aliases(name)
        return AliasBook() if body is None else unseal(AliasBook, body, where=f"{name}/{ALIASES}")
