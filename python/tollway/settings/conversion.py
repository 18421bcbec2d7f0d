"""A document becomes a struct: every field checked against its type, every fault kept with its place.

The rules come from the struct itself, read by ``msgspec.inspect``; there is no second list of fields. A value that
can't be used is replaced by its default, or left out with what holds it, so that the rest is still looked at and one
run tells everything. Whoever asks must therefore look at the faults before using the struct.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from tollway.settings import absent, units
from tollway.settings.document import Broken, Document, Entry, Mark, Node, Path, Scalar, Series, Table, dotted
from tollway.settings.faults import Fault
from tollway.settings.values import Secret

Struct = TypeVar("Struct", bound=msgspec.Struct)

_Reader = Callable[[str], int | float]

READERS: Final[Mapping[str, tuple[_Reader, Callable[[float], str]]]] = {
    "size_bytes": (units.size_bytes, "{:,} bytes".format),
    "duration_s": (units.duration_s, "{:,} s".format),
    "share": (units.share, units.percent),
    "confidence": (units.confidence, "{:g}".format),
    "temperature": (units.temperature, "{:g}".format),
    "picousd": (units.picousd, units.usd),
    "picousd_per_token": (units.picousd_per_token, "{:,}".format),
    "millionths": (units.millionths, units.factor),
    "instant_ms": (units.instant_ms, "{:,}".format),
}
"""Who reads what is written with a unit, and how its bounds are shown."""

FILE_LIMIT_BYTES = 64 * 1024
"""As much is read of a file that a setting names."""

MOST_WORDS = 24
"""A fault names so many words of a choice, unless it can name the one that was meant."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,18})")
_TRUE = frozenset({"true", "yes", "on"})
_BOOLS = _TRUE | {"false", "no", "off"}
_KIND_NAMES = {
    "text": "the text",
    "int": "the number",
    "float": "the number",
    "bool": "the truth value",
    "null": "nothing",
    "date": "the date",
}


class _Unusable:
    """What a value becomes that has a fault."""


