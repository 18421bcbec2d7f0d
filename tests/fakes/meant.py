"""What an answer means, as the official SDK of its dialect reads it, in the words of one table for all of them.

In: the SDKs' own objects (or the errors they raise). Out: a :class:`Meant`, equal for a provider's answer and for what
a client of another dialect got of it. Nothing here reads JSON of an answer; ``sdks.py`` does the asking.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import anthropic
import openai
from anthropic import MessageStream
from anthropic.types import Message
from google.genai import errors as google_errors
from google.genai.types import Candidate, GenerateContentResponse
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
)
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from openai.types.completion_usage import CompletionUsage
from openai.types.responses import Response, ResponseStreamEvent, ResponseUsage
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

Finish = Literal["stop", "tool_calls", "length", "content_filter"]

OF_ANTHROPIC: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
FILTERS = {"SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "IMAGE_SAFETY", "LANGUAGE"}

CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
"""Where DeepSeek, Together and Mistral say what was read from a cache, without details of the prompt."""

CLASSES = {400: "invalid", 401: "key", 402: "rate", 403: "forbidden", 404: "missing", 413: "large", 422: "invalid"}
"""What an error's status says; other 4xx are ``invalid``, 429 is ``rate``, all from 500 on are ``server``."""

WORDS = {
    "invalid_request_error": "invalid",
    "authentication_error": "key",
    "permission_error": "forbidden",
    "not_found_error": "missing",
    "request_too_large": "large",
    "rate_limit_error": "rate",
    "rate_limit_exceeded": "rate",
    "insufficient_quota": "rate",
    "invalid_prompt": "invalid",
}
"""What an error inside a stream says: it has no status of its own."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens: ``prompt`` with all that was read from or written to a cache, ``completion`` with the reasoning."""

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Meant:
    """An answer. ``ids`` are the calls', and not compared: some providers give none. ``message`` is an error's.

    ``is_refused``: OpenAI's model said its text as a refusal.
    """

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    finish: Finish | None = None
    usage: Usage = Usage()
    error: str | None = None
    thought: str = ""
    ids: tuple[str, ...] = field(default=(), compare=False)
    message: str = field(default="", compare=False)
    is_refused: bool = field(default=False, compare=False)


def of_completion(answer: ChatCompletion) -> Meant:
    """A whole chat answer: its first choice."""
    choice = answer.choices[0]
    message: ChatCompletionMessage | None = choice.message  # Azure leaves it out when its filter has struck
    told = message or ChatCompletionMessage.construct()
    made = [call for call in told.tool_calls or [] if isinstance(call, ChatCompletionMessageFunctionToolCall)]
    calls = [(call.id, call.function.name, call.function.arguments) for call in made]
    if told.function_call is not None:  # of old models
        calls.append(("", told.function_call.name, told.function_call.arguments))
    return Meant(
        said(told.content) + (told.refusal or ""),
        tuple((name, arguments_of(text)) for _, name, text in calls),
        finish_of_chat(choice.finish_reason),
        usage_of_chat(answer.usage),
        ids=tuple(identity for identity, _, _ in calls),
        thought=thought_of(told),
        is_refused=bool(told.refusal),
    )


def of_chunks(chunks: Iterable[ChatCompletionChunk]) -> Meant:
    """A streamed chat answer: the first choice put together, and the error that may have ended it."""
    text = thought = ""
    is_refused = False
    calls = Calls()
    finishes = set[str]()
    usage: CompletionUsage | None = None
    failed = Meant()
    try:
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices or []:
                if choice.index:
                    continue
                finishes |= {choice.finish_reason} if choice.finish_reason else set()
                delta: ChoiceDelta | None = choice.delta  # some say null
                if delta is None:
                    continue
                text += said(delta.content) + (delta.refusal or "")
                is_refused = is_refused or bool(delta.refusal)
                thought += thought_of(delta)
                for piece in delta.tool_calls or []:
                    function = piece.function
                    name, more = (function.name, function.arguments) if function else (None, None)
                    calls.add(piece.index, piece.id, name, more)
    except openai.APIError as error:
        failed = of_error(error)
    assert len(finishes) <= 1, f"more than one finish reason: {finishes}"
    finish = finish_of_chat(finishes.pop()) if finishes else None
    joined = tuple((name, arguments_of(arguments)) for _, name, arguments in calls.listed)
    ids = tuple(identity for identity, _, _ in calls.listed)
    if failed.error:
        return replace(failed, text=text, calls=joined, ids=ids)
    return Meant(text, joined, finish, usage_of_chat(usage), ids=ids, thought=thought, is_refused=is_refused)


