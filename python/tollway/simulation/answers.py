"""A believable ``chat.completion`` for a request. The same request always gets the same answer."""

import math
import re
from hashlib import blake2b
from random import Random

import msgspec

from tollway._native import tokens
from tollway.simulation import prose
from tollway.simulation.completion import (
    AnswerMessage,
    Choice,
    Completion,
    FinishReason,
    Likelihood,
    Logprobs,
    TokenLikelihood,
    ToolCall,
    Usage,
)
from tollway.simulation.refusals import invalid
from tollway.simulation.requests import ChatRequest, ChosenTool
from tollway.simulation.schema_values import UnsupportedSchema, value
from tollway.simulation.tool_calls import tool_calls

_TOKENS_PER_ROLE = 1
_TOKENS_PER_MEDIUM = 85  # what OpenAI counts for a small image
_PIECE = re.compile(r"\s?\w+|\s?[^\w\s]+|\s+")


def answer(request: ChatRequest, created_s: int) -> Completion:
    """The answer to ``request``; ``created_s`` is the Unix time it bears.

    ``finish_reason`` is ``stop`` beside a call that ``tool_choice`` named, as OpenAI does it.

    Raises:
        Refusal: 400, when the schema of a tool or of ``response_format`` can't be satisfied.
    """
    encoding = tokens.encoding_of(request.model)
    seed = _seed(request)
    choices = []
    completion_tokens = 0
    for index in range(request.n or 1):
        choice, used = _choice(request, index, Random(seed + index), encoding)  # noqa: S311 - no secret is made here
        choices.append(choice)
        completion_tokens += used
    prompt_tokens = _prompt_tokens(request, encoding)
    usage = Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens)
    return Completion(id=f"chatcmpl-{seed:032x}", created=created_s, model=request.model, choices=choices, usage=usage)


def pieces(text: str) -> list[str]:
    """``text`` cut into words, about as a model would send it; joined, they are the text."""
    return _PIECE.findall(text)


def _seed(request: ChatRequest) -> int:
    """What the answer depends on, as a number. Not on how it's sent, so that a stream says what a whole answer says."""
    told = (request.model, request.messages, request.tools, request.tool_choice, request.response_format, request.seed)
    return int.from_bytes(blake2b(msgspec.msgpack.encode(told), digest_size=16).digest(), "big")


def _choice(request: ChatRequest, index: int, random: Random, encoding: str) -> tuple[Choice, int]:
    """An answer, and the tokens in it."""
    calls = tool_calls(request, random)
    if calls:
        kept, used, fits = _fitting_calls(calls, request.tokens_allowed, encoding)
        named = isinstance(request.tool_choice, ChosenTool)
        reason: FinishReason = "length" if not fits else "stop" if named else "tool_calls"
        return Choice(index, AnswerMessage(content=None, tool_calls=kept), reason), used
    text = _stopped(_content(request, random), request.stops)
    kept_text, used = _fitting(text, request.tokens_allowed, encoding)
    choice = Choice(index, AnswerMessage(content=kept_text), "stop" if kept_text == text else "length")
    if request.logprobs:
        choice.logprobs = _logprobs(kept_text, request.top_logprobs or 0, random)
    return choice, used


def _content(request: ChatRequest, random: Random) -> str:
    form = request.response_format
    if form is None or form.type == "text":
        return prose.text(request, random)
    if form.json_schema is None:
        return msgspec.json.encode({"answer": prose.text(request, random), "simulated": True}).decode()
    try:
        made = value(form.json_schema.schema, random, prose.names(request))
    except UnsupportedSchema as unsupported:
        message = f"Invalid schema for response_format '{form.json_schema.name}': {unsupported}."
        raise invalid(message, param="response_format", code="invalid_json_schema") from unsupported
    return msgspec.json.encode(made).decode()


def _stopped(text: str, stops: list[str]) -> str:
    """``text`` up to the first of ``stops``."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def _fitting(text: str, allowed: int | None, encoding: str) -> tuple[str, int]:
    """The longest beginning of ``text`` that has at most ``allowed`` tokens, and how many it has."""
    used = tokens.count(encoding, text)
    if allowed is None or used <= allowed:
        return text, used
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens.count(encoding, text[:middle]) <= allowed else (low, middle - 1)
    return text[:low], tokens.count(encoding, text[:low])


def _fitting_calls(calls: list[ToolCall], allowed: int | None, encoding: str) -> tuple[list[ToolCall], int, bool]:
    """The calls that fit, the last one cut short as OpenAI would; the tokens in them; and whether all fit."""
    kept: list[ToolCall] = []
    total = 0
    for call in calls:
        whole = call.function.arguments
        total += tokens.count(encoding, call.function.name)
        left = None if allowed is None else max(allowed - total, 0)
        call.function.arguments, used = _fitting(whole, left, encoding)
        total += used
        kept.append(call)
        if call.function.arguments != whole:
            return kept, total, False
    return kept, total, True


def _prompt_tokens(request: ChatRequest, encoding: str) -> int:
    named = sum(message.name is not None for message in request.messages)
    total = tokens.chat_overhead(len(request.messages), named) + len(request.messages) * _TOKENS_PER_ROLE
    for message in request.messages:
        total += tokens.count(encoding, message.text)
        total += _TOKENS_PER_MEDIUM * sum(part.text is None for part in message.parts)
        total += tokens.count(encoding, message.name) if message.name else 0
        for call in message.tool_calls or ():
            if call.function is not None:
                total += tokens.count(encoding, f"{call.function.name}{call.function.arguments}")
    for extra in (request.tools, request.response_format):
        if extra:
            total += tokens.count(encoding, msgspec.json.encode(extra).decode())
    return total


def _logprobs(text: str, alternatives: int, random: Random) -> Logprobs:
    entries = []
    for piece in pieces(text):
        share = random.uniform(0.5, 0.99)
        chosen = _likelihood(piece, share)
        others = [_likelihood(f"{piece}{'s' * rank}", (1 - share) / 2**rank) for rank in range(1, alternatives)]
        top = [chosen, *others] if alternatives else []
        entries.append(TokenLikelihood(chosen.token, chosen.logprob, chosen.bytes, top))
    return Logprobs(entries)


def _likelihood(token: str, share: float) -> Likelihood:
    return Likelihood(token, round(math.log(share), 8), list(token.encode()))
