from __future__ import annotations

import json
import os
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, ValidationError
from stored import MakeDraft, MakeModel, Put

from service.errors import CorruptVersion, Integrity, NewerFormat
from service.model import Label
from service.record import Record, VersionDraft
from service.store.files import MAX_DOCUMENT_BYTES
from service.store.manifest import Manifest, ParametersFile, complete
from service.store.model_store import ModelStore
from service.store.sealed import seal
from service.tabular.design import Design


@pytest.fixture
def manifest(make_model: MakeModel, make_draft: MakeDraft, now: datetime) -> Manifest:
    """The manifest of version 3 of ``churn``."""
    draft = make_draft(make_model())
    return complete(draft, name="churn", version=3, created_at=now, parameters=ParametersFile(size=8, sha256="0" * 64))


class Anything(Record):
    """A record of any value, to seal documents that no release ever wrote."""

    model_config = ConfigDict(extra="allow")


def sealed(document: dict[str, Any]) -> bytes:
    """A file whose checksum is right, whatever is in it."""
    return seal(Anything(**document))


def test_a_manifest_survives_the_round_trip(manifest: Manifest) -> None:
    """Reading gives back what was written, and writing it again gives the same bytes."""
    body = manifest.to_bytes()

    assert Manifest.from_bytes(body) == manifest
    assert Manifest.from_bytes(body).to_bytes() == body


def test_the_file_is_meant_to_be_read_by_people(manifest: Manifest) -> None:
    """It begins with its identity, is indented, keeps accents, writes times in UTC, and ends in a newline."""
    text = manifest.to_bytes().decode()

    assert list(json.loads(text))[:4] == ["format_version", "name", "version", "created_at"]
    assert '\n  "created_at": "2026-03-01T12:30:15.250000Z",\n' in text
    assert '"name": "âge (années)"' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("classes", [(False, True), (0, 1), ("0", "1"), (-1, 0, 2**53 + 1)], ids=str)
def test_classes_keep_their_types(classes: tuple[Label, ...], manifest: Manifest) -> None:
    """True is not 1, and 1 is not "1", after reading as before."""
    changed = Manifest(**{**dict(manifest), "classes": classes})

    read = Manifest.from_bytes(changed.to_bytes())

    assert repr(read.classes) == repr(classes)


def test_a_time_of_another_zone_is_written_in_utc(manifest: Manifest) -> None:
    """The file holds one notation of time only."""
    paris = timezone(timedelta(hours=1))

    changed = Manifest(**{**dict(manifest), "created_at": datetime(2026, 3, 1, 13, 0, tzinfo=paris)})

    assert changed.created_at == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert b'"2026-03-01T12:00:00Z"' in changed.to_bytes()


def test_a_command_that_is_not_unicode_is_written_with_question_marks(manifest: Manifest) -> None:
    """A file name of undecodable bytes does not prevent the publication of the model trained on it."""
    provenance = manifest.provenance.model_validate({**dict(manifest.provenance), "command": "train caf\udce9.csv"})

    changed = Manifest(**{**dict(manifest), "provenance": provenance})

    assert Manifest.from_bytes(changed.to_bytes()).provenance.command == "train caf?.csv"


def test_a_draft_refuses_what_could_not_be_written(make_model: MakeModel, make_draft: MakeDraft) -> None:
    """NaN has no JSON, and an unknown field no meaning: both are refused where they are made."""
    draft = make_draft(make_model())
    nan = {**dict(draft.certificate), "objective": float("nan")}

    with pytest.raises(ValidationError, match="finite"):
        draft.certificate.model_validate(nan)
    with pytest.raises(ValidationError, match="extra"):
        VersionDraft(**{**dict(draft), "colour": "blue"})


def test_any_changed_bit_is_refused(manifest: Manifest) -> None:
    """S2: one flipped bit in any byte makes the manifest unreadable, also where it stays valid JSON."""
    body = manifest.to_bytes()

    for position in range(len(body)):
        flipped = bytearray(body)
        flipped[position] ^= 1 << (position % 8)
        with pytest.raises(Integrity):
            Manifest.from_bytes(bytes(flipped))


def test_any_truncation_is_refused(manifest: Manifest) -> None:
    """A manifest that was cut off anywhere is refused, also when only the last newline is gone."""
    body = manifest.to_bytes()

    for length in range(len(body)):
        with pytest.raises(CorruptVersion):
            Manifest.from_bytes(body[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"format_version": 1, "format_version": 1}',
        b'{"version": NaN}',
        b'{"version": 1e400}',
        b'{"version": ' + b"9" * 5000 + b"}",
        b'{"sha256": "\\ud800"}',
        b'{"name": "\\ud800"}',
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b" " * (MAX_DOCUMENT_BYTES + 1),
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_what_is_not_a_manifest_is_corrupt(body: bytes) -> None:
    """S4: neither garbage nor a forged document gets further than CorruptVersion, and the message names the file."""
    with pytest.raises(CorruptVersion, match=r"^churn/versions/3/manifest\.json "):
        Manifest.from_bytes(body, where="churn/versions/3/manifest.json")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": "3"},
        {"classes": ["yes"]},
        {"classes": [0.5, 1.5]},
        {"created_at": "2026-03-01T12:00:00"},
        {"parameters": {"size": -1, "sha256": ""}},
        {"schema": {"features": []}},
        {"format_version": 0},
        {"colour": "blue"},
    ],
    ids=str,
)
def test_a_right_checksum_does_not_excuse_a_wrong_field(manifest: Manifest, change: dict[str, Any]) -> None:
    """S3: a sealed document must still be a manifest: fields, types and ranges are checked strictly."""
    document = manifest.model_dump(mode="json", by_alias=True) | change

    with pytest.raises(CorruptVersion, match="not as declared: " + next(iter(change))):
        Manifest.from_bytes(sealed(document))


def test_a_manifest_from_before_indicators_keeps_its_columns(manifest: Manifest) -> None:
    """What older releases did not write of a feature is nothing: no quantiles, no indicator, the same columns."""
    document = manifest.model_dump(mode="json", by_alias=True)
    document["schema"]["missing"] = "impute"
    for feature in document["schema"]["features"]:
        for novelty in feature.keys() & {"quantiles", "missing_share", "has_indicator"}:
            del feature[novelty]

    read = Manifest.from_bytes(sealed(document)).feature_schema

    assert read == manifest.feature_schema.model_copy(update={"missing": "impute"})
    assert Design(read).column_names == ("âge (années)", "island=Biscoe", "island=Dream")
    assert Design(read).means.tolist() == [40.5, 0.25, 0.75]


def test_a_newer_format_is_not_called_corrupt(manifest: Manifest) -> None:
    """S8: a file of a later release, even with another checksum rule, says that an upgrade is needed."""
    document = manifest.model_dump(mode="json", by_alias=True) | {"format_version": 2, "novelty": [1]}

    with pytest.raises(NewerFormat, match="written by a newer release"):
        Manifest.from_bytes(json.dumps(document).encode())


def test_a_file_of_a_gigabyte_is_refused_unread(store: ModelStore, put: Put, churn: Path) -> None:
    """S4: the size of a manifest is looked at before its contents: less than a megabyte is allocated."""
    put()
    os.truncate(churn / "versions/1/manifest.json", 2**30)
    tracemalloc.start()

    with pytest.raises(CorruptVersion, match="longer than"):
        store.manifest("churn", 1)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