UNUSABLE: Final = _Unusable()


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file, and where in the language: ``models.gpt-4o.targets[0]`` is ``models.*.targets[]`` there."""

    path: Path = ()
    shape: str = ""

    def field(self, name: str) -> "Place":
        """A key that the language names."""
        return Place((*self.path, name), f"{self.shape}.{name}" if self.shape else name)

    def entry(self, name: str) -> "Place":
        """A key that the user names."""
        return Place((*self.path, name), f"{self.shape}.*" if self.shape else "*")

    def item(self, index: int) -> "Place":
        """An element of a list."""
        return Place((*self.path, index), f"{self.shape}[]")


def convert(document: Document, struct: type[Struct]) -> tuple[Struct | None, list[Fault]]:
    """The struct that the document says, and everything wrong with it; the struct is ``None`` when nothing is left."""
    conversion = _Conversion(document)
    value = conversion.value(inspect.type_info(struct), document.root, Place())
    return (value if isinstance(value, struct) else None), conversion.faults


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` for the known name that ``name`` looks like, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


class _Conversion:
    def __init__(self, document: Document) -> None:
        self.faults = list(document.faults)
        self._root = document.root

    def fault(self, place: Place, mark: Mark, message: str) -> _Unusable:
        self.faults.append(Fault(dotted(place.path), mark.line, mark.column, message))
        return UNUSABLE

    def value(self, info: inspect.Type, node: Node, place: Place) -> Any:
        if isinstance(node, Broken):
            return UNUSABLE
        match info:
            case inspect.Metadata(type=inner, extra={"reads": str(reader)}):
                return self._quantity(reader, inner, node, place)
            case inspect.Metadata(type=inner, extra={"names": str(section), **more}):
                return self._reference(self.value(inner, node, place), section, str(more.get("all", "")), node, place)
            case inspect.Metadata(type=inner, extra=extra):
                value = self.value(inner, node, place)
                return self._file(value, node, place) if extra and "holds" in extra else value
            case inspect.UnionType(types=options):
                return self._union(options, node, place)
            case inspect.StructType() if _is_secret(info):
                text = self._text(inspect.StrType(), node, place, is_secret=True)
                return text if text is UNUSABLE else Secret(text)
            case inspect.StructType():
                return self._struct(info, node, place)
            case inspect.DictType():
                return self._dict(info, node, place)
            case inspect.VarTupleType():
                return self._tuple(info, node, place)
        return self._scalar(info, node, place)

    # -- what holds other values

    def _struct(self, info: inspect.StructType, node: Node, place: Place) -> Any:
        table = self._table(node, place)
        if table is None:
            return UNUSABLE
        fields = {item.encode_name: item for item in info.fields}
        self._unknown(table, fields, place, info.tag_field)
        values: dict[str, Any] = {}
        is_usable = True
        for name, item in fields.items():
            entry = table.entries.get(name)
            if entry is None:
                if item.required:
                    self.fault(place, table.mark, f'"{name}" is missing')
                    is_usable = False
                continue
            value = self.value(item.type, entry.value, place.field(name))
            if value is not UNUSABLE:
                values[item.name] = value
            elif item.required:
                is_usable = False
        return info.cls(**values) if is_usable else UNUSABLE

    def _unknown(self, table: Table, fields: Mapping[str, object], place: Place, tag: str | None) -> None:
        for name, entry in table.entries.items():
            if name in fields or name == tag:
                continue
            at = place.field(name)
            if (what := absent.KEYS.get(at.shape)) is not None:
                if not _is_off(entry):
                    self.fault(at, entry.mark, absent.sentence(what))
            else:
                self.fault(at, entry.mark, f"there is no such key{nearest(name, fields)}")

    def _dict(self, info: inspect.DictType, node: Node, place: Place) -> Any:
        table = self._table(node, place)
        if table is None:
            return UNUSABLE
        if info.max_length is not None and len(table.entries) > info.max_length:
            return self.fault(place, table.mark, f"should hold at most {info.max_length} entries")
        values: dict[str, Any] = {}
        for name, entry in table.entries.items():
            if why := _misnamed(info.key_type, name):
                self.fault(place.entry(name), entry.mark, f"this name {why}")
                continue
            value = self.value(info.value_type, entry.value, place.entry(name))
            if value is not UNUSABLE:
                values[name] = value
        return values

    def _tuple(self, info: inspect.VarTupleType, node: Node, place: Place) -> Any:
        if not isinstance(node, Series):
            return self.fault(place, node.mark, f"should be a list, not {_shown(node)}")
        if len(node.items) < (info.min_length or 0):
            return self.fault(place, node.mark, "should not be empty")
        if info.max_length is not None and len(node.items) > info.max_length:
            return self.fault(place, node.mark, f"should hold at most {info.max_length} items")
        values = [self.value(info.item_type, item, place.item(at)) for at, item in enumerate(node.items)]
        return tuple(value for value in values if value is not UNUSABLE)

    def _table(self, node: Node, place: Place) -> Table | None:
        if isinstance(node, Table):
            return node
        self.fault(place, node.mark, f"should be a mapping of keys to values, not {_shown(node)}")
        return None

    # -- what is one of several

    def _union(self, options: Sequence[inspect.Type], node: Node, place: Place) -> Any:
        is_optional = any(isinstance(option, inspect.NoneType) for option in options)
        if _is_null(node) and is_optional and not (_has_variables(node) and any(map(_is_secret, options))):
            return None  # but an api_key whose variable is empty is an empty key, not an absent one
        options = [option for option in options if not isinstance(option, inspect.NoneType)]
        if isinstance(node, Table | Series):
            holding = [option for option in options if _holds(option)]
            tagged = [option for option in holding if isinstance(option, inspect.StructType) and option.tag_field]
            if tagged and isinstance(node, Table):
                return self._tagged(tagged, node, place)
            alike = [option for option in holding if _is_list(option) == isinstance(node, Series)]
            return self.value((alike or holding or options)[0], node, place)
        plain = [option for option in options if not _holds(option)] or options
        for option in plain:
            if isinstance(option, inspect.LiteralType) and isinstance(node, Scalar) and node.text in option.values:
                return node.text
        others = [option for option in plain if not isinstance(option, inspect.LiteralType)]
        words = [str(word) for option in plain if isinstance(option, inspect.LiteralType) for word in option.values]
        if words and not others and isinstance(node, Scalar) and any(map(_holds, options)):
            mapping = f"a mapping of keys to values, or {' or '.join(words)}"
            return self.fault(place, node.mark, f"should be {mapping}, not {_shown(node)}")
        if not words or not others or not isinstance(node, Scalar) or node.has_variables:
            return self.value((others or plain)[0], node, place)
        if (reader := _reader(others[0])) is not None:
            return self._quantity(*reader, node, place, or_else=f", or {' or '.join(words)}")
        if node.kind != "int":
            return self.fault(place, node.mark, f"should be {_wanted(others[0])}, or {' or '.join(words)}")
        return self.value(others[0], node, place)

    def _tagged(self, options: Sequence[inspect.StructType], node: Table, place: Place) -> Any:
        """The one of several structs whose tag the file gives."""
        by_tag = {str(option.tag): option for option in options}
        name = options[0].tag_field or ""
        wanted = inspect.LiteralType(tuple(by_tag))
        entry = node.entries.get(name)
        if entry is None:
            return self.fault(place, node.mark, f'"{name}" is missing: {_wanted(wanted)}')
        tag = self.value(wanted, entry.value, place.field(name))
        return tag if tag is UNUSABLE else self._struct(by_tag[tag], node, place)

    # -- single values

    def _scalar(self, info: inspect.Type, node: Node, place: Place) -> Any:
        if not isinstance(node, Scalar):
            return self.fault(place, node.mark, f"should be {_wanted(info)}, not {_shown(node)}")
        match info:
            case inspect.StrType():
                return self._text(info, node, place)
            case inspect.BoolType() if node.kind == "bool" or (node.has_variables and node.text.lower() in _BOOLS):
                return node.text.lower() in _TRUE
            case inspect.IntType() if node.kind == "int" or node.has_variables:
                return self._int(info, node, place)
            case inspect.LiteralType():
                return self._literal(info, node, place)
        return self.fault(place, node.mark, f"should be {_wanted(info)}, not {_shown(node)}")

    def _text(self, info: inspect.StrType, node: Node, place: Place, *, is_secret: bool = False) -> Any:
        if not isinstance(node, Scalar):
            return self.fault(place, node.mark, f"should be text, not {_shown(node)}")
        # What comes out of a variable is what its reader wants it to be: an all-digit secret stays text.
        if node.kind != "text" and not node.has_variables:
            read_as = "a number or another non-text value" if is_secret else _shown(node)
            return self.fault(place, node.mark, f"should be text, but YAML reads {read_as}: put it in quotes")
        if why := _breaks(info, node.text):
            return self.fault(place, node.mark, why)
        return node.text

    def _int(self, info: inspect.IntType, node: Scalar, place: Place) -> Any:
        if not _INT.fullmatch(node.text):
            # YAML 1.1 reads 010 as 8, 1:30 as 90 and 0x1F as 31: nobody who writes a limit means that.
            return self.fault(place, node.mark, f"should be a plain decimal number, not {_shown(node)}")
        return self._in_range(info, int(node.text.replace("_", "")), node, place)

    def _literal(self, info: inspect.LiteralType, node: Scalar, place: Place) -> Any:
        for value in info.values:
            if str(value) == node.text and (isinstance(value, str) or node.kind == "int" or node.has_variables):
                return value
        near = "" if node.has_variables else nearest(node.text, map(str, info.values))
        return self.fault(place, node.mark, f"should be {_one_of(info, near)}, not {_shown(node)}{near}")

    def _quantity(self, reader: str, info: inspect.Type, node: Node, place: Place, *, or_else: str = "") -> Any:
        read, shown = READERS[reader]
        if not isinstance(node, Scalar):
            return self.fault(place, node.mark, f"should be a single value, not {_shown(node)}")
        try:
            value = read(node.text)
        except ValueError as error:
            return self.fault(place, node.mark, f"{_shown(node)} {error}{or_else}")
        return self._in_range(info, value, node, place, shown)

    def _file(self, value: Any, node: Node, place: Place) -> Any:
        """A secret that is JSON itself, or the path of a file that holds it; the file's content takes its place."""
        if not isinstance(value, Secret) or not value or value.reveal().lstrip().startswith("{"):
            return value
        try:
            with open(value.reveal(), "rb") as file:
                return Secret(file.read(FILE_LIMIT_BYTES).decode("utf-8-sig"))
        except (OSError, ValueError) as error:  # also no UTF-8, and a path with a zero in it
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            return self.fault(place, node.mark, f"names a file that can't be read: {why}")

    def _reference(self, name: Any, section: str, everything: str, node: Node, place: Place) -> Any:
        """A name that a section must declare; one whose entry has faults of its own is declared all the same."""
        root = self._root
        entry = root.entries.get(section) if isinstance(root, Table) else None
        known = entry.value.entries if entry is not None and isinstance(entry.value, Table) else {}
        if isinstance(name, str) and name != everything and name not in known:
            self.fault(place, node.mark, f'there is no "{name}" under {section}{nearest(name, known)}')
        return name

    def _in_range(
        self,
        info: inspect.Type,
        value: float,
        node: Scalar,
        place: Place,
        shown: Callable[[float], str] = "{:,}".format,
    ) -> Any:
        match info:
            case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high) if low is not None:
                if value < low or (high is not None and value > high):
                    bounds = f"from {shown(low)} to {shown(high)}" if high is not None else f"{shown(low)} or more"
                    return self.fault(place, node.mark, f"{_shown(node)} is out of range: {bounds}")
        return value


