"""A chat of the hub as a provider takes it that speaks OpenAI's dialect with an accent of its own.

In: the hub's body, decoded, and the provider's row (``presets.py``). Out: what leaves. The hub's extensions are cut,
but for those that the provider knows; fields get the names it has for them; images of a tool's result stand in a
user's turn behind the results, since a ``tool`` turn holds text only. A client's own chat is left as it was written,
but for the few things that :func:`mend` puts right.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from tollway.proxy.providers.openai.presets import Preset
from tollway.proxy.providers.rooted import OPENAIS_CHOICES, is_closed, rooted
from tollway.proxy.providers.traces import is_thought

_MARKS: Final = ("thinking_blocks", "extra_content")
_SAID_OTHERWISE: Final = ("audio", "function_call")
"""Fields of an answer that stay if they say something: nothing else says it."""
_TEXT_URL = re.compile(r"data:text/[\w.+-]{1,64}((?:;[\w=\"-]{1,64}){0,4}),", re.IGNORECASE)
_MISTRALS_ID = re.compile(r"[A-Za-z0-9]{9}")
_FOREIGN_ID = re.compile(rb'"tool_call_id"\s{0,8}:\s{0,8}"(?![A-Za-z0-9]{9}")')
_THINKING_PART = re.compile(rb'"type"\s{0,8}:\s{0,8}"thinking"')
_LONG_ID = re.compile(rb'"tool_call_id"\s{0,8}:\s{0,8}"[^"]{41}')
OPENAIS_ID_CHARACTERS: Final = 40
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FAILED: Final = "The tool failed, and does not say why."
"""What a failure without words is told as, where there is no other way to tell it."""
_BETWEEN: Final = "OK"
"""What the assistant says between a tool's result and the user, where somebody has to speak."""

Dict = dict[str, Any]


def needs_plain(body: bytes, preset: Preset) -> bool:
    """Whether a client's own chat holds something that :func:`mend` has to put right. May say so in vain."""
    for mark in preset.mends:
        if mark in body:
            return True
    if not preset.thinks_in_content and b'"thinking"' in body and _THINKING_PART.search(body):
        return True
    foreign = _FOREIGN_ID if preset.has_mistral_order else _LONG_ID if preset.mends_ids else None
    return foreign is not None and b'"tool_call_id"' in body and foreign.search(body) is not None


def mend(asked: Dict, preset: Preset) -> Dict:
    """A client's own chat, put right for this provider: what another vendor's answer has left in it is cut, and fields
    that are newer than the provider have its names. Whatever is malformed stays, for the provider to say so."""
    out = {name: value for name, value in asked.items() if preset.asks_usage or name != "stream_options"}
    _rename(out, preset)
    if isinstance(turns := asked.get("messages"), list):
        out["messages"] = [_mended(turn, preset) for turn in turns]
        _shorten_ids(out["messages"], preset)
    return out


def plain(asked: Dict, preset: Preset, *, keeps_extra: bool = False) -> tuple[Dict, list[str]]:
    """The hub's ``asked`` as this provider takes it, and the names of the fields that were lost.

    ``keeps_extra``: ``extra_content`` is its own.
    """
    lost: list[str] = []
    out = {name: value for name, value in asked.items() if _passes(name, value, preset, lost)}
    _rename(out, preset)
    turns = asked.get("messages")
    own = _turns(turns if isinstance(turns, list) else [], preset, lost, keeps_extra=keeps_extra)
    out["messages"] = list(_with_calls_together(own))
    if preset.has_mistral_order:
        out["messages"] = list(_in_mistrals_order(out["messages"]))
    _shorten_ids(out["messages"], preset)
    _put_tools(out, preset, lost)
    return out, list(dict.fromkeys(lost))


def _passes(name: str, value: Any, preset: Preset, lost: list[str]) -> bool:
    """Whether a top-level field leaves. Marks for a cache are no loss: they ask for the same answer."""
    if value is None:
        return False
    if name in preset.extras or name in preset.renames or name in ("max_completion_tokens", "max_tokens"):
        return True
    if name in ("cache_control", "extra_content"):
        return False
    if name == "stream_options":
        return preset.asks_usage
    if name in ("thinking", "top_k") or name in preset.refuses or (preset.only and name not in preset.only):
        lost.append(name)
        return False
    return True


def _rename(out: Dict, preset: Preset) -> None:
    for name, theirs in preset.renames.items():
        if name in out:
            value = out.pop(name)
            out.setdefault(theirs, value)
    if preset.limit_field == "max_tokens" and (most := out.pop("max_completion_tokens", None)) is not None:
        out["max_tokens"] = most


