"""Frames become payloads that say in themselves what they are."""

import json

import pytest
from tests.fakes.converse import exception, failure, frame
from tests.native.twins import eventstream as twin

from tollway.proxy.providers.bedrock.events import EventFraming


def test_an_event_is_told_with_its_type_and_its_body_as_it_was() -> None:
    (payload,) = EventFraming().feed(frame("messageStop", b'{"n": 1.0}'))
    assert payload == b'{"kind":"event","name":"messageStop","body":{"n": 1.0}}'


def test_faults_are_told_with_their_names_and_words() -> None:
    told = [json.loads(payload) for payload in EventFraming().feed(exception("aException", "x") + failure("B", 'y"'))]
    assert told == [
        {"kind": "exception", "name": "aException", "body": {"message": "x"}},
        {"kind": "error", "name": "B", "body": {"message": 'y"'}},
    ]


def test_a_frame_without_a_payload_has_an_empty_body() -> None:
    (payload,) = EventFraming().feed(frame("contentBlockStop", b""))
    assert json.loads(payload)["body"] == {}


@pytest.mark.parametrize("headers", [{}, {":message-type": "song"}, {":message-type": 7}])
def test_a_frame_of_no_known_kind_is_an_error(headers: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match="no known kind"):
        EventFraming().feed(twin.frame(headers, b"{}"))


def test_what_is_no_stream_of_frames_is_an_error() -> None:
    with pytest.raises(ValueError, match="checksum"):
        EventFraming().feed(b'{"message": "not a stream"}')
    framing = EventFraming()
    framing.feed(frame("x", b"{}")[:20])
    with pytest.raises(ValueError, match="within a frame"):
        framing.finish()
