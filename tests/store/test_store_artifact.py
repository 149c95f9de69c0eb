from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save
from stored import MakeDraft, MakeModel

from service.errors import CorruptVersion, InvalidInput
from service.model import Label, Model
from service.store.artifact import decode_model, describe, encode_parameters
from service.store.manifest import Manifest, ParametersFile, complete

Describe: TypeAlias = Callable[[Model, bytes], Manifest]
Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


@pytest.fixture
def manifest_of(make_draft: MakeDraft, now: datetime) -> Describe:
    """Build the manifest of a model whose parameter file is the given bytes."""

    def build(model: Model, parameters: bytes) -> Manifest:
        draft = make_draft(model)
        return complete(draft, name="churn", version=2, created_at=now, parameters=describe(parameters))

    return build


@pytest.mark.parametrize("classes", [("no", "yes"), (False, True), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("errors", [True, False])
def test_a_model_survives_the_round_trip(
    make_model: MakeModel, manifest_of: Describe, classes: tuple[Label, ...], *, errors: bool
) -> None:
    """Every number comes back with the same bits, with standard errors or without."""
    model = make_model(classes, errors=errors)
    parameters = encode_parameters(model)

    read = decode_model(manifest_of(model, parameters), parameters)

    assert (read.schema, read.classes, read.drop_first) == (model.schema, model.classes, model.drop_first)
    assert read.coef.tobytes() == model.coef.tobytes()
    assert read.intercept.tobytes() == model.intercept.tobytes()
    assert (read.standard_errors is None) == (not errors)
    assert encode_parameters(read) == parameters


@pytest.mark.parametrize("classes", [("no", "yes"), (1, 2, 3)], ids=str)
def test_a_covariance_survives_the_round_trip(
    make_model: MakeModel, manifest_of: Describe, classes: tuple[Label, ...]
) -> None:
    """The covariance comes back with the same bits; without one, the file is that of a version that never had any."""
    n_params = 4 if len(classes) == 2 else 12
    model = replace(make_model(classes), covariance=np.arange(float(n_params**2)).reshape(n_params, -1) / 3)
    parameters = encode_parameters(model)

    read = decode_model(manifest_of(model, parameters), parameters)

    assert read.covariance is not None
    assert model.covariance is not None
    assert read.covariance.tobytes() == model.covariance.tobytes()
    assert b"covariance" not in encode_parameters(make_model(classes))


def test_a_shrinkage_bias_survives_the_round_trip(make_model: MakeModel, manifest_of: Describe) -> None:
    """The bias comes back with the same bits; a version that was stored without it has none."""
    model = replace(make_model(), shrinkage_bias=np.array([[-0.1, 1 / 3, 0.0, 2.0]]))
    parameters, without = encode_parameters(model), encode_parameters(make_model())

    read = decode_model(manifest_of(model, parameters), parameters)

    assert read.shrinkage_bias is not None
    assert read.shrinkage_bias.tolist() == [[-0.1, 1 / 3, 0.0, 2.0]]
    assert decode_model(manifest_of(make_model(), without), without).shrinkage_bias is None


def test_a_model_that_was_read_cannot_be_changed(make_model: MakeModel, manifest_of: Describe) -> None:
    """The arrays of a model in memory are read-only, since many threads share them."""
    model = make_model()
    parameters = encode_parameters(model)

    read = decode_model(manifest_of(model, parameters), parameters)

    with pytest.raises(ValueError, match="read-only"):
        read.coef[0, 0] = 1.0


def test_the_order_of_memory_does_not_matter(make_model: MakeModel) -> None:
    """Coefficients in Fortran order and a strided view give the bytes of the plain array."""
    model = make_model((1, 2, 3))
    strided = np.repeat(model.coef, 2, axis=1)[:, ::2]

    variants = [replace(model, coef=np.asfortranarray(model.coef)), replace(model, coef=strided)]

    assert [encode_parameters(variant) for variant in variants] == [encode_parameters(model)] * 2


@pytest.mark.parametrize("coef", [np.zeros((1, 3)), np.full((1, 3), -1e308), np.full((1, 3), 5e-324)], ids=str)
def test_any_finite_numbers_are_a_model(
    make_model: MakeModel, manifest_of: Describe, coef: npt.NDArray[np.float64]
) -> None:
    """S5: zero, huge and subnormal coefficients are stored and read like others."""
    model = replace(make_model(), coef=coef)
    parameters = encode_parameters(model)

    assert decode_model(manifest_of(model, parameters), parameters).coef.tobytes() == coef.tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coef": np.array([[1.0, np.nan, 2.0]])}, "coef has a number that is not finite"),
        ({"intercept": np.array([np.inf])}, "intercept has a number that is not finite"),
        ({"coef": np.ones((1, 4))}, "coef has shape"),
        ({"intercept": np.ones(2)}, "intercept has shape"),
        ({"standard_errors": np.ones((1, 3))}, "standard_errors has shape"),
        ({"shrinkage_bias": np.ones(4)}, "shrinkage_bias has shape"),
        ({"covariance": np.ones((3, 3))}, "covariance has shape"),
        ({"covariance": np.full((4, 4), np.nan)}, "covariance has a number that is not finite"),
    ],
    ids=str,
)
def test_a_model_that_could_not_be_served_is_not_encoded(
    make_model: MakeModel, change: dict[str, Any], message: str
) -> None:
    """NaN, infinity and wrong shapes stop at the door of the store, with a message that names the tensor."""
    model = replace(make_model(), **change)

    with pytest.raises(InvalidInput, match=message):
        encode_parameters(model)