def _mended(turn: Any, preset: Preset) -> Any:
    if not isinstance(turn, dict):
        return turn
    cut = {*_MARKS, "reasoning_content"} if preset.thoughts is None else {*_MARKS}
    is_answer = turn.get("role") == "assistant"
    if is_answer:
        cut |= preset.refused_of_answers
    out = {name: value for name, value in turn.items() if name not in cut or (value and name in _SAID_OTHERWISE)}
    if "refusal" in cut and turn.get("refusal") and not turn.get("content"):
        out["content"] = turn["refusal"]
    for name in ("tool_calls", "content"):
        if isinstance(items := out.get(name), list):
            out[name] = [_without(item, *_MARKS) if isinstance(item, dict) else item for item in items]
    if is_answer and not preset.thinks_in_content and isinstance(parts := out.get("content"), list):
        said = [part for part in parts if not is_thought(part)]
        if len(said) < len(parts):
            is_joined = preset.joins_texts and all(isinstance(part, dict) for part in said)
            out["content"] = (_joined(said) if is_joined else said) or ""
    return out


def _turns(turns: Sequence[Any], preset: Preset, lost: list[str], *, keeps_extra: bool) -> Iterator[Dict]:
    """The turns, the images of tools' results in a turn of their own behind the last of them."""
    shown: list[Dict] = []
    for turn in turns:
        if not isinstance(turn, dict):
            continue
        if shown and turn.get("role") != "tool":
            yield {"role": "user", "content": shown}
            shown = []
        yield _turn(turn, preset, lost, shown, keeps_extra=keeps_extra)
    if shown:
        yield {"role": "user", "content": shown}


def _turn(turn: Dict, preset: Preset, lost: list[str], shown: list[Dict], *, keeps_extra: bool) -> Dict:
    role = turn.get("role")
    out: Dict = {"role": "system" if role == "developer" and not preset.has_developer else role}
    content = turn.get("content")
    if isinstance(content, list):
        content = _content(content, role, preset, lost)
        if role == "tool":
            content = _without_media(content, turn.get("tool_call_id"), shown)
        content = _joined(content) if preset.joins_texts or len(content) < 2 else content
    if not content and not turn.get("tool_calls") and role != "user":
        content = content or turn.get("refusal") or ""
    if content is not None:
        out["content"] = content
    if preset.has_names and isinstance(turn.get("name"), str) and role != "tool":
        out["name"] = turn["name"]
    if role == "tool":
        out |= _told_of(turn, content)
    calls = turn.get("tool_calls")
    if isinstance(calls, list) and calls:
        cut = ("cache_control",) if keeps_extra else ("cache_control", "extra_content")
        out["tool_calls"] = [_without(call, *cut) for call in calls if isinstance(call, dict)]
        out.setdefault("content", None)
    thought = turn.get("reasoning_content")
    if preset.thoughts and thought and role == "assistant":
        out[preset.thoughts] = thought
    if keeps_extra and "extra_content" in turn:
        out["extra_content"] = turn["extra_content"]
    return out


def _told_of(turn: Dict, content: Any) -> Dict:
    """Whose result a turn is, and that it is a failure where nothing else says so."""
    told = {"tool_call_id": turn.get("tool_call_id")}
    return told | {"content": _FAILED} if turn.get("is_error") is True and not content else told


def _content(parts: Sequence[Any], role: Any, preset: Preset, lost: list[str]) -> list[Dict]:
    """The parts that can be said, each without the hub's extensions."""
    out: list[Dict] = []
    for part in parts:
        if not isinstance(part, dict):
            continue
        if part.get("citations"):
            lost.append("messages.citations")
        kept = _without(part, "extra_content", "citations", *(() if preset.cache_marks else ("cache_control",)))
        kind = kept.get("type")
        if kind == "file" and isinstance(kept.get("file"), dict):
            if (said := _file(kept["file"], preset)) is None:
                lost.append("messages.file_url")
                continue
            kept = _without(kept, "file") | said
        elif kind == "refusal" and (role != "assistant" or preset.joins_texts):
            kept = {"type": "text", "text": kept.get("refusal") or ""}
        out.append(kept)
    return out


def _file(file: Dict, preset: Preset) -> Dict | None:
    """A document as chat has it: inline with a name. One of plain text is said as text; ``None``: it is an address, and
    the provider takes none."""
    data, name = file.get("file_data"), file.get("filename")
    if not isinstance(data, str) and isinstance(address := file.get("file_url"), str):
        if not (preset.file_urls or preset.document_urls):
            return None
        data = address
    if not isinstance(data, str):
        if preset.document_urls:
            return {"type": "file", "file_id": file.get("file_id")}
        return {"type": "file", "file": _without(file, "file_url")}
    if (text := _text_of(data)) is not None:
        return {"type": "text", "text": f"{name}\n\n{text}" if isinstance(name, str) and name else text}
    if preset.document_urls:
        return {"type": "document_url", "document_url": data} | ({"document_name": name} if name else {})
    return {"type": "file", "file": {"filename": name or "document.pdf", "file_data": data}}


def _text_of(url: str) -> str | None:
    """The text of a ``data:`` URL that holds text."""
    head = _TEXT_URL.match(url)
    if head is None:
        return None
    rest = url[head.end() :]
    try:
        is_encoded = ";base64" in head[1].lower()
        return (base64.b64decode(rest, validate=True) if is_encoded else unquote_to_bytes(rest)).decode()
    except (binascii.Error, ValueError):
        return None


