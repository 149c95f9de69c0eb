"""The parameter file: coefficients of a ``Model`` to bytes and back.

The format is safetensors (a JSON header and raw little-endian numbers): reading it runs no code and allocates what the
file holds.  It does not notice changed bits, so length and SHA-256 are checked first, against the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.errors import CorruptVersion, InvalidInput
from service.model import Model
from service.record import VersionDraft
from service.store.manifest import PARAMETERS, Manifest, ParametersFile
from service.tabular.design import Design

# Versions that were written before a tensor was thought of do without it.
OPTIONAL = frozenset({"standard_errors", "shrinkage_bias", "covariance"})


def encode_parameters(model: Model) -> bytes:
    """The file of ``model``: float64 tensors ``coef`` (k, d) and ``intercept`` (k,), and those of OPTIONAL it has.

    The same numbers give the same bytes.  Raises InvalidInput when a shape does not fit the model's classes and columns,
    or a number is not finite: such a model cannot be served.
    """
    arrays = {name: getattr(model, name) for name in ("coef", "intercept", *OPTIONAL)}
    tensors = {name: np.ascontiguousarray(array, "<f8") for name, array in arrays.items() if array is not None}
    flaw = _flaw(tensors, _shapes(len(model.classes), model.design))
    if flaw:
        raise InvalidInput(f"the model cannot be stored: {flaw}")
    return save(tensors)


def describe(parameters: bytes) -> ParametersFile:
    """What a manifest says of this parameter file."""
    return ParametersFile(size=len(parameters), sha256=hashlib.sha256(parameters).hexdigest())


def check_draft(draft: VersionDraft, model: Model) -> None:
    """Raise InvalidInput unless the draft describes this model: the same columns, classes (by type too) and coding."""
    described = (draft.feature_schema, repr(draft.classes), draft.drop_first)
    if described != (model.schema, repr(model.classes), model.drop_first):
        raise InvalidInput("the manifest draft and the model differ in schema, classes or drop_first")


def decode_model(manifest: Manifest, parameters: bytes) -> Model:
    """The model of a manifest and its parameter file; its arrays are read-only.

    Raises CorruptVersion, naming the file and what differs: length or SHA-256 (before anything is parsed), then names,
    dtypes and shapes of the tensors against schema and classes, then numbers that are not finite.
    """
    where = f"{manifest.name}/versions/{manifest.version}/{PARAMETERS}"
    _check_bytes(manifest.parameters, parameters, where)
    design = Design(manifest.feature_schema, manifest.drop_first)
    try:
        tensors = load(parameters)
    except SafetensorError:
        raise CorruptVersion(f"{where} is not a safetensors file") from None
    flaw = _flaw(tensors, _shapes(len(manifest.classes), design))
    if flaw:
        raise CorruptVersion(f"{where}: {flaw}")
    for array in tensors.values():
        array.setflags(write=False)
    return Model(
        schema=manifest.feature_schema,
        classes=manifest.classes,
        coef=tensors["coef"],
        intercept=tensors["intercept"],
        drop_first=manifest.drop_first,
        **{name: tensors.get(name) for name in OPTIONAL},
    )


def _check_bytes(expected: ParametersFile, parameters: bytes, where: str) -> None:
    if len(parameters) != expected.size:
        raise CorruptVersion(f"{where} has {len(parameters)} bytes, the manifest says {expected.size}")
    if hashlib.sha256(parameters).hexdigest() != expected.sha256:
        raise CorruptVersion(f"{where} was changed after it was written: its SHA-256 is not that of the manifest")


def _shapes(n_classes: int, design: Design) -> dict[str, tuple[int, ...]]:
    k = 1 if n_classes == 2 else n_classes
    d = len(design.column_names)
    by_parameter = (k, d + 1)
    return {
        "coef": (k, d),
        "intercept": (k,),
        "standard_errors": by_parameter,
        "shrinkage_bias": by_parameter,
        "covariance": (k * (d + 1), k * (d + 1)),
    }


def _flaw(tensors: Mapping[str, npt.NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The first thing that is wrong with the tensors, or None."""
    if tensors.keys() | OPTIONAL != shapes.keys():
        return "expected the tensors coef, intercept and at most standard_errors, shrinkage_bias and covariance"
    for name, array in tensors.items():
        if array.dtype != np.float64:
            return f"{name} is {array.dtype}, expected float64"
        if array.shape != shapes[name]:
            return f"{name} has shape {array.shape}, its schema and classes need {shapes[name]}"
        if not np.isfinite(array).all():
            return f"{name} has a number that is not finite"
    return None
