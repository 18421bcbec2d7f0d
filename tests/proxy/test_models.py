"""The list of models: the aliases that a caller may use."""

import json

import msgspec
import pytest
from anthropic.types import ModelInfo
from openai.types import Model
from tests.proxy.edge import Client, arrive, record, route, snapshot

from tollway._native import keys
from tollway.contract.keys import KeyRecord
from tollway.errors import Forbidden, ModelNotFound, Unauthenticated
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Principal
from tollway.proxy.models import ModelList
from tollway.telemetry.metrics import Metrics

KNOWN = snapshot(route("gpt-4o"), route("local"), route("other"))


class Nobody:
    """A key source that knows no key."""

    async def find(self, digest: bytes) -> KeyRecord | None:
        return None


async def listed(
    metrics: Metrics, known: KeyRecord, secret: bytes = b"a key", *, path: str = "/v1/models", **headers: bytes
) -> Client:
    authenticator = Authenticator(Nobody(), lambda found: Principal(found, None), metrics)
    authenticator.pin(keys.digest(b"a key"), known)
    client = Client()
    sent = {b"x-api-key": secret} | {name.replace("_", "-").encode(): value for name, value in headers.items()}
    arrival = msgspec.structs.replace(arrive(client, headers=sent, known=KNOWN), path=path)
    await ModelList(authenticator).serve(arrival)
    return client


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (None, ["gpt-4o", "local", "other"]),
        (frozenset({"other", "local", "gone"}), ["local", "other"]),
        (frozenset(), []),
    ],
)
async def test_a_caller_sees_what_it_may_use_in_the_order_of_the_configuration(
    metrics: Metrics, allowed: frozenset[str] | None, names: list[str]
) -> None:
    client = await listed(metrics, record(allowed_models=allowed))
    told = json.loads(client.body)
    assert (client.status, client.headers[b"x-request-id"], client.ends) == (200, b"request-1", 1)
    assert client.headers[b"content-length"] == str(len(client.body)).encode()
    assert told["object"] == "list"
    assert [model["id"] for model in told["data"]] == names
    assert all(model["object"] == "model" and model["owned_by"] == "tollway" for model in told["data"])


async def test_strangers_and_keys_without_the_scope_see_nothing(metrics: Metrics) -> None:
    with pytest.raises(Unauthenticated):
        await listed(metrics, record(), b"another")
    with pytest.raises(Forbidden):
        await listed(metrics, record(scopes=frozenset()))


async def test_an_anthropic_client_hears_them_in_its_own_words(metrics: Metrics) -> None:
    client = await listed(metrics, record(), anthropic_version=b"2023-06-01")
    told = json.loads(client.body)
    assert [ModelInfo.model_validate(model, strict=False).id for model in told["data"]] == ["gpt-4o", "local", "other"]
    assert (told["first_id"], told["last_id"], told["has_more"]) == ("gpt-4o", "other", False)
    none = await listed(metrics, record(allowed_models=frozenset()), anthropic_version=b"2023-06-01")
    assert json.loads(none.body) == {"data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_one_model_can_be_asked_for_by_its_name(metrics: Metrics) -> None:
    client = await listed(metrics, record(), path="/v1/models/gpt-4o")
    assert Model.model_validate_json(client.body).id == "gpt-4o"
    client = await listed(metrics, record(), path="/v1/models/gpt-4o", anthropic_version=b"2023-06-01")
    assert ModelInfo.model_validate_json(client.body).display_name == "gpt-4o"


@pytest.mark.parametrize("name", ["nobody", "local", "gpt-4o/", ""])
async def test_a_model_that_is_not_there_or_not_allowed_is_unknown(metrics: Metrics, name: str) -> None:
    with pytest.raises(ModelNotFound):
        await listed(metrics, record(allowed_models=frozenset({"gpt-4o"})), path=f"/v1/models/{name}")