def _holds(info: inspect.Type) -> bool:
    """Whether values of this type are mappings or lists in the file."""
    match info:
        case inspect.Metadata(type=inner):
            return _holds(inner)
        case inspect.StructType():
            return not _is_secret(info)
    return isinstance(info, inspect.DictType | inspect.VarTupleType)


def _is_list(info: inspect.Type) -> bool:
    match info:
        case inspect.Metadata(type=inner):
            return _is_list(inner)
    return isinstance(info, inspect.VarTupleType)


def _reader(info: inspect.Type) -> tuple[str, inspect.Type] | None:
    """Who reads a value of this type, and the type of what comes out, if it is written with a unit."""
    match info:
        case inspect.Metadata(type=inner, extra={"reads": str(reader)}):
            return reader, inner
    return None


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == "null"


def _has_variables(node: Node) -> bool:
    return isinstance(node, Scalar) and node.has_variables


def _is_secret(info: inspect.Type) -> bool:
    return isinstance(info, inspect.StructType) and info.cls is Secret


def _is_off(entry: Entry) -> bool:
    """Off: null, false, or empty."""
    match entry.value:
        case Series(items=items):
            return not items
        case Table(entries=entries):
            return not entries
        case Scalar(kind="bool", text=text):
            return text.lower() not in _TRUE
    return _is_null(entry.value)


