"""Frames of `application/vnd.amazon.eventstream`, as Bedrock streams its answers."""

from typing import final

__all__ = ["BadFrame", "Frames"]

class BadFrame(ValueError):
    """The stream can't be read: a sum is wrong, lengths or headers are, a frame is too large or was cut."""

@final
class Frames:
    """The frames of a stream, however it is cut. `max_frame_bytes` bounds a frame, all of its bytes counted."""

    def __new__(cls, max_frame_bytes: int = ...) -> Frames: ...
    def feed(self, chunk: bytes) -> list[tuple[dict[str, bool | int | bytes | str], bytes]]:
        """Headers and payload of each frame that `chunk` completes. Times are in milliseconds since 1970.

        Raises BadFrame, and with it the frames that `chunk` completed before are lost; from then on it always does.
        """

    def finish(self) -> None:
        """The stream has ended. Raises BadFrame if it ended within a frame, or had failed before."""