def _without_media(parts: list[Dict], call: Any, shown: list[Dict]) -> list[Dict]:
    """The texts of a tool's result; the rest goes to ``shown``, headed by whose it is."""
    texts = [part for part in parts if part.get("type") == "text"]
    others = [part for part in parts if part.get("type") != "text"]
    if others:
        shown += [{"type": "text", "text": f"From the result of the tool call {call}:"}, *others]
    return texts or [{"type": "text", "text": "See the next user message." if others else ""}]


def _joined(parts: list[Dict]) -> list[Dict] | str:
    """One text, if they are nothing else and bear no mark."""
    if any(part.get("type") != "text" or part.keys() - {"type", "text"} for part in parts):
        return parts
    return "\n".join(str(part.get("text") or "") for part in parts)


def _put_tools(out: Dict, preset: Preset, lost: list[str]) -> None:
    tools = out.get("tools")
    if not isinstance(tools, list):
        return
    kept = [
        _without(tool, "cache_control", "extra_content") | {"function": _function(tool["function"], preset, lost)}
        for tool in tools
        if isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("function"), dict)
    ]
    if len(kept) < len(tools):
        lost.append("tools")  # a vendor's own
    if kept:
        out["tools"] = kept
        return
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        out.pop(name, None)


def _function(function: Dict, preset: Preset, lost: list[str]) -> Dict:
    """A function whose parameters, if it has any, are an object that says what is in it."""
    schema = function.get("parameters")
    if not isinstance(schema, dict):
        return function
    plain = rooted(schema, OPENAIS_CHOICES) if preset.has_plain_roots else schema
    if plain.get("type", "object") == "object":
        plain = {"type": "object"} | plain | {"properties": plain.get("properties") or {}}
    out = function | {"parameters": plain}
    if preset.has_plain_roots and out.get("strict") is True and not is_closed(plain):
        lost.append("tools.strict")  # Anthropic's takes fields that may be missing, OpenAI's does not
        del out["strict"]
    return out


def _with_calls_together(turns: Iterator[Dict]) -> Iterator[Dict]:
    """An assistant's turns that follow each other as one, once it has made calls: their results have to come next."""
    held: Dict | None = None
    for turn in turns:
        if held is not None and held["role"] == turn["role"] == "assistant" and held.get("tool_calls"):
            held = _as_one(held, turn)
            continue
        if held is not None:
            yield held
        held = turn
    if held is not None:
        yield held


def _as_one(first: Dict, second: Dict) -> Dict:
    said = [turn["content"] for turn in (first, second) if turn.get("content")]
    if all(isinstance(content, str) for content in said):
        content: Any = "\n\n".join(said) or None
    else:
        content = [part for each in said for part in (each if isinstance(each, list) else [_text_part(each)])]
    return first | second | {"content": content, "tool_calls": first["tool_calls"] + second.get("tool_calls", [])}


def _text_part(text: Any) -> Dict:
    return {"type": "text", "text": text}


def _in_mistrals_order(turns: Sequence[Dict]) -> Iterator[Dict]:
    """Source: docs.mistral.ai, and its refusal "Unexpected role 'system' after role 'assistant'"."""
    before: Any = "system"
    for turn in turns:
        role = turn.get("role")
        if role == "system" and before != "system":
            turn, role = turn | {"role": "user"}, "user"
        if role == "user" and before == "tool":
            yield {"role": "assistant", "content": _BETWEEN}
        yield turn
        before = role


def _shorten_ids(turns: Sequence[Any], preset: Preset) -> None:
    """Ids of calls in a form that the provider takes, the same for the same id; ``turns`` are ours to change."""
    short = _of_nine if preset.has_mistral_order else _of_forty if preset.has_short_ids else None
    if short is None:
        return
    for turn in turns:
        if not isinstance(turn, dict):
            continue
        if isinstance(told := turn.get("tool_call_id"), str):
            turn["tool_call_id"] = short(told)
        if isinstance(calls := turn.get("tool_calls"), list):
            turn["tool_calls"] = [
                call | {"id": short(call["id"])} if isinstance(call, dict) and isinstance(call.get("id"), str) else call
                for call in calls
            ]


def _of_forty(identity: str) -> str:
    """OpenAI takes no longer one ("string too long. Expected a string with maximum length 40")."""
    if len(identity) <= OPENAIS_ID_CHARACTERS:
        return identity
    return f"call_{hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _of_nine(identity: str) -> str:
    if _MISTRALS_ID.fullmatch(identity):
        return identity
    number = int.from_bytes(hashlib.sha256(identity.encode("utf-8", "replace")).digest()[:8], "big")
    return "".join(_LETTERS[number // 62**place % 62] for place in range(9))


def _without(item: Dict, *names: str) -> Dict:
    return {name: value for name, value in item.items() if name not in names}
