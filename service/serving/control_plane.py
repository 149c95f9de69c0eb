"""``ControlPlane``: the write side.  Train, publish, move aliases, delete; the command line and HTTP share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

from service.errors import AliasNotFound, ServiceError
from service.record import Provenance
from service.store.aliases import AliasEntry
from service.store.manifest import Manifest
from service.store.model_store import ModelStore, StoredModel
from service.store.names import LIVE, check_name
from service.training.design_rows import MEMORY_BYTES
from service.training.evaluate import evaluate
from service.training.options import Promotion
from service.training.request import TrainingRequest
from service.training.train import TrainedModel, train


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """A published version, whether it became ``live``, and why or why not."""

    stored: StoredModel
    promoted: bool
    promotion: str
    seconds: float

    @property
    def manifest(self) -> Manifest:
        return self.stored.manifest


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a new version may become ``live``, and the reason in words."""

    promotes: bool
    reason: str


class ControlPlane:
    """Joins training and the store; holds no state of its own."""

    def __init__(self, store: ModelStore, clock: Callable[[], datetime]) -> None:
        self.store = store
        self._clock = clock

    def train(
        self,
        request: TrainingRequest,
        provenance: Provenance,
        *,
        on_phase: Callable[[str], None] = lambda _: None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> TrainingOutcome:
        """Train, publish as the next version, and promote it if ``request.promote`` allows.

        on_phase, memory_bytes: see ``training.train``.  Raises what ``training.train`` and ``ModelStore.put`` raise; nothing is published then.
        """
        began = perf_counter()
        check_name(request.model)
        trained = train(request.data, request.options, provenance, on_phase=on_phase, memory_bytes=memory_bytes)
        on_phase("storing")
        manifest = self.store.put(request.model, trained.draft, trained.model, now=self._clock())
        verdict = self._unless_unsigned(manifest, self._judge(request.model, trained, request.promote))
        if verdict.promotes:
            self.promote(request.model, LIVE, manifest.version, reason=verdict.reason)
        stored = StoredModel(manifest, trained.model)
        return TrainingOutcome(stored, verdict.promotes, verdict.reason, perf_counter() - began)

    def _judge(self, name: str, trained: TrainedModel, promote: Promotion) -> Verdict:
        if promote == "never":
            return Verdict(promotes=False, reason="promotion was not asked for")
        if promote == "always":
            return Verdict(promotes=True, reason="promotion was asked for in any case")
        if not trained.is_certified:
            return Verdict(promotes=False, reason=f"the fit is not certified: {trained.draft.certificate.status}")
        if promote == "certified":
            return Verdict(promotes=True, reason="the fit is certified")
        return self._compare_with_live(name, trained)

    def _unless_unsigned(self, manifest: Manifest, verdict: Verdict) -> Verdict:
        """The verdict, but no promotion where a key is trusted: who trains does not sign."""
        if self.store.trusted is None or not verdict.promotes:
            return verdict
        then = f"sign {manifest.name}/{manifest.version} by `logitd models sign`, then promote it"
        return Verdict(promotes=False, reason=f"{verdict.reason}, but only signed versions go live here: {then}")

    def _compare_with_live(self, name: str, trained: TrainedModel) -> Verdict:
        """Better means a lower log-loss than the live version's on the rows that were held out."""
        live = self._live(name)
        if live is None:
            return Verdict(promotes=True, reason="the fit is certified, and there is no live version to compare with")
        new = trained.draft.metrics.held_out
        if new is None or trained.held_out is None:
            return Verdict(promotes=False, reason="no rows were held out to compare with the live version on")
        try:
            old = evaluate(live.model, trained.held_out.table, trained.held_out.labels)
        except (ServiceError, KeyError):
            return Verdict(
                promotes=False, reason="the live version has other columns or classes, so it cannot be compared"
            )
        sign = "<" if new.log_loss < old.log_loss else ">="
        compared = f"held-out log-loss {new.log_loss:.6g} {sign} {old.log_loss:.6g} of version {live.manifest.version}"
        return Verdict(promotes=new.log_loss < old.log_loss, reason=compared)

    def _live(self, name: str) -> StoredModel | None:
        """The live version, or None when there is none that loads."""
        try:
            return self.store.load(name, self.store.aliases(name)[LIVE].version)
        except (ServiceError, KeyError):
            return None

    def promote(
        self, name: str, alias: str, version: int, *, reason: str = "", expected_serial: int | None = None
    ) -> AliasEntry:
        """See ``ModelStore.set_alias``."""
        return self.store.set_alias(
            name, alias, version, reason=reason, now=self._clock(), expected_serial=expected_serial
        )

    def rollback(self, name: str, alias: str, *, reason: str = "") -> AliasEntry:
        """Point the alias to the version that it pointed to before; raises as ``ModelStore.previous_version``."""
        if alias not in self.store.aliases(name):
            raise AliasNotFound(f"model {name} has no alias {alias}")
        version = self.store.previous_version(name, alias)
        return self.promote(name, alias, version, reason=reason or "rollback")

    def delete(self, name: str, version: int) -> None:
        """See ``ModelStore.delete``."""
        self.store.delete(name, version)
