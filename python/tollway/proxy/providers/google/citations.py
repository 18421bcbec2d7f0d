"""Where an answer comes from: Gemini's grounding and citations as OpenAI's ``url_citation`` annotations.

Gemini counts bytes of UTF-8, OpenAI counts characters.
"""

from typing import Any

from tollway.proxy.providers.google.answered import Citation, GroundingMetadata, Segment

MAX_TEXT_CHARACTERS = 1_000_000
"""As much of a streamed answer is kept to place citations in it; behind that, they are given for the whole answer."""


class Citations:
    """The text of one answer as far as it has come, and what was told of its sources: the last telling counts."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._kept = 0
        self._grounding: GroundingMetadata | None = None
        self._citations: list[Citation] = []

    def read(self, text: str) -> None:
        """A piece of the answer's text."""
        if self._kept < MAX_TEXT_CHARACTERS:
            self._pieces.append(text)
            self._kept += len(text)

    def ground(self, grounding: GroundingMetadata | None, citations: list[Citation]) -> None:
        """What one event tells of sources."""
        if grounding is not None and grounding.grounding_chunks:
            self._grounding = grounding
        if citations:
            self._citations = citations

    def annotations(self) -> list[dict[str, Any]]:
        """One for each stretch and source; for a source without a stretch, one over the whole answer."""
        if self._grounding is None and not self._citations:
            return []
        text = "".join(self._pieces)
        found = [] if self._grounding is None else _grounded(self._grounding, text)
        for citation in self._citations:
            if citation.uri:
                segment = Segment(citation.start_index, citation.end_index)
                found.append(_annotation(citation.uri, citation.title, _stretch(segment, text)))
        return found


def _grounded(grounding: GroundingMetadata, text: str) -> list[dict[str, Any]]:
    sources = [chunk.web or chunk.maps for chunk in grounding.grounding_chunks or ()]
    found = []
    used = set()
    for support in grounding.grounding_supports or ():
        if support.segment is None:
            continue
        stretch = _stretch(support.segment, text)
        for index in support.grounding_chunk_indices or ():
            source = sources[index] if 0 <= index < len(sources) else None
            if source is not None and source.uri:
                used.add(index)
                found.append(_annotation(source.uri, source.title, stretch))
    for index, source in enumerate(sources):
        if index not in used and source is not None and source.uri:
            found.append(_annotation(source.uri, source.title, (0, len(text))))
    return found


def _stretch(segment: Segment, text: str) -> tuple[int, int]:
    """The characters that a segment means.

    Its own words decide where they are given: the offsets are those of a part, and an answer may have several.
    """
    start, end = segment.start_index or 0, segment.end_index or 0
    if text.isascii():
        first, last = start, end
    else:
        written = text.encode("utf-8", "surrogatepass")
        first = len(written[:start].decode("utf-8", "ignore"))
        last = len(written[:end].decode("utf-8", "ignore"))
    words = segment.text
    if words and text[first:last] != words:
        at = text.find(words)
        return (at, at + len(words)) if at >= 0 else (0, len(text))
    return (first, last) if first <= last <= len(text) else (0, len(text))


def _annotation(url: str, title: str | None, stretch: tuple[int, int]) -> dict[str, Any]:
    start, end = stretch
    cited = {"url": url, "title": title or "", "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": cited}
