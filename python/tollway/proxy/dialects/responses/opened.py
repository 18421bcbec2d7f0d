"""Items of a streamed response that are still growing: each says its own events, from ``added`` to ``done``."""

from msgspec import UnsetType

from tollway.proxy.dialects.responses.heard import made
from tollway.wire.openai_responses import (
    AnnotationAdded,
    ArgumentsDelta,
    ArgumentsDone,
    Event,
    FunctionCall,
    Item,
    ItemAdded,
    ItemDone,
    ItemStatus,
    Logprob,
    OutputMessage,
    OutputRefusal,
    OutputText,
    Part,
    PartAdded,
    PartDone,
    Reasoning,
    RefusalDelta,
    RefusalDone,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryText,
    SummaryTextDelta,
    SummaryTextDone,
    TextDelta,
    TextDone,
    ToldLogprob,
    ToldTopLogprob,
    UrlCitation,
    framed,
)

MOST_KEPT = 8 * 1024 * 1024
"""How many characters of a stream are kept for its last event; no model says as much in one answer."""

FRAME = 256
"""How many characters an item takes beside what it says."""


class Telling:
    """Events on their way out, numbered, and the items that they tell of."""

    def __init__(self) -> None:
        self.output: list[Item] = []
        self._said: list[bytes] = []
        self._number = 0
        self._kept = 0

    @property
    def has_begun(self) -> bool:
        """Whether an event was ever said."""
        return self._number > 0

    def say(self, event: Event) -> None:
        """The next event."""
        event.sequence_number = self._number
        self._number += 1
        self._said.append(framed(event))

    def keep(self, characters: int) -> None:
        """Makes room for what stays in memory until the end.

        Raises:
            ValueError: there is none left.
        """
        self._kept += characters
        if self._kept > MOST_KEPT:
            raise ValueError("the answer is too long to be kept")

    def begin(self, item: Item) -> int:
        """An item begins; returns its place."""
        self.output.append(item)
        place = len(self.output) - 1
        self.say(ItemAdded(output_index=place, item=item))
        return place

    def taken(self) -> bytes:
        """What was said since the last time."""
        said, self._said = b"".join(self._said), []
        return said


