"""What a server claims is held against what it sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.media import JPEG, PDF, PNG

from tollway.proxy.media.looks import Kind, Unsuitable, recognise

ZIP = b"PK\x03\x04" + bytes(26)
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = b"<!doctype html><title>x</title>"


@pytest.mark.parametrize(
    ("kind", "claim", "data", "media_type"),
    [
        ("image", "image/png", PNG, "image/png"),
        ("image", "IMAGE/JPG; q=1", JPEG, "image/jpeg"),
        ("image", "image/png", JPEG, "image/jpeg"),
        ("image", "", PNG, "image/png"),
        ("image", "binary/octet-stream", b"GIF89a" + bytes(9), "image/gif"),
        ("image", "image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("image", "image/heic", b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        ("file", "application/pdf", PDF, "application/pdf"),
        ("file", "application/octet-stream", PDF, "application/pdf"),
        ("file", "image/png", PNG, "image/png"),
        ("file", "text/plain; charset=utf-8", "ü".encode(), "text/plain"),
        ("file", "text/csv", b"a,b\n1,2\n", "text/csv"),
        ("file", "application/json", b"{}", "application/json"),
        ("file", "text/html", HTML, "text/html"),
        ("file", WORD, ZIP, WORD),
        ("file", "audio/x-wav", b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        ("file", "audio/mp3", b"ID3\x04" + bytes(9), "audio/mpeg"),
        ("file", "audio/mpeg", b"\xff\xfb\x90\x00", "audio/mpeg"),
        ("file", "video/mp4", b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        ("file", "audio/mp4", b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        ("file", "audio/webm", b"\x1a\x45\xdf\xa3\x00", "audio/webm"),
    ],
)
def test_a_claim_that_the_bytes_bear_out_is_taken(kind: Kind, claim: str, data: bytes, media_type: str) -> None:
    assert recognise(kind, claim, data) == (media_type, data)


@pytest.mark.parametrize(
    ("kind", "claim", "data"),
    [
        ("image", "image/png", HTML),
        ("image", "image/svg+xml", b"<svg/>"),
        ("image", "text/html", HTML),
        ("image", "application/pdf", PDF),
        ("image", "image/png", PDF),
        ("image", "image/png", b""),
        ("image", "", b""),
        ("file", "text/html", PNG),
        ("file", "application/pdf", HTML),
        ("file", "application/pdf", PNG),
        ("file", "application/zip", ZIP),
        ("file", "application/octet-stream", ZIP),
        ("file", "application/octet-stream", b"who knows"),
        ("file", "text/plain", b"\xff\xfe\x00"),
        ("file", "text/plain", b"a\x00b"),
        ("file", "text/plain; charset=utf-7", b"a"),
        ("file", "text/plain; charset=punycode", b"a"),
        ("file", "model/gltf", b"a"),
        ("file", "text/plain,x", b"a"),
    ],
)
def test_a_claim_that_the_bytes_belie_is_refused(kind: Kind, claim: str, data: bytes) -> None:
    with pytest.raises(Unsuitable):
        recognise(kind, claim, data)


def test_a_text_leaves_in_utf_8() -> None:
    assert recognise("file", 'text/plain; charset="ISO-8859-1"', b"\xfc") == ("text/plain", "ü".encode())
    assert recognise("file", "text/plain", b"\xef\xbb\xbfa") == ("text/plain", b"a")


@given(st.sampled_from(["image", "file"]), st.text(), st.binary())
def test_nothing_else_than_a_type_or_a_refusal_comes_out(kind: Kind, claim: str, data: bytes) -> None:
    try:
        media_type, _ = recognise(kind, claim, data)
    except Unsuitable:
        return
    assert "/" in media_type