def test_a_file_cut_off_at_any_length_is_refused(make_model: MakeModel, manifest_of: Describe) -> None:
    """S1: no prefix of the parameter file is taken for the file, nor is the file with a byte more."""
    model = make_model()
    parameters = encode_parameters(model)
    manifest = manifest_of(model, parameters)

    for body in [*(parameters[:length] for length in range(len(parameters))), parameters + b"\0"]:
        with pytest.raises(CorruptVersion, match=r"churn/versions/2/parameters\.safetensors has \d+ bytes"):
            decode_model(manifest, body)


def test_any_flipped_bit_is_refused(make_model: MakeModel, manifest_of: Describe) -> None:
    """S2: a change of one bit anywhere, in the header or in a number, is seen by the checksum."""
    model = make_model()
    parameters = encode_parameters(model)
    manifest = manifest_of(model, parameters)

    for bit in range(8 * len(parameters)):
        flipped = bytearray(parameters)
        flipped[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(CorruptVersion, match="SHA-256"):
            decode_model(manifest, bytes(flipped))


GOOD: Arrays = {"coef": np.ones((1, 3)), "intercept": np.ones(1)}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"coef": GOOD["coef"]}, "expected the tensors"),
        ({**GOOD, "extra": np.ones(1)}, "expected the tensors"),
        ({**GOOD, "coef": np.ones((1, 3), np.float32)}, "coef is float32"),
        ({**GOOD, "coef": np.ones((1, 3), np.int64)}, "coef is int64"),
        ({**GOOD, "coef": np.ones((3, 1))}, "coef has shape"),
        ({**GOOD, "coef": np.ones((1, 0))}, "coef has shape"),
        ({**GOOD, "coef": np.ones((3, 3)), "intercept": np.ones(3)}, "has shape"),
        ({**GOOD, "intercept": np.array([np.nan])}, "intercept has a number that is not finite"),
        ({**GOOD, "standard_errors": np.full((1, 4), np.inf)}, "standard_errors has a number that is not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_with_the_right_checksum_must_still_fit(
    make_model: MakeModel, manifest_of: Describe, tensors: Arrays, message: str
) -> None:
    """S3, S5: names, dtypes, shapes and finiteness are checked against schema and classes, and the message says which differs."""
    parameters = save(tensors)

    with pytest.raises(CorruptVersion, match=message):
        decode_model(manifest_of(make_model(), parameters), parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        b"",
        b"\x80\x04N.",  # a pickle
        (2**63).to_bytes(8, "little") + b"{}",
        (99_000_000).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (60).to_bytes(8, "little") + b'{"coef":{"dtype":"F64","shape":[18446744073709551616],"data_offsets":[0,0]}}',
    ],
    ids=ascii,
)
def test_a_forged_file_is_refused(make_model: MakeModel, manifest_of: Describe, parameters: bytes) -> None:
    """S3: bytes that are no safetensors file are corrupt, even when the manifest vouches for them."""
    with pytest.raises(CorruptVersion):
        decode_model(manifest_of(make_model(), parameters), parameters)


def test_a_file_is_described_by_size_and_checksum() -> None:
    """The manifest holds the length in bytes and the SHA-256 in hexadecimal."""
    assert describe(b"abc") == ParametersFile(size=3, sha256=hashlib.sha256(b"abc").hexdigest())
