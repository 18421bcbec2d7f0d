"""Forms, part by part: read the same however they are cut, and what is unusual refused."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tollway.errors import InvalidRequest
from tollway.proxy.ingress.multipart import End, FormReader, Part, boundary_of, head_of

BOUNDARY = b"----------------------------0123456789"
DISPOSITION = b'Content-Disposition: form-data; name="model"'


def form(*parts: tuple[bytes, bytes], boundary: bytes = BOUNDARY) -> bytes:
    """A form of parts, each a head and its bytes."""
    written = b"".join(b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts)
    return written + b"--" + boundary + b"--\r\n"


def read(*pieces: bytes, boundary: bytes = BOUNDARY) -> list[tuple[Part, bytes]]:
    """The parts and their bytes."""
    reader, found = FormReader(boundary), list[tuple[Part, bytes]]()
    ended = 0
    for piece in pieces:
        for event in reader.feed(piece):
            if isinstance(event, Part):
                found.append((event, b""))
            elif isinstance(event, bytes):
                found[-1] = (found[-1][0], found[-1][1] + event)
            else:
                ended += 1
    reader.finish()
    assert ended == len(found)
    return found


def one(head: bytes) -> Part:
    ((part, body),) = read(form((head, b"x")))
    assert body == b"x"
    return part


def cut(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at = [], 0
    while at < len(body):
        for size in sizes:
            pieces.append(body[at : at + size])
            at += size
    return pieces


TRICKY = b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r\n--" + BOUNDARY + b"X\r\n-\r\r\n\r"
FORM = form(
    (DISPOSITION, b"whisper-1"),
    (b'Content-Disposition: form-data; name="file"; filename="a b.mp3"\r\nContent-Type: audio/mpeg', TRICKY),
    (b'content-disposition: form-data; name="empty"', b""),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=60))
@example(sizes=[1])
def test_a_form_is_read_the_same_however_it_is_cut(sizes: list[int]) -> None:
    found = read(*cut(FORM, sizes))
    assert [(part.name, part.filename, part.content_type, body) for part, body in found] == [
        ("model", None, None, b"whisper-1"),
        ("file", "a b.mp3", "audio/mpeg", TRICKY),
        ("empty", None, None, b""),
    ]
    for part, body in found:
        assert FORM[part.begins_at : part.begins_at + len(body)] == body


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data;boundary="a b c"', b"a b c"),
        (b"multipart/form-data; charset=utf-8; Boundary=----x", b"----x"),
        (b"application/json", None),
        (b"", None),
    ],
)
def test_the_content_type_names_the_boundary(content_type: bytes, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=" + b"a" * 71,
        b'multipart/form-data; boundary="a\x00b"',
        b'multipart/form-data; boundary="ends in a blank "',
        b'multipart/form-data; boundary="a',
        b"multipart/form-data boundary=a",
        b"multipart/mixed; boundary=a",
    ],
)
def test_a_form_needs_one_good_boundary(content_type: bytes) -> None:
    with pytest.raises(InvalidRequest):
        boundary_of(content_type)


@pytest.mark.parametrize(
    ("head", "filename"),
    [
        (b'; filename="a.mp3"', "a.mp3"),
        (b"; filename=a.mp3", "a.mp3"),
        (b'; filename=""', ""),
        ('; filename="über.mp3"'.encode(), "über.mp3"),
        (b'; filename="a\\"b.mp3"', 'a"b.mp3'),
        (b'; filename="C:\\dir\\a.mp3"', "C:\\dir\\a.mp3"),
        (b"; filename*=UTF-8''%c3%bcber.mp3", "über.mp3"),
        (b"", None),
    ],
)
def test_file_names_are_read_as_clients_write_them(head: bytes, filename: str | None) -> None:
    assert one(DISPOSITION + head).filename == filename


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b'Content-Disposition: form-data; name=""',
        b'Content-Disposition: attachment; name="model"',
        b'Content-Disposition: form-data; name="model"; name="other"',
        b'Content-Disposition: form-data; name="model"; NAME="other"',
        b"Content-Disposition: form-data; name*=UTF-8''model",
        b'Content-Disposition: form-data; name="mo\x00del"',
        b'Content-Disposition: form-data; name="mo\ndel"',
        b'Content-Disposition: form-data; name="mo\xff"',
        b'Content-Disposition: form-data; name="model" trailing',
        DISPOSITION + b"\r\n" + DISPOSITION,
        DISPOSITION + b"; filename*=latin-1''%fc",
        DISPOSITION + b"; filename*=UTF-8''%fc",
        DISPOSITION + b"; filename*=UTF-8''a%0d%0ab",
        DISPOSITION + b"\r\nContent-Transfer-Encoding: base64",
        DISPOSITION + b"\r\nContent-Encoding: gzip",
        DISPOSITION + b"\r\nContent-Type: multipart/mixed; boundary=x",
        DISPOSITION + b"\r\nContent-Type: text/plain; charset=utf-16",
        DISPOSITION + b"\r\nContent-Type: nonsense",
        DISPOSITION + b"".join(b"\r\nX-%d: y" % number for number in range(9)),
        DISPOSITION + b"\r\nX: " + b"y" * 5000,
        DISPOSITION + b"\r\n folded: x",
    ],
)
def test_a_part_that_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(form((head, b"x")))


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"--", FORM[:-4], FORM[:60], b"\r\n" + FORM[3:], FORM.replace(b"\r\n", b"\n"), b"--other\r\n" + FORM],
)
def test_what_is_no_whole_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(body)


def test_other_headers_of_a_part_are_of_no_account() -> None:
    part = one(DISPOSITION + b"\r\nContent-Length: 1\r\nContent-Transfer-Encoding: binary\r\nX-Y: z")
    assert (part.name, part.filename, part.content_type) == ("model", None, None)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    filename=st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
)
@example(name='a"; name="model', filename='x"\\')
def test_no_name_breaks_out_of_the_head_that_is_written(name: str, filename: str | None) -> None:
    head = head_of(Part(name, filename, "audio/mpeg", 0), BOUNDARY, is_first=True)
    ((part, body),) = read(head + b"x\r\n--" + BOUNDARY + b"--")
    assert body == b"x"
    assert part.name == name.replace('"', "%22").replace("\\", "%5C")
    assert (part.filename is None) == (filename is None)
    assert part.content_type == "audio/mpeg"


def test_of_a_path_the_name_is_kept() -> None:
    head = head_of(Part("file", "C:\\secret/dir\\a.mp3", None, 0), BOUNDARY, is_first=False)
    assert head == b"\r\n--" + BOUNDARY + b'\r\ncontent-disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([FORM[:150], FORM[100:], b"\r\n--" + BOUNDARY])), max_size=8
    )
)
def test_any_bytes_are_a_form_or_refused(pieces: list[bytes]) -> None:
    reader = FormReader(BOUNDARY)
    try:
        for piece in pieces:
            assert all(isinstance(event, Part | bytes | End) for event in reader.feed(piece))
        reader.finish()
    except InvalidRequest:
        return
    assert reader.has_ended
