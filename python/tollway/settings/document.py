"""YAML text in, a small tree with places out: scalars as written, mappings, sequences.

What a field means is not known here: a scalar keeps its text and what YAML 1.1 makes of it, and ``conversion``
decides. So ``expires: 2027-01-31`` stays text that can be read exactly, and ``name: on`` can be answered with
"YAML reads this as true". Nothing is constructed by tag, aliases are followed within bounds, and repeated keys are
faults (YAML forbids them, PyYAML keeps the last).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import yaml

from tollway.settings import variables
from tollway.settings.faults import Fault

TEXT_LIMIT_BYTES = 1024 * 1024
NODE_LIMIT = 50_000
"""Nodes after aliases are followed: a "billion laughs" file stops here."""
DEPTH_LIMIT = 32

Kind = Literal["text", "int", "float", "bool", "null", "date"]
Path = tuple[str | int, ...]

_PREFIX = "tag:yaml.org,2002:"
_KINDS: Mapping[str, Kind] = {
    "str": "text",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "null": "null",
    "timestamp": "date",
    # Plain `=` and `<<` as values are YAML 1.1 curiosities; nobody means anything but the text.
    "value": "text",
    "merge": "text",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """``text`` has its variables filled in; ``written`` is what the file says and is safe to show."""

    mark: Mark
    text: str
    written: str
    kind: Kind
    has_variables: bool


@dataclass(frozen=True, slots=True)
class Series:
    """A YAML sequence."""

    mark: Mark
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's own place, and its value."""

    mark: Mark
    value: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; keys are the names as written."""

    mark: Mark
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Broken:
    """Its fault is told already: whoever meets it stays silent."""

    mark: Mark


Node = Scalar | Series | Table | Broken


@dataclass(frozen=True, slots=True)
class Document:
    """``marks`` gives the place of every value by its path; ``faults`` are those found so far."""

    root: Node
    marks: Mapping[Path, Mark]
    faults: tuple[Fault, ...]

    def is_written(self, path: Path) -> bool:
        """Whether the file gives something at ``path``, be it of any use."""
        node: Node | None = self.root
        for step in path:
            match node:
                case Table(entries=entries) if step in entries:
                    node = entries[str(step)].value
                case Series(items=items) if isinstance(step, int) and step < len(items):
                    node = items[step]
                case _:
                    return False
        return not (isinstance(node, Scalar) and node.kind == "null")

    def is_faulty(self, *paths: Path) -> bool:
        """Whether something at or below one of ``paths`` has a fault, so that its value is not what the file says."""
        names = [dotted(path) for path in paths]
        return any(
            fault.path == name or fault.path.startswith((f"{name}.", f"{name}["))
            for name in names
            for fault in self.faults
        )

    def mark(self, path: Path) -> Mark:
        """The place of ``path``, or of the nearest thing around it."""
        while path not in self.marks and path:
            path = path[:-1]
        return self.marks.get(path, Mark(1, 1))


def dotted(path: Path) -> str:
    """``("models", "gpt-4o", "targets", 0)`` as ``models.gpt-4o.targets[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read(text: str, environ: Mapping[str, str] | None) -> Document:
    """Parse, follow aliases, fill in variables from ``environ`` (``None``: ``$`` means nothing here)."""
    try:
        node = _compose(text)
        if node is None:
            raise _Unreadable(Mark(1, 1), "the file is empty")
        reader = _Reader(environ)
        root = reader.node(node, (), 0)
    except _Unreadable as fault:
        return Document(Broken(fault.mark), {}, (Fault("", fault.mark.line, fault.mark.column, str(fault)),))
    return Document(root, reader.marks, tuple(reader.faults))


class _Unreadable(Exception):
    """The document as a whole can't be read."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark


def _compose(text: str) -> yaml.Node | None:
    if len(text) > TEXT_LIMIT_BYTES:
        raise _Unreadable(Mark(1, 1), f"the file is longer than {TEXT_LIMIT_BYTES} characters")
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = _mark(place) if place else Mark(1, 1)
        said = ", ".join(part for part in (error.context, error.problem) if part)
        hint = "; inside {…} and […] a ${VARIABLE} needs quotes" if "${" in _line(text, mark) else ""
        raise _Unreadable(mark, f"this is not YAML: {said}{hint}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, error.position - before.rfind("\n"))
        raise _Unreadable(mark, f"this is not YAML: the character U+{ord(text[error.position]):04X}") from None
    except RecursionError:
        raise _Unreadable(Mark(1, 1), f"the file is nested deeper than {DEPTH_LIMIT} levels") from None
    except (ValueError, OverflowError):
        # PyYAML lets chr() and int() speak for an escape like "\UFFFFFFFF" or an endless %YAML version.
        raise _Unreadable(Mark(1, 1), "this is not YAML: an escape or a number is out of range") from None
    return node


def _line(text: str, mark: Mark) -> str:
    lines = text.splitlines()
    return lines[mark.line - 1] if mark.line <= len(lines) else ""


def _mark(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


class _Reader:
    """One pass over PyYAML's tree; holds the bounds and what was found."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.environ = environ
        self.faults: list[Fault] = []
        self.marks: dict[Path, Mark] = {}
        self._visited = 0
        self._resolver = yaml.resolver.Resolver()

    def node(self, node: yaml.Node, path: Path, depth: int) -> Node:
        mark = self._enter(node, depth)
        self.marks[path] = mark
        tag = node.tag.removeprefix(_PREFIX)
        match node:
            case yaml.ScalarNode() if tag in _KINDS:
                return self._scalar(node, path, mark, _KINDS[tag])
            case yaml.SequenceNode() if tag == "seq":
                items = (self.node(item, (*path, at), depth + 1) for at, item in enumerate(node.value))
                return Series(mark, tuple(items))
            case yaml.MappingNode() if tag == "map":
                return self._mapping(node, path, mark, depth)
        return self._broken(path, mark, "YAML tags are not used here; remove the tag")

    def _enter(self, node: yaml.Node, depth: int) -> Mark:
        mark = _mark(node.start_mark)
        self._visited += 1
        if self._visited > NODE_LIMIT:
            raise _Unreadable(mark, f"the file holds more than {NODE_LIMIT} values once its aliases are followed")
        if depth > DEPTH_LIMIT:
            raise _Unreadable(mark, f"the file is nested deeper than {DEPTH_LIMIT} levels")
        return mark

    def _scalar(self, node: yaml.ScalarNode, path: Path, mark: Mark, kind: Kind) -> Node:
        written: str = node.value
        text, has_variables = written, False
        if self.environ is not None and variables.mentions(written):
            text, faults = variables.fill(written, self.environ)
            if faults:
                for message in faults:
                    self._broken(path, mark, message)
                return Broken(mark)
            has_variables = True
            if node.style is None:
                tag = self._resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
                kind = _KINDS.get(str(tag).removeprefix(_PREFIX), "text")
        if any("\ud800" <= character <= "\udfff" for character in text):
            return self._broken(path, mark, "this text is not valid Unicode")
        return Scalar(mark, text, written, kind, has_variables)

    def _mapping(self, node: yaml.MappingNode, path: Path, mark: Mark, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        own: dict[str, Mark] = {}
        for key, value, merged in self._pairs(node, path, depth):
            name = self._name(key, path)
            if name is None or (merged and name in entries):
                continue
            key_mark = _mark(key.start_mark)
            if name in own:
                first = own[name]
                self._broken((*path, name), key_mark, f"this key stands here twice; the first is in line {first.line}")
                continue
            if not merged:
                own[name] = key_mark
            entries[name] = Entry(key_mark, self.node(value, (*path, name), depth + 1))
        return Table(mark, entries)

    def _pairs(self, node: yaml.MappingNode, path: Path, depth: int) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """The mapping's own pairs, then those that ``<<`` brings in: the first of a name wins."""
        merges: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _PREFIX + "merge":
                merges += value.value if isinstance(value, yaml.SequenceNode) else [value]
            else:
                yield key, value, False
        for merge in merges:
            mark = self._enter(merge, depth)
            if isinstance(merge, yaml.MappingNode):
                yield from ((key, value, True) for key, value, _ in self._pairs(merge, path, depth + 1))
            else:
                self._broken(path, mark, "<< takes a mapping, or a list of mappings")

    def _name(self, key: yaml.Node, path: Path) -> str | None:
        """Keys are names, taken as written: a model may well be called ``on`` or ``4``."""
        mark = self._enter(key, 0)
        if not isinstance(key, yaml.ScalarNode) or key.tag.removeprefix(_PREFIX) not in _KINDS:
            self._broken(path, mark, "a key must be plain text")
            return None
        return str(key.value)

    def _broken(self, path: Path, mark: Mark, message: str) -> Broken:
        self.faults.append(Fault(dotted(path), mark.line, mark.column, message))
        return Broken(mark)
