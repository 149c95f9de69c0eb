"""``DataPlane``: the read side.  Every dialect's prediction ends in the same ``predict``."""

from __future__ import annotations

from service.model import Matrix, Prediction
from service.serving.registry import ModelRegistry
from service.store.model_store import StoredModel
from service.store.names import ModelRef
from service.tabular.table import Table


class DataPlane:
    """Predictions by the model that a reference names at the moment of the call."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        # Not a method around it: this is asked before every answer.
        self.resolve_loaded = registry.resolve_loaded

    def resolve(self, ref: ModelRef) -> StoredModel:
        """See ``ModelRegistry.resolve``."""
        return self._registry.resolve(ref)

    def predict(
        self,
        stored: StoredModel,
        rows: Table | Matrix,
        *,
        threshold: float | None = None,
        explain: bool = False,
        interval: float | None = None,
    ) -> Prediction:
        """The prediction of one version for each of ``rows``: see ``Model.probabilities``.

        threshold: see ``Model.labels``.  explain: adds the terms of each logit.  interval: adds the limits of each
        probability with this confidence, see ``Model.intervals``.
        """
        model = stored.model
        probabilities = model.probabilities(rows)
        return Prediction(
            choices=model.choices(probabilities, threshold),
            probabilities=probabilities,
            classes=model.classes,
            model=stored.manifest.name,
            version=stored.manifest.version,
            explanations=model.explain(rows) if explain else None,
            intervals=None if interval is None else model.intervals(rows, interval),
        )

    def is_ready(self) -> bool:
        """Whether the default model answers."""
        return self._registry.is_ready()
