"""What the answers of other providers have left in a conversation that now passes as its client wrote it.

A model alias may be answered by one provider today and by another tomorrow. A client sends back what it was given, and
where that was made here of another dialect, thoughts carry signatures that no provider has signed: Anthropic and OpenAI
refuse them. They are cut; everything else of the body stays as it was written.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tollway.contract.snapshot import Operation
from tollway.errors import InvalidRequest

STEP_BYTES = 256 * 1024
"""Bodies are searched in steps of so much (about 50 µs), between which the event loop goes on."""

OVERLAP_BYTES = 256
"""Longer than anything that is searched for."""

_MADE_HERE = "tollway."
"""How signatures begin that are made in ``dialects/anthropic/signatures.py`` and ``dialects/responses/sealed.py``."""

_SIGNATURE = re.compile(rb'"signature"\s{0,8}:\s{0,8}"(?:"|tollway\.)')
_SEALED = re.compile(rb'"encrypted_content"\s{0,8}:\s{0,8}"tollway\.')

_HAVE_THOUGHTS = frozenset[Operation]({"messages", "count_tokens", "responses"})

Dict = dict[str, Any]


async def found(body: bytes, is_in: Callable[[bytes], bool]) -> bool:
    """Whether ``is_in`` holds for some part of ``body``; what it looks for has at most :data:`OVERLAP_BYTES`."""
    if len(body) <= STEP_BYTES:
        return is_in(body)
    for start in range(0, len(body), STEP_BYTES):
        if is_in(body[start : start + STEP_BYTES + OVERLAP_BYTES]):
            return True
        await asyncio.sleep(0)
    return False


async def without_traces(body: bytes, operation: Operation) -> bytes:
    """``body``, a client's own, without thoughts that this provider did not think.

    Raises:
        InvalidRequest: it can't be read.
    """
    if operation not in _HAVE_THOUGHTS:
        return body
    if not await found(body, _has_sealed if operation == "responses" else _has_signature):
        return body
    if len(body) <= STEP_BYTES:
        return _cut(body, operation)
    return await asyncio.to_thread(_cut, body, operation)


def _has_signature(body: bytes) -> bool:
    return b'"signature"' in body and _SIGNATURE.search(body) is not None  # the first test is ten times as fast


def is_thought(part: Any) -> bool:
    """Whether a part of an answer's content is a thought, or a source of one, as Mistral has them there."""
    return isinstance(part, dict) and part.get("type") in ("thinking", "redacted_thinking", "reference")


def without_thoughts(content: Any) -> Any:
    """What an assistant has said, without what it has thought: nobody else takes that among the parts."""
    return [part for part in content if not is_thought(part)] if isinstance(content, list) else content


def _has_sealed(body: bytes) -> bool:
    return b'"encrypted_content"' in body and _SEALED.search(body) is not None


def _cut(body: bytes, operation: Operation) -> bytes:
    try:
        asked = msgspec.json.decode(body, type=Dict)
    except (ValueError, RecursionError):
        raise InvalidRequest("The request is not a JSON object that can be read.") from None
    name = "input" if operation == "responses" else "messages"
    listed = asked.get(name)
    if not isinstance(listed, list):
        return body
    keep = _is_own_item if operation == "responses" else _keep_own_blocks
    return msgspec.json.encode(asked | {name: [each for each in listed if keep(each)]})


def _is_own_item(item: Any) -> bool:
    """Whether an item of a Responses input may stay."""
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return True
    return not _is_made_here(item.get("encrypted_content"))


def _keep_own_blocks(turn: Any) -> bool:
    """Cuts the blocks of an assistant's turn; whether anything is left of it. A turn that said nothing is no turn."""
    if not isinstance(turn, dict) or turn.get("role") != "assistant" or not isinstance(turn.get("content"), list):
        return True
    had = turn["content"]
    turn["content"] = [block for block in had if not _is_foreign_thought(block)]
    return bool(turn["content"]) or not had


def _is_foreign_thought(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return signature == "" or _is_made_here(signature)


def _is_made_here(signature: Any) -> bool:
    return isinstance(signature, str) and signature.startswith(_MADE_HERE)
