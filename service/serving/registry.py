"""``ModelRegistry``: what is in memory, one frozen snapshot, replaced by a single assignment."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock
from time import monotonic
from types import MappingProxyType
from typing import TypeAlias

from service.errors import AliasNotFound, ModelNotFound, NoLiveModel, ServiceError, StoreUnavailable, quoted
from service.store.model_store import ModelStore, StoredModel
from service.store.names import LIVE, ModelRef

log = logging.getLogger("logitd.registry")

Stamp: TypeAlias = tuple[int, int, int] | None
# Versions asked for by number stay in memory up to this many, the oldest leaves first.
MAX_PINNED = 32
RETRY_S = 5.0
# So often the aliases may move while they are being loaded, before that counts as a failure.
MAX_MOVES = 5


class Reload(StrEnum):
    """What came of the wish to have the version that an alias leads to in memory."""

    LOADED = "loaded"
    FAILED = "failed"


def uncounted(_: Reload) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class LoadedAliases:
    """The aliases of one model as they were when its alias file had this stamp, each with its version loaded.

    failures: why an alias kept what it had, one sentence each; with any, the store is asked again at ``retry_at``.
    """

    stamp: Stamp
    versions: Mapping[str, StoredModel]
    failures: tuple[str, ...] = ()
    retry_at: float = math.inf

    @property
    def reason(self) -> str:
        """The failures as the end of a sentence."""
        return "".join(f": {failure}" for failure in self.failures)

    def is_due(self, clock: Callable[[], float]) -> bool:
        """Whether a failure is to be tried again."""
        return bool(self.failures) and clock() >= self.retry_at


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Everything in memory at one moment."""

    aliases: Mapping[str, LoadedAliases] = field(default_factory=lambda: MappingProxyType({}))
    pinned: Mapping[tuple[str, int], StoredModel] = field(default_factory=lambda: MappingProxyType({}))


class ModelRegistry:
    """Resolves references to loaded models.

    Each resolution looks at the stamp of the model's alias file, one ``stat``, so that a promotion by any process is
    seen by the next request.  A version that fails to load changes nothing but a count and a log line; it is tried
    again every ``RETRY_S`` seconds, since the cause may have been the disk and not the file.  Any thread may ask; one at
    a time loads.

    clock: seconds that only go forward.  on_reload: told of each version loaded for an alias, and of each new failure.
    """

    def __init__(
        self,
        store: ModelStore,
        default_model: str,
        clock: Callable[[], float] = monotonic,
        on_reload: Callable[[Reload], None] = uncounted,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_reload = on_reload
        self.default_model = default_model
        self.loaded = LoadedModels()
        self._loading = Lock()

    def resolve_loaded(self, ref: ModelRef) -> StoredModel | None:
        """What ``resolve`` returns, where that takes no more than one ``stat``; None where it has to read files."""
        name = ref.name or self.default_model
        if ref.version is not None:
            return self.loaded.pinned.get((name, ref.version))
        known = self.loaded.aliases.get(name)
        if known is None:
            return None
        try:
            if self._store.stamp(name) != known.stamp or known.is_due(self._clock):
                return None
        except StoreUnavailable:
            # A store that cannot be read now has no news: what is in memory goes on answering.
            pass
        return known.versions.get(ref.alias or LIVE)

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
        with self._loading:
            known = self.loaded.aliases.get(name)
            try:
                stamp = self._store.stamp(name)
            except StoreUnavailable:
                if known is None:
                    raise
                return known
            if known is not None and known.stamp == stamp and not known.is_due(self._clock):
                return known
            if stamp is None and known is None:
                return LoadedAliases(None, MappingProxyType({}))
            fresh = self._kept(name, self._load_settled(name, stamp, known), known)
            self.loaded = replace(self.loaded, aliases=MappingProxyType({**self.loaded.aliases, name: fresh}))
            return fresh

    def _load_settled(self, name: str, stamp: Stamp, known: LoadedAliases | None) -> LoadedAliases:
        """What is loaded, again where the aliases moved meanwhile: the version that they left may be deleted by now."""
        for _ in range(MAX_MOVES):
            fresh = self._load_aliases(name, stamp, known)
            try:
                moved_to = self._store.stamp(name)
            except StoreUnavailable:
                return fresh
            if not fresh.failures or moved_to == stamp:
                return fresh
            stamp = moved_to
        return fresh

    def _load_aliases(self, name: str, stamp: Stamp, known: LoadedAliases | None) -> LoadedAliases:
        """Every alias with its version loaded; where that fails the version in memory stays."""
        before = known.versions if known is not None else MappingProxyType({})
        try:
            targets = {alias: entry.version for alias, entry in self._store.aliases(name).items()}
        except ServiceError as error:
            if isinstance(error, ModelNotFound) and not before:
                return LoadedAliases(stamp, before)
            # A version in use cannot be deleted through the store: its files were taken away underneath.
            return LoadedAliases(stamp, before, (error.detail,))
        if stamp is None and before:
            return LoadedAliases(stamp, before, ("its alias file is gone",))
        versions: dict[str, StoredModel] = {}
        failures: list[str] = []
        for alias, version in targets.items():
            loaded = before.get(alias)
            try:
                if loaded is None or loaded.manifest.version != version:
                    versions[alias] = self._store.load(name, version)
                    self._on_reload(Reload.LOADED)
                    log.info("a version was loaded", extra={"model": name, "alias": alias, "version": version})
                else:
                    versions[alias] = loaded
            except ServiceError as error:
                failures.append(error.detail)
                if loaded is not None:
                    versions[alias] = loaded
        return LoadedAliases(stamp, MappingProxyType(versions), tuple(failures))

    def _kept(self, name: str, fresh: LoadedAliases, known: LoadedAliases | None) -> LoadedAliases:
        """``fresh`` with the time of its next try; a failure counts and is logged when it is new."""
        for failure in fresh.failures:
            if known is None or failure not in known.failures:
                self._on_reload(Reload.FAILED)
                log.error("a model was not reloaded", extra={"model": name, "cause": failure})
        return replace(fresh, retry_at=self._clock() + RETRY_S)

    def _pinned(self, name: str, version: int) -> StoredModel:
        with self._loading:
            found = self.loaded.pinned.get((name, version))
            if found is not None:
                return found
            loaded = self._store.load(name, version)
            kept = list(self.loaded.pinned.items())[-(MAX_PINNED - 1) :]
            self.loaded = replace(self.loaded, pinned=MappingProxyType(dict([*kept, ((name, version), loaded)])))
            return loaded

    def forget(self, name: str, version: int) -> None:
        """Drop a version asked for by number, after it was deleted here."""
        with self._loading:
            kept = {key: value for key, value in self.loaded.pinned.items() if key != (name, version)}
            self.loaded = replace(self.loaded, pinned=MappingProxyType(kept))
