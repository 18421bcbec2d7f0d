from tollway.errors import UpstreamUnreachable
from tollway.telemetry.described import described


def caught(raising: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise raising from cause
    except BaseException as error:  # noqa: BLE001  the point is to get a traceback on any of them
        return error


def test_our_errors_are_shown_with_the_inside_message() -> None:
    shown = described(UpstreamUnreachable("The provider can't be reached.", inside="connect 10.0.0.7:443: refused"))
    assert shown == {"type": "UpstreamUnreachable", "message": "connect 10.0.0.7:443: refused"}


def test_the_cause_is_shown_too() -> None:
    shown = described(caught(RuntimeError("outer"), caught(OSError("refused"))))
    cause = shown["cause"]
    assert isinstance(cause, dict)
    assert cause["type"] == "OSError"
    assert cause["message"] == "refused"
    assert cause["frames"]


def test_what_was_being_handled_is_shown_unless_suppressed() -> None:
    error = RuntimeError("while")
    error.__context__ = KeyError("first")
    assert "cause" in described(error)
    error.__suppress_context__ = True
    assert "cause" not in described(error)


def test_the_members_of_a_group_are_shown() -> None:
    shown = described(ExceptionGroup("two", [ValueError("a"), ExceptionGroup("inner", [OSError("b")])]))
    assert [member["message"] for member in shown["members"]] == ["a", "inner (1 sub-exception)"]  # type: ignore[attr-defined]


def test_errors_that_point_at_each_other_come_to_an_end() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert str(described(first)).count("cause") == 3


def test_a_deep_recursion_shows_its_innermost_frames_only() -> None:
    def deeper() -> None:
        deeper()

    try:
        deeper()
    except RecursionError as error:
        frames = described(error)["frames"]
    assert isinstance(frames, list)
    assert len(frames) == 20


def test_an_error_that_can_not_say_its_message_is_shown_anyway() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise TypeError

    assert described(MuteError())["message"] == "<its message raised TypeError>"