class Calls:
    """Calls out of pieces, as lenient as the providers are: the index or the id may be missing, or the same for all."""

    def __init__(self) -> None:
        self.listed: list[list[str]] = []
        self._at: dict[int, int] = {}

    def add(self, index: int | None, identity: str | None, name: str | None, arguments: str | None) -> None:
        """Adds a piece to the call it belongs to."""
        place = self._place(index, identity, name)
        known = self.listed[place]
        self.listed[place] = [known[0] or identity or "", known[1] + (name or ""), known[2] + (arguments or "")]

    def _place(self, index: int | None, identity: str | None, name: str | None) -> int:
        known = self._at.get(index) if index is not None else None
        if identity:
            at = [place for place, (other, _, _) in enumerate(self.listed) if other == identity]
            known = at[0] if at else None
        elif index is None and not name and self.listed:
            known = len(self.listed) - 1
        if known is None:
            known = len(self.listed)
            self.listed.append(["", "", ""])
        if index is not None:
            self._at[index] = known
        return known


def of_message(message: Message) -> Meant:
    """A message of Anthropic's, whole or put together by its SDK."""
    calls = [block for block in message.content if block.type == "tool_use"]
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    prompt = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
    details = usage.output_tokens_details
    return Meant(
        "".join(block.text for block in message.content if block.type == "text"),
        tuple((block.name, block.input) for block in calls),
        OF_ANTHROPIC[message.stop_reason] if message.stop_reason else None,
        Usage(
            prompt,
            usage.output_tokens,
            prompt + usage.output_tokens,
            cached,
            (details.thinking_tokens or 0) if details else 0,
        ),
        ids=tuple(block.id for block in calls),
        thought="".join(block.thinking for block in message.content if block.type == "thinking"),
    )


def of_message_stream(events: MessageStream[None]) -> Meant:
    """A streamed message, and the error that may have ended it."""
    try:
        return of_message(events.get_final_message())
    except anthropic.APIError as error:
        failed = of_error(error)
        try:
            said = of_message(events.current_message_snapshot)
        except AssertionError:  # nothing had begun
            return failed
        return replace(failed, text=said.text, calls=said.calls, ids=said.ids)


def of_response(answer: Response) -> Meant:
    """A whole answer of the Responses API."""
    calls = [item for item in answer.output if item.type == "function_call"]
    text = thought = ""
    for item in answer.output:
        if item.type == "message":
            text += "".join(part.text if part.type == "output_text" else part.refusal for part in item.content)
        elif item.type == "reasoning":
            thought += "".join(part.text for part in item.summary or [])
    finish: Finish | None = "tool_calls" if calls else "stop"
    if answer.status == "incomplete":
        reason = answer.incomplete_details.reason if answer.incomplete_details else None
        finish = "content_filter" if reason == "content_filter" else "length"
    return Meant(
        text,
        tuple((item.name, arguments_of(item.arguments)) for item in calls),
        finish if answer.status in ("completed", "incomplete") else None,
        usage_of_response(answer.usage),
        ids=tuple(item.call_id for item in calls),
        thought=thought,
    )


def of_events(events: Iterable[ResponseStreamEvent]) -> Meant:
    """A streamed answer of the Responses API. Its deltas are put together and must add up to the answer at its end."""
    texts: dict[tuple[int, int], str] = {}
    arguments: dict[int, str] = {}
    last: Response | None = None
    failure: dict[str, str | None] | None = None
    try:
        for event in events:
            if event.type in ("response.output_text.delta", "response.refusal.delta"):
                place = (event.output_index, event.content_index)
                texts[place] = texts.get(place, "") + event.delta
            elif event.type == "response.function_call_arguments.delta":
                arguments[event.output_index] = arguments.get(event.output_index, "") + event.delta
            elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                last = event.response
            elif event.type == "error":
                failure = {"message": event.message, "code": event.code}
    except openai.APIError as error:
        return replace(of_error(error), text="".join(texts[place] for place in sorted(texts)))
    text = "".join(texts[place] for place in sorted(texts))
    if failure is not None and (last is None or last.status != "failed"):
        return Meant(text, error=class_of(None, failure), message=str(failure["message"]))
    assert last is not None, "the stream has no end"
    meant = of_response(last)
    if last.status != "failed":
        assert text == meant.text, "the deltas are not the whole text"
        streamed = [arguments_of(arguments[place]) for place in sorted(arguments)]
        calls = [(item.name, arguments_of(item.arguments)) for item in last.output if item.type == "function_call"]
        assert streamed == [made for _, made in calls], "the deltas are not the whole arguments"
        return meant
    words = {"message": last.error.message, "code": last.error.code} if last.error else {}
    return Meant(text, meant.calls, error=class_of(None, words), message=str(words.get("message")))


def of_generated(answers: Iterable[GenerateContentResponse]) -> Meant:
    """An answer of Gemini's: one, or the chunks of a stream; the counts are those of the last one that has some."""
    text = thought = ""
    calls: list[tuple[str, Any]] = []
    ids: list[str] = []
    finish: Finish | None = None
    usage = Usage()
    for answer in answers:
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            finish = "content_filter"
        for candidate in (answer.candidates or [])[:1]:
            finish = finish_of_gemini(candidate) or finish
            for part in (candidate.content and candidate.content.parts) or []:
                if part.function_call is not None:
                    calls.append((part.function_call.name or "", part.function_call.args or {}))
                    ids.append(part.function_call.id or "")
                elif part.thought:
                    thought += part.text or ""
                else:
                    text += part.text or ""
        usage = usage_of_gemini(answer) or usage
    return Meant(text, tuple(calls), "tool_calls" if calls else finish, usage, ids=tuple(ids), thought=thought)


