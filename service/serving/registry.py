"""``ModelRegistry``: what is in memory, one frozen snapshot, replaced by a single assignment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from service.errors import AliasNotFound, ModelNotFound, NoLiveModel, ServiceError, quoted
from service.store.model_store import ModelStore, StoredModel
from service.store.names import LIVE, ModelRef

log = logging.getLogger("logitd.registry")

Stamp: TypeAlias = tuple[int, int, int] | None
# Versions asked for by number stay in memory up to this many, the oldest leaves first.
MAX_PINNED = 32


@dataclass(frozen=True, slots=True)
class LoadedAliases:
    """The aliases of one model as they were when its alias file had this stamp, each with its version loaded."""

    stamp: Stamp
    versions: Mapping[str, StoredModel]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Everything in memory at one moment."""

    aliases: Mapping[str, LoadedAliases] = field(default_factory=lambda: MappingProxyType({}))
    pinned: Mapping[tuple[str, int], StoredModel] = field(default_factory=lambda: MappingProxyType({}))


class ModelRegistry:
    """Resolves references to loaded models.

    Each resolution looks at the stamp of the model's alias file, one ``stat``, so that a promotion by any process is
    seen by the next request.  A version that fails to load changes nothing but ``failed_reloads`` and a log line.
    """

    def __init__(self, store: ModelStore, default_model: str) -> None:
        self._store = store
        self.default_model = default_model
        self.loaded = LoadedModels()
        self.failed_reloads = 0

    def resolve(self, ref: ModelRef) -> StoredModel:
        """The loaded version that ``ref`` names now.

        Raises ModelNotFound, VersionNotFound, AliasNotFound, CorruptVersion for a version by number, and NoLiveModel
        when the alias ``live`` leads nowhere.
        """
        name = ref.name or self.default_model
        if ref.version is not None:
            return self._pinned(name, ref.version)
        alias = ref.alias or LIVE
        current = self._current_aliases(name)
        found = current.versions.get(alias)
        if found is not None:
            return found
        # Nothing in memory: say which of the reasons it is.
        if ref.name is not None:
            self._store.versions(name)
        if alias == LIVE:
            raise NoLiveModel(f"model {quoted(name)} has no live version that loads{current.reason}")
        raise AliasNotFound(f"model {quoted(name)} has no alias {quoted(alias)}{current.reason}")

    def is_ready(self) -> bool:
        """Whether the default model's live version answers."""
        try:
            self.resolve(ModelRef(None))
        except ServiceError:
            return False
        return True

    def _current_aliases(self, name: str) -> LoadedAliases:
        known = self.loaded.aliases.get(name)
        stamp = self._store.stamp(name)
        if known is not None and known.stamp == stamp:
            return known
        if stamp is None and known is None:
            return LoadedAliases(None, MappingProxyType({}))
        fresh = self._load_aliases(name, stamp, known)
        self.loaded = replace(self.loaded, aliases=MappingProxyType({**self.loaded.aliases, name: fresh}))
        return fresh

    def _load_aliases(self, name: str, stamp: Stamp, known: LoadedAliases | None) -> LoadedAliases:
        """Every alias with its version loaded; where that fails the version in memory stays."""
        before = known.versions if known is not None else MappingProxyType({})
        try:
            targets = {alias: entry.version for alias, entry in self._store.aliases(name).items()}
        except ModelNotFound:
            return LoadedAliases(stamp, MappingProxyType({}))
        except ServiceError as error:
            self._report(name, error)
            return LoadedAliases(stamp, before, reason=f": {error.detail}")
        versions: dict[str, StoredModel] = {}
        reason = ""
        for alias, version in targets.items():
            loaded = before.get(alias)
            try:
                same = loaded is not None and loaded.manifest.version == version
                versions[alias] = loaded if loaded is not None and same else self._store.load(name, version)
            except ServiceError as error:
                self._report(name, error)
                reason = f": {error.detail}"
                if loaded is not None:
                    versions[alias] = loaded
        return LoadedAliases(stamp, MappingProxyType(versions), reason)

    def _report(self, name: str, error: ServiceError) -> None:
        self.failed_reloads += 1
        log.error("model %s was not reloaded: %s", name, error.detail)

    def _pinned(self, name: str, version: int) -> StoredModel:
        found = self.loaded.pinned.get((name, version))
        if found is not None:
            return found
        loaded = self._store.load(name, version)
        kept = list(self.loaded.pinned.items())[-(MAX_PINNED - 1) :]
        self.loaded = replace(self.loaded, pinned=MappingProxyType(dict([*kept, ((name, version), loaded)])))
        return loaded

    def forget(self, name: str, version: int) -> None:
        """Drop a version asked for by number, after it was deleted here."""
        kept = {key: value for key, value in self.loaded.pinned.items() if key != (name, version)}
        self.loaded = replace(self.loaded, pinned=MappingProxyType(kept))
