"""Names in both spellings: Google's clients write ``thinking_budget``, its protocol ``thinkingBudget``."""

from typing import Any


def camel(value: Any) -> Any:
    """A name in the protocol's spelling; in objects and lists, every key."""
    if isinstance(value, str):
        head, *rest = value.split("_")
        return head + "".join(word[:1].upper() + word[1:] for word in rest)
    return _keys(value)


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {camel(key): _keys(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_keys(each) for each in value]
    return value