def _misnamed(info: inspect.Type, name: str) -> str:
    """Why a key of a mapping is none of its names; empty when it is."""
    match info:
        case inspect.StrType():
            return _breaks(info, name)
        case inspect.LiteralType(values=values) if name not in values:
            near = nearest(name, map(str, values))
            return f"should be {_one_of(info, near)}{near}"
    return ""


def _breaks(info: inspect.StrType, text: str) -> str:
    """Why the text is not one of this type; empty when it is."""
    if len(text) < (info.min_length or 0):
        return "should not be empty"
    if info.max_length is not None and len(text) > info.max_length:
        return f"is longer than {info.max_length} characters"
    # Not search: its $ would let a line break at the end through.
    if info.pattern is not None and not re.fullmatch(info.pattern, text):
        return f"should match {info.pattern}"
    return ""


def _wanted(info: inspect.Type) -> str:
    match info:
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low:,} to {high:,}" if high is not None else "a whole number"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=(only,)):
            return str(only)
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.Metadata(type=inner):
            return _wanted(inner)
    return "text"


def _one_of(info: inspect.LiteralType, near: str) -> str:
    """Every word of a choice; of very many only their number, where the one that was meant is told."""
    return f"one of {len(info.values)} words" if near and len(info.values) > MOST_WORDS else _wanted(info)


def _shown(node: Node) -> str:
    """The value as a fault may show it: as written, so that a variable shows its name and never its content."""
    match node:
        case Scalar(kind="null"):
            return "nothing"
        case Scalar():
            written = node.written if len(node.written) <= 40 else node.written[:37] + "…"
            return f'"{written}"' if node.has_variables else f'{_KIND_NAMES[node.kind]} "{written}"'
        case Series():
            return "a list"
    return "a mapping"
