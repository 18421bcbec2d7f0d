"""Every dialect of clients against every provider of the records: each record is replayed through a gateway, and the
official SDK of the client is given what the provider's own reads from it.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from tests.fakes.meant import Meant, class_of, of_error
from tests.fakes.records import Record, needs_records, records, replay
from tests.fakes.replaying import KEY_OF_PROVIDER, KINDS, NATIVE, Replaying, as_told_to
from tests.fakes.sdks import PROMPT, Client, OwnSdk

AT_ONCE = 6
MOST_SHOWN = 12

pytestmark = needs_records


class Cell(NamedTuple):
    """A field of the matrix."""

    client: Client
    provider: str
    operation: str
    stream: bool

    def __str__(self) -> str:
        way = "stream" if self.stream else "whole"
        return f"{self.client}-{self.provider}-{self.operation}-{way}"

    @property
    def records(self) -> list[Record]:
        """Its records; those of Gemini that are no events are of a way of asking that a gateway does not use."""
        found = records(self.provider, self.operation, self.stream)
        return [record for record in found if "json_array" not in record.tags]


def cells() -> list[Cell]:
    """All that have records."""
    found = [
        Cell(client, provider, operation, stream)
        for client in NATIVE
        for provider in KINDS
        for operation in ("chat", "messages", "generate_content", "responses")
        for stream in (False, True)
        if operation != "responses" or client == "responses"
    ]
    return [cell for cell in found if cell.records]


@pytest.fixture(scope="module")
def own() -> Iterator[OwnSdk]:
    with OwnSdk.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    directory: Path = tmp_path_factory.mktemp("cells")
    with Replaying(lasting_dsn, directory) as running:
        yield running


def difference(expected: Meant, got: Meant) -> str:
    """What differs, and with an error of the gateway's its words."""
    told, said = asdict(expected), asdict(got)
    names = [name for name in ("text", "calls", "finish", "usage", "error", "thought") if told[name] != said[name]]
    return "; ".join(f"{name} {told[name]!r:.300} but {said[name]!r:.300}" for name in names) + got.message[:200]


def same_words(told: Meant, got: Meant) -> bool:
    """Whether an error kept the provider's words, without what could be a key of its."""
    return KEY_OF_PROVIDER not in got.message and told.message[:60] in got.message


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_a_client_is_given_what_the_provider_meant(cell: Cell, own: OwnSdk, replaying: Replaying) -> None:
    found = cell.records
    meant = [as_told_to(cell.client, own.meant(record), record.operation) for record in found]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        given = list(threads.map(lambda record: replaying.ask(cell.client, record), found))
    pairs = list(zip(found, meant, given, strict=True))
    wrong = [f"{record.id}: {difference(expected, got)}" for record, expected, got in pairs if expected != got]
    assert wrong == [], "\n".join([f"{len(wrong)} of {len(found)}", *wrong[:MOST_SHOWN]])
    for record, expected, got in pairs:
        assert got.ids == expected.ids or not all(expected.ids), record.id
        if NATIVE[cell.client] != cell.operation:
            assert all(got.ids), record.id
            assert len(set(got.ids)) == len(got.calls), record.id
        assert expected.error is None or same_words(expected, got), (record.id, got.message)


OTHERS = [
    (provider, operation)
    for provider in KINDS
    for operation in ("completions", "embeddings", "count_tokens")
    if (operation != "count_tokens" or provider == "anthropic") and records(provider, operation)
]


def answered(replaying: Replaying, record: Record) -> Any:
    """The JSON that the SDK is given; or the meaning of its error."""
    sdks, own = replaying.sdks, {**record.asked, "model": record.provider}
    body = own if record.provider != "gemini" else {"model": record.provider, "input": PROMPT}
    given: dict[str, Any] = {"extra_body": body, "extra_headers": replaying.named(replay(record))}
    try:
        match record.operation:
            case "completions":
                return sdks.openai.completions.with_raw_response.create(
                    model="", prompt="", **given
                ).http_response.json()
            case "embeddings":
                return sdks.openai.embeddings.with_raw_response.create(model="", input="", **given).http_response.json()
            case _:
                return sdks.anthropic.messages.count_tokens(model="", messages=[], **given).to_dict()
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return of_error(error).error


@pytest.mark.parametrize(("provider", "operation"), OTHERS)
def test_other_operations_are_answered_as_recorded(replaying: Replaying, provider: str, operation: str) -> None:
    for record in records(provider, operation):
        told = json.loads(record.body)
        expected = told if record.status == 200 else class_of(record.status, told)
        assert answered(replaying, record) == expected, record.id