def finish_of_gemini(candidate: Candidate) -> Finish | None:
    """Why a candidate ended: what no client has a word for is a stop."""
    if candidate.finish_reason is None:
        return None
    word = candidate.finish_reason.value
    if word == "MAX_TOKENS":
        return "length"
    return "content_filter" if word in FILTERS else "stop"


def usage_of_gemini(answer: GenerateContentResponse) -> Usage | None:
    """The counts so far: thoughts are beside the candidates, a tool's prompt beside the prompt."""
    told = answer.usage_metadata
    if told is None:
        return None
    reasoning = told.thoughts_token_count or 0
    prompt = (told.prompt_token_count or 0) + (told.tool_use_prompt_token_count or 0)
    completion = (told.candidates_token_count or 0) + reasoning
    return Usage(
        prompt,
        completion,
        told.total_token_count or prompt + completion,
        told.cached_content_token_count or 0,
        reasoning,
    )


def usage_of_chat(told: CompletionUsage | None) -> Usage:
    """The counts of a chat; where the reasoning stands beside the completion (xAI), it is taken in."""
    if told is None:
        return Usage()
    cached = told.prompt_tokens_details and told.prompt_tokens_details.cached_tokens
    flat = [(told.model_extra or {}).get(name) for name in CACHED]
    cached = cached or next(filter(None, flat), None)
    details = told.completion_tokens_details
    reasoning = (details and details.reasoning_tokens) or 0
    completion = told.completion_tokens or 0
    prompt = told.prompt_tokens or 0
    total = told.total_tokens or prompt + completion
    if reasoning and total - prompt - completion == reasoning:
        completion += reasoning
    return Usage(prompt, completion, total, cached or 0, reasoning)


def usage_of_response(told: ResponseUsage | None) -> Usage:
    """The counts of the Responses API; some providers leave the details out, and one record the total."""
    if told is None:
        return Usage()
    read: InputTokensDetails | None = told.input_tokens_details
    written: OutputTokensDetails | None = told.output_tokens_details
    return Usage(
        told.input_tokens,
        told.output_tokens,
        told.total_tokens or told.input_tokens + told.output_tokens,
        (read.cached_tokens or 0) if read else 0,
        (written.reasoning_tokens or 0) if written else 0,
    )


def finish_of_chat(word: str | None) -> Finish | None:
    """OpenAI's own words; the former ``function_call`` is a call, and what it does not know is a stop."""
    match word:
        case None:
            return None
        case "tool_calls" | "function_call":
            return "tool_calls"
        case "length" | "content_filter":
            return word
        case _:
            return "stop"


def said(content: Any) -> str:
    """The text of a content, which is a list of parts at Mistral; the SDK hands it out as it came."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") != "thinking")
    return content or ""


def thought_of(message: Any) -> str:
    """The reasoning beside a text, under one of the names that providers have for it, or among a content's parts."""
    told = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    parts = message.content if isinstance(message.content, list) else []
    inner = [each.get("text") or "" for part in parts if part.get("type") == "thinking" for each in part["thinking"]]
    return (told if isinstance(told, str) else "") + "".join(inner)


def arguments_of(text: str | None) -> Any:
    """A call's arguments as an object; what is no JSON (a call that was cut) stays text."""
    if not text or not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text


def of_error(error: Exception) -> Meant:
    """What a call failed with: the class that all SDKs agree upon, and the words."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    body = getattr(error, "body", None)
    if isinstance(error, google_errors.APIError):
        body = {"details": error.details}
    assert isinstance(error, openai.APIError | anthropic.APIError | google_errors.APIError), error
    inner = body.get("error", body) if isinstance(body, dict) else body
    words = inner if isinstance(inner, dict) else {"message": str(inner)}
    metadata = words.get("metadata")
    cause = metadata.get("raw") if isinstance(metadata, dict) else None  # OpenRouter's: what the other provider said
    message = cause or words.get("message") or getattr(error, "message", None) or str(error)
    return Meant(error=class_of(status if isinstance(status, int) else None, words), message=plain(str(message)))


def plain(message: str) -> str:
    """Words without the head, the scripts and the tags of a page (a proxy's answer), and with single blanks."""
    shown = re.sub(r"<(head|script|style)\b.*?</\1>", " ", message, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(re.sub(r"<[^>]*>", " ", shown).split())


def class_of(status: int | None, words: dict[str, Any]) -> str:
    """The class of an error by its status, else by its words. A key that is refused with 400 is a key all the same."""
    told = json.dumps(words)
    if status == 400 and ("API_KEY_INVALID" in told or "Incorrect API key" in told):
        return "key"
    if status is not None and status >= 400:
        return CLASSES.get(status, "rate" if status == 429 else "server" if status >= 500 else "invalid")
    code = words.get("code")
    if isinstance(code, int) or (isinstance(code, str) and code.isdigit()):
        return class_of(int(code), {})
    return WORDS.get(str(words.get("type")), WORDS.get(str(code), "server"))
