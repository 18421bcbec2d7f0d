"""Addresses in a chat become data, wherever they stand, and nothing else changes."""

import base64
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.media import PDF, PNG, ServedMedia

from tollway.proxy.media.fetch import Fetched, Wanted
from tollway.proxy.media.inline import inline, is_web
from tollway.proxy.media.looks import Kind

PICTURE, PAPER = "https://a.test/x.png", "HTTP://b.test/y.pdf"
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
PDF_URL = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"


def served() -> ServedMedia:
    return ServedMedia({PICTURE: Fetched("image/png", PNG), PAPER: Fetched("application/pdf", PDF)})


def every(url: str, kind: Kind) -> bool:
    return True


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def chat(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": PICTURE}, {"role": role, "content": list(parts)}]}


def parts(body: dict[str, Any]) -> list[Any]:
    content: list[Any] = body["messages"][1]["content"]
    return content


@pytest.mark.parametrize("role", ["user", "tool", "assistant"])
async def test_images_and_files_of_any_message_become_data(role: str) -> None:
    media = served()
    file = {"type": "file", "file": {"file_url": PAPER, "filename": "y.pdf"}, "cache_control": {"type": "ephemeral"}}
    body = chat({"type": "text", "text": PICTURE}, image(PICTURE), file, role=role)
    assert await inline(body, media, every) == len(PNG) + len(PDF)
    assert parts(body) == [
        {"type": "text", "text": PICTURE},
        image(PNG_URL),
        {**file, "file": {"file_data": PDF_URL, "filename": "y.pdf"}},
    ]
    assert body["messages"][0]["content"] == PICTURE
    assert sorted(each.param for each in media.asked) == [
        "messages[1].content[1].image_url.url",
        "messages[1].content[2].file.file_url",
    ]


async def test_short_forms_are_understood() -> None:
    body = chat({"type": "image_url", "image_url": PICTURE}, {"type": "file", "file": {"file_data": PAPER}})
    await inline(body, served(), every)
    assert parts(body) == [
        {"type": "image_url", "image_url": PNG_URL},
        {"type": "file", "file": {"file_data": PDF_URL}},
    ]


async def test_an_address_that_stands_there_twice_is_fetched_once_and_told_by_its_first_place() -> None:
    media = served()
    body = chat(image(PICTURE), image(PICTURE))
    await inline(body, media, every)
    assert media.asked == [Wanted(PICTURE, "image", "messages[1].content[0].image_url.url")]
    assert parts(body) == [image(PNG_URL), image(PNG_URL)]


async def test_large_data_arrives_whole() -> None:
    data = PNG + bytes(200_000)
    body = chat(image(PICTURE))
    assert await inline(body, ServedMedia({PICTURE: Fetched("image/png", data)}), every) == len(data)
    assert parts(body)[0]["image_url"]["url"].endswith(base64.b64encode(data).decode())


async def test_what_the_provider_takes_as_it_is_stays() -> None:
    media = served()
    body = chat(image(PICTURE), {"type": "file", "file": {"file_url": PAPER}}, image("gs://bucket/x.png"))
    before = copy.deepcopy(body)
    assert await inline(body, media, lambda url, kind: False) == 0
    assert body == before
    await inline(body, media, lambda url, kind: kind == "file")
    assert [each.url for each in media.asked] == [PAPER]


@pytest.mark.parametrize(
    "url",
    [
        PNG_URL,
        "gs://b/x",
        "ftp://a.test/x",
        "file:///etc/passwd",
        " https://a.test/",
        "https:/a.test",
        "x",
        "",
        None,
        5,
    ],
)
async def test_nothing_but_addresses_of_the_web_is_fetched(url: Any) -> None:
    media = served()
    body = chat(image(url), {"type": "file", "file": {"file_url": url}}, {"type": "image_url", "image_url": url})
    before = copy.deepcopy(body)
    await inline(body, media, every)
    assert (media.asked, body) == ([], before)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "image_url", "file", PICTURE]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "content", "type", "image_url", "url", "file", "file_url", "file_data"]),
            below,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.just("messages"), JSON))
async def test_malformed_messages_are_passed_over(body: dict[str, Any]) -> None:
    await inline(body, served(), every)


def test_only_whole_schemes_count() -> None:
    assert is_web("https://x")
    assert is_web("HttP://x")
    assert not is_web("httpss://x")
    assert not is_web("ht\ttp://x")
