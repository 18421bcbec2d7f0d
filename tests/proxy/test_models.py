"""The list of models: the aliases that a caller may use."""

import json

import pytest
from tests.proxy.edge import Client, arrive, record, route, snapshot

from tollway._native import keys
from tollway.contract.keys import KeyRecord
from tollway.errors import Forbidden, Unauthenticated
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Principal
from tollway.proxy.models import ModelList
from tollway.telemetry.metrics import Metrics

KNOWN = snapshot(route("gpt-4o"), route("local"), route("other"))


class Nobody:
    """A key source that knows no key."""

    async def find(self, digest: bytes) -> KeyRecord | None:
        return None


async def listed(metrics: Metrics, known: KeyRecord, secret: bytes = b"a key") -> Client:
    authenticator = Authenticator(Nobody(), lambda found: Principal(found, None), metrics)
    authenticator.pin(keys.digest(b"a key"), known)
    client = Client()
    await ModelList(authenticator).serve(arrive(client, headers={b"x-api-key": secret}, known=KNOWN))
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
