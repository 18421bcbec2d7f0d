"""Fields that several events of a stream tell: what they say together, if that can be told."""

from typing import Any

from tollway.proxy.cache.forms.framing import Dict, object_of, objects_of


def agree(before: Any, told: Any) -> Any:
    """What two events say of one field: whatever is not null; objects, field by field.

    Raises:
        ValueError: they say different things.
    """
    if before is None or (before == told and type(before) is type(told)):
        return told
    if told is None:
        return before
    if isinstance(before, dict) and isinstance(told, dict):
        merged = dict(before)
        for name, value in told.items():
            merged[name] = agree(merged.get(name), value)
        return merged
    raise ValueError("two events contradict each other")


def put(fields: Dict, name: str, told: Any) -> None:
    """Puts into ``fields`` what another event says of one.

    Raises:
        ValueError: it contradicts what was said before.
    """
    fields[name] = agree(fields.get(name), told)


def add_logprobs(before: Any, told: Any) -> Any:
    """Log probabilities with those that follow: an object of lists that grow.

    Raises:
        ValueError: they are none.
    """
    if told is None:
        return before
    if before is None:
        return object_of(told)
    for name, value in object_of(told).items():
        known = before.get(name)
        if isinstance(known, list) and isinstance(value, list):
            known.extend(value)
        else:
            before[name] = agree(known, value)
    return before


def add_extra(before: Any, told: Any) -> Dict:
    """``extra_content`` by vendor, as readers of streams tell it: lists grow, of all else the last holds.

    Raises:
        ValueError: it is no object of objects.
    """
    extra = object_of(before or {})
    for vendor, fields in object_of(told).items():
        known = object_of(extra.setdefault(vendor, {}))
        for name, value in object_of(fields).items():
            if isinstance(known.get(name), list) and isinstance(value, list):
                known[name] += value
            else:
                known[name] = value
    return extra


def add_details(before: Any, told: Any) -> Any:
    """OpenRouter's ``reasoning_details``, whose texts come in pieces (openrouter.ai/docs, "Preserving reasoning").

    Raises:
        ValueError: they are no list of objects, or contradict each other.
    """
    details: list[Dict] = list(objects_of(before or []))
    for piece in objects_of(told):
        last = details[-1] if details else {}
        if (last.get("index"), last.get("type")) != (piece.get("index"), piece.get("type")) or not last:
            details.append(piece)
            continue
        for name, value in piece.items():
            known = last.get(name)
            if name in ("text", "summary") and isinstance(known, str) and isinstance(value, str):
                last[name] = known + value
            else:
                put(last, name, value)
    return details


def add_parts(before: Any, told: Any) -> list[Dict]:
    """A content that is a list, as Mistral's models that reason have it (docs.mistral.ai, "Reasoning"): thoughts, which
    are lists of texts themselves, and then texts, in a stream also as plain texts.

    Raises:
        ValueError: there is something else among them.
    """
    parts = before if isinstance(before, list) else add_parts([], before or [])
    if isinstance(told, str):
        told = [{"type": "text", "text": told}] if told else []
    for piece in objects_of(told):
        last = parts[-1] if parts else None
        if last is None or last.get("type") != piece.get("type"):
            parts.append(_part(piece))
        elif piece.get("type") == "thinking":
            last["thinking"] = add_parts(last["thinking"], piece.get("thinking"))
        else:
            last["text"] += _part(piece)["text"]
    return parts


def _part(piece: Dict) -> Dict:
    match piece:
        case {"type": "text", "text": str(text), **others} if not others:
            return {"type": "text", "text": text}
        case {"type": "thinking", "thinking": list(inner), **others} if not others:
            return {"type": "thinking", "thinking": add_parts([], inner)}
    raise ValueError("a part that is not known")