class OpenThought:
    """A reasoning item; without text if it only carries something."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._pieces: list[str] = []
        self._item = Reasoning(id=made("rs"), summary=[], status="in_progress")
        self.place = telling.begin(self._item)
        """Its place among all items."""

    def add(self, text: str) -> None:
        """More of it."""
        self._telling.keep(len(text))
        if not self._pieces:
            part = SummaryText(text="")
            added = SummaryPartAdded(item_id=self._item.id, output_index=self.place, summary_index=0, part=part)
            self._telling.say(added)
        self._pieces.append(text)
        delta = SummaryTextDelta(item_id=self._item.id, output_index=self.place, summary_index=0, delta=text)
        self._telling.say(delta)

    def settle(self, status: ItemStatus) -> None:
        """Writes into the item what was said; tells of nothing."""
        self._item.status = status
        if self._pieces:
            self._item.summary = [SummaryText(text="".join(self._pieces))]

    def close(self, sealed: str | UnsetType, status: ItemStatus) -> None:
        """It is all there is; ``sealed`` is what it carries."""
        self.settle(status)
        self._item.encrypted_content = sealed
        identity, place = self._item.id, self.place
        for part in self._item.summary:
            done = SummaryTextDone(item_id=identity, output_index=place, summary_index=0, text=part.text)
            self._telling.say(done)
            self._telling.say(SummaryPartDone(item_id=identity, output_index=place, summary_index=0, part=part))
        self._telling.say(ItemDone(output_index=place, item=self._item))


class OpenMessage:
    """A message: parts of text and refusal, one of them open."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._pieces: list[str] = []
        self._part: Part | None = None
        self._item = OutputMessage(id=made("msg"), status="in_progress", content=[])
        self.place = telling.begin(self._item)
        """Its place among all items."""

    def add(self, text: str, logprobs: list[Logprob]) -> None:
        """More text."""
        part = self._part
        if not isinstance(part, OutputText):
            part = OutputText(annotations=[], logprobs=[], text="")
            self._open(part)
        self._keep(text)
        self._telling.keep(40 * len(logprobs))
        part.logprobs += logprobs
        self._telling.say(
            TextDelta(
                item_id=self._item.id,
                output_index=self.place,
                content_index=self._index,
                delta=text,
                logprobs=_told(logprobs),
            )
        )

    def refuse(self, text: str) -> None:
        """More of a refusal."""
        if not isinstance(self._part, OutputRefusal):
            self._open(OutputRefusal(refusal=""))
        self._keep(text)
        self._telling.say(
            RefusalDelta(item_id=self._item.id, output_index=self.place, content_index=self._index, delta=text)
        )

    def cite(self, source: UrlCitation) -> None:
        """A source of the text that was said last."""
        self._telling.keep(len(source.url) + len(source.title))
        self._cite(source)

    def cite_all(self, sources: list[UrlCitation]) -> None:
        """The sources of a text that cites none itself."""
        if isinstance(self._part, OutputText) and not self._part.annotations:
            for source in sources:
                self._cite(source)

    def _cite(self, source: UrlCitation) -> None:
        part = self._part
        if not isinstance(part, OutputText):
            return
        part.annotations.append(source)
        self._telling.say(
            AnnotationAdded(
                item_id=self._item.id,
                output_index=self.place,
                content_index=self._index,
                annotation_index=len(part.annotations) - 1,
                annotation=source,
            )
        )

    def settle(self, status: ItemStatus) -> None:
        """As :meth:`OpenThought.settle`."""
        self._item.status = status
        said = "".join(self._pieces)
        if isinstance(self._part, OutputText):
            self._part.text = said
        elif self._part is not None:
            self._part.refusal = said

    def close(self, status: ItemStatus) -> None:
        """It is all there is."""
        self._close_part()
        self._item.status = status
        self._telling.say(ItemDone(output_index=self.place, item=self._item))

    @property
    def _index(self) -> int:
        return len(self._item.content) - 1

    def _keep(self, text: str) -> None:
        self._telling.keep(len(text))
        self._pieces.append(text)

    def _open(self, part: Part) -> None:
        self._close_part()
        self._part = part
        self._item.content.append(part)
        added = PartAdded(item_id=self._item.id, output_index=self.place, content_index=self._index, part=part)
        self._telling.say(added)

    def _close_part(self) -> None:
        part = self._part
        if part is None:
            return
        self.settle(self._item.status)
        identity, place, index = self._item.id, self.place, self._index
        if isinstance(part, OutputText):
            self._telling.say(
                TextDone(
                    item_id=identity,
                    output_index=place,
                    content_index=index,
                    text=part.text,
                    logprobs=_told(part.logprobs),
                )
            )
        else:
            self._telling.say(
                RefusalDone(item_id=identity, output_index=place, content_index=index, refusal=part.refusal)
            )
        self._telling.say(PartDone(item_id=identity, output_index=place, content_index=index, part=part))
        self._part = None
        self._pieces = []


class OpenCall:
    """A call of a function."""

    def __init__(self, telling: Telling, item: FunctionCall) -> None:
        self._telling = telling
        self._pieces: list[str] = []
        self._item = item
        self.place = telling.begin(self._item)
        """Its place among all items."""

    @property
    def identity(self) -> str:
        """Its id, by which its result is matched."""
        return self._item.call_id

    def add(self, arguments: str) -> None:
        """More of its arguments."""
        self._telling.keep(len(arguments))
        self._say(arguments)

    def _say(self, arguments: str) -> None:
        if arguments:
            self._pieces.append(arguments)
            self._telling.say(ArgumentsDelta(item_id=self._item.id, output_index=self.place, delta=arguments))

    def settle(self, status: ItemStatus) -> None:
        """As :meth:`OpenThought.settle`."""
        self._item.status = status
        self._item.arguments = "".join(self._pieces)

    def close(self, status: ItemStatus) -> None:
        """It is all there is; one without arguments has an empty object of them."""
        if not "".join(self._pieces).strip():
            self._say("{}")  # at the end nothing is refused for its length
        self.settle(status)
        done = ArgumentsDone(item_id=self._item.id, output_index=self.place, arguments=self._item.arguments)
        self._telling.say(done)
        self._telling.say(ItemDone(output_index=self.place, item=self._item))


def _told(logprobs: list[Logprob]) -> list[ToldLogprob]:
    return [
        ToldLogprob(
            token=each.token,
            logprob=each.logprob,
            top_logprobs=[ToldTopLogprob(token=top.token, logprob=top.logprob) for top in each.top_logprobs or ()],
        )
        for each in logprobs
    ]
