"""The quality of a model's predictions on rows whose labels are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from service.linear import metrics
from service.model import Model
from service.record import Metrics
from service.tabular.table import Tabular
from service.training.labels import class_index


def evaluate(model: Model, table: Tabular, labels: npt.NDArray[Any]) -> Metrics:
    """The metrics of ``model`` on the rows of ``table``; every label must be one of the model's classes (KeyError)."""
    index = class_index(labels, model.classes)
    blocks = table.blocks(len(model.design.column_names))
    probabilities = np.concatenate([model.probabilities(block) for block in blocks])
    predicted = probabilities.argmax(axis=1)
    positions = np.arange(len(model.classes))
    roc_auc = metrics.roc_auc_ovr_macro(index, probabilities)
    return Metrics(
        rows=len(index),
        accuracy=metrics.accuracy_score(index, predicted),
        log_loss=metrics.log_loss(index, probabilities),
        brier=metrics.brier_score(index, probabilities),
        roc_auc=None if math.isnan(roc_auc) else roc_auc,
        f1_macro=metrics.f1_macro(index, predicted, positions),
        confusion_matrix=tuple(
            tuple(int(count) for count in row) for row in metrics.confusion_matrix(index, predicted, positions)
        ),
    )
