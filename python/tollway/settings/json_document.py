"""JSON in, the same small tree as of YAML out, so that what the API takes is judged by the rules of the file.

There are no variables and no places but paths: nobody reads JSON by lines.
"""

import msgspec

from tollway.settings.document import (
    DEPTH_LIMIT,
    Broken,
    Document,
    Entry,
    Mark,
    Node,
    Path,
    Scalar,
    Series,
    Table,
    dotted,
)
from tollway.settings.faults import Fault

_NOWHERE = Mark(1, 1)


def read_json(data: bytes) -> Document:
    """The document that ``data`` holds; what is wrong with it is among its faults."""
    try:
        value = msgspec.json.decode(data)
    except (ValueError, RecursionError):  # msgspec's own is a ValueError
        return Document(Broken(_NOWHERE), {}, (Fault("", 1, 1, "is not JSON"),))
    faults: list[Fault] = []
    return Document(_node(value, (), faults), {}, tuple(faults))


def _node(value: object, path: Path, faults: list[Fault]) -> Node:
    if len(path) > DEPTH_LIMIT:
        return _broken(path, f"is nested deeper than {DEPTH_LIMIT} levels", faults)
    match value:
        case None:
            return Scalar(_NOWHERE, "null", "null", "null", has_variables=False)
        case bool():
            written = "true" if value else "false"
            return Scalar(_NOWHERE, written, written, "bool", has_variables=False)
        case int() | float():
            return Scalar(_NOWHERE, str(value), str(value), "int" if isinstance(value, int) else "float", False)
        case list():
            return Series(_NOWHERE, tuple(_node(item, (*path, at), faults) for at, item in enumerate(value)))
        case dict():
            entries = {name: Entry(_NOWHERE, _node(item, (*path, name), faults)) for name, item in value.items()}
            return Table(_NOWHERE, entries)
    text = str(value)
    if "\0" in text:
        return _broken(path, "holds the character U+0000", faults)
    return Scalar(_NOWHERE, text, text, "text", has_variables=False)


def _broken(path: Path, message: str, faults: list[Fault]) -> Broken:
    faults.append(Fault(dotted(path), 1, 1, message))
    return Broken(_NOWHERE)
