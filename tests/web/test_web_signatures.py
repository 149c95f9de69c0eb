"""The service where only signed versions are loaded: what answers, what is refused, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from asking import GOOD, Client, MakeClient
from signing_pairs import SigningPair
from wire import on_wire, request

from service.record import VersionDraft
from service.store.model_store import ModelStore

pytest_plugins = ("served",)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRAINING = {
    "model": "abc",
    "instances": [[float(row % 7), float(row % 5)] for row in range(40)],
    "targets": [row % 3 for row in range(40)],
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> SigningPair:
    """The pair whose public half the service is given."""
    return SigningPair.made_in(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def store(store_copy: Path, pair: SigningPair) -> ModelStore:
    """A store as other processes see it: ``abc`` has the signed version 1, which is live, and 2, which is not signed."""
    writer = ModelStore(store_copy)
    first = writer.load("abc", 1)
    draft = VersionDraft(**{field: getattr(first.manifest, field) for field in VersionDraft.model_fields})
    writer.put("abc", draft, first.model, now=NOW)
    writer.sign("abc", 1, pair.signing)
    return writer


@pytest.fixture
def client(store: ModelStore, make_client: MakeClient, store_copy: Path, pair: SigningPair) -> Client:
    """The service over that store, which requires signatures."""
    assert store.versions("abc") == [1, 2]
    return make_client(store_copy, default_model="abc", require_signature=str(pair.public))


def answering(client: Client) -> int:
    """The version that answers."""
    answer = client.post("/predict", json=GOOD)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["version"])


def test_a_signed_version_answers_and_an_unsigned_one_does_not(client: Client) -> None:
    """By number the refusal names its cause and its remedy; a model that nobody signed is not live."""
    unsigned = client.check_problem(client.post("/predict?model=abc/2", json=GOOD), 503, "unsigned-version")
    other = client.check_problem(client.post("/predict?model=iris", json=GOOD), 503, "no-live-model")

    assert answering(client) == 1
    assert client.get("/readyz").status_code == 200
    assert "logitd models sign abc/2 --key" in unsigned["detail"]
    assert "iris/1 is not signed" in other["detail"]
    for path in ("", "/summary"):
        client.check_problem(client.get(f"/models/abc/versions/2{path}"), 503, "unsigned-version")


def test_an_unsigned_default_model_is_not_ready(make_client: MakeClient, store_copy: Path, pair: SigningPair) -> None:
    """The shipped models are unsigned: a service that requires signatures starts, and says why it is not ready."""
    client = make_client(store_copy, default_model="iris", require_signature=str(pair.public))

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    client.check_problem(client.post("/predict", json=GOOD), 503, "no-live-model")


def test_a_promotion_of_an_unsigned_version_is_refused(client: Client, store: ModelStore) -> None:
    """The alias stays where it is, and who asked is told what to do."""
    refused = client.put("/models/abc/aliases/live", json={"version": 2})

    problem = client.check_problem(refused, 503, "unsigned-version")
    assert "sign it by" in problem["detail"]
    assert store.aliases("abc")["live"].version == 1
    assert answering(client) == 1


def test_a_swap_to_an_unsigned_version_changes_nothing(client: Client, store: ModelStore, pair: SigningPair) -> None:
    """What another process makes live without a signature is not loaded; the last good version answers until it is signed."""
    assert answering(client) == 1

    store.set_alias("abc", "live", 2, reason="", now=NOW)
    before = [answering(client) for _ in range(3)]
    store.sign("abc", 2, pair.signing)
    # A change of the alias is seen at once; else the version would be tried again some seconds later.
    store.set_alias("abc", "live", 2, reason="signed", now=NOW)

    assert before == [1, 1, 1]
    assert client.get("/readyz").status_code == 200
    assert answering(client) == 2


def test_another_keys_signature_is_refused(
    client: Client, store: ModelStore, tmp_path: Path, pair: SigningPair
) -> None:
    """A signature by whoever else is worth none; nor is one that was copied from another version."""
    store.sign("abc", 2, SigningPair.made_in(tmp_path, "other").signing)
    by_other = client.check_problem(client.post("/predict?model=abc/2", json=GOOD), 503, "invalid-signature")
    versions = tmp_path / "store/abc/versions"
    (versions / "2/signature.json").write_bytes((versions / "1/signature.json").read_bytes())
    copied = client.check_problem(client.post("/predict?model=abc/2", json=GOOD), 503, "invalid-signature")

    assert pair.trusted.fingerprint[:16] in by_other["detail"]
    assert "another version was copied here" in copied["detail"]


def test_training_publishes_and_does_not_promote(client: Client, store: ModelStore, pair: SigningPair) -> None:
    """``/train`` says why its version is not live; the live one keeps answering, and once signed the new one is promoted."""
    compared = client.post("/train", json=TRAINING | {"promote": "if_better"})
    trained = client.post("/train", json=TRAINING | {"promote": "always"})

    # The trainer's process checked the signature of the live version before it looked at its columns.
    assert compared.json()["promotion"].startswith("the live version has other columns")
    assert trained.status_code == 201, trained.text
    assert (trained.json()["version"], trained.json()["promoted"]) == (4, False)
    assert trained.json()["promotion"] == (
        "promotion was asked for in any case, but only signed versions go live here: "
        "sign abc/4 by `logitd models sign`, then promote it"
    )
    assert answering(client) == 1
    store.sign("abc", 4, pair.signing)
    assert client.put("/models/abc/aliases/live", json={"version": 4}).status_code == 200
    assert client.get("/models/abc/aliases/live").json()["version"] == 4


def test_a_version_tells_of_its_signature(
    client: Client, store: ModelStore, make_client: MakeClient, store_copy: Path
) -> None:
    """Its page says whether it is signed, and whether that was checked."""
    plain = make_client(store_copy)
    pages = [plain.get(f"/models/abc/versions/{version}").json()["signature"] for version in (1, 2)]
    (store_copy / "abc/versions/2/signature.json").write_bytes(b"garbage")
    damaged = plain.get("/models/abc/versions/2")

    assert store.versions("abc") == [1, 2]
    assert client.get("/models/abc/versions/1").json()["signature"] == "valid"
    assert pages == ["not checked", "none"]
    assert (damaged.status_code, damaged.json()["signature"]) == (200, "invalid")


@pytest.mark.parametrize("in_lane", [True, False])
def test_on_the_wire_the_last_good_version_answers(client: Client, store: ModelStore, *, in_lane: bool) -> None:
    """Over a socket, by the fast lane and past it: a swap to an unsigned version is not seen by any client."""
    asked = request("POST", "/predict", {"Content-Type": "application/json"}, b'{"instances": [[1, 2, 3]]}')
    with on_wire(client.app, in_lane=in_lane) as wire:
        wire.send(asked)
        before = wire.reply()
        store.set_alias("abc", "live", 2, reason="", now=NOW)
        answers = []
        for _ in range(3):
            wire.send(asked)
            answers.append(wire.reply())
        wire.send(asked.replace(b"/predict", b"/predict?model=abc/2"))
        refused = wire.reply()

    assert before.status == 200
    assert [answer.body for answer in answers] == [before.body] * 3
    assert refused.status == 503
    assert b"/problems/unsigned-version" in refused.body
