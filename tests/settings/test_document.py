"""YAML: what is taken, what is refused, and the bounds of both."""

import pytest

from tollway.settings import document
from tollway.settings.document import Scalar, Series, Table


def read(text: str, environ: dict[str, str] | None = None) -> document.Document:
    return document.read(text, environ or {})


def only_fault(text: str) -> tuple[str, int, int, str]:
    (fault,) = read(text).faults
    return fault.path, fault.line, fault.column, fault.message


def scalar(text: str, environ: dict[str, str] | None = None) -> Scalar:
    root = read(f"value: {text}", environ).root
    assert isinstance(root, Table)
    value = root.entries["value"].value
    assert isinstance(value, Scalar)
    return value


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("abc", "text"),
        ('"12"', "text"),
        ("12", "int"),
        ("1.5", "float"),
        ("on", "bool"),
        ("Yes", "bool"),
        ("~", "null"),
        ("", "null"),
        ("2027-01-31", "date"),
        ("=", "text"),
        ("!!str 12", "text"),
    ],
)
def test_a_scalar_keeps_what_yaml_makes_of_it(written: str, kind: str) -> None:
    assert scalar(written).kind == kind


def test_a_plain_value_is_typed_again_after_its_variables() -> None:
    assert scalar("${PORT:-8080}").kind == "int"
    assert scalar("${PORT}", {"PORT": "on"}).kind == "bool"
    assert scalar('"${PORT:-8080}"').kind == "text"


def test_a_variable_can_neither_add_keys_nor_break_the_document() -> None:
    value = scalar("${NAME}", {"NAME": "x\nadmin: true"})
    assert value.text == "x\nadmin: true"


def test_keys_are_names_as_they_are_written() -> None:
    root = read("on: 1\n4: 2\n~: 3").root
    assert isinstance(root, Table)
    assert list(root.entries) == ["on", "4", "~"]


def test_a_repeated_key_is_a_fault_at_the_second() -> None:
    assert only_fault("a: 1\nb: 2\na: 3") == ("a", 3, 1, "this key stands here twice; the first is in line 1")


def test_an_alias_and_a_merge_bring_values_and_own_keys_win() -> None:
    root = read("base: &base {x: 1, y: 2}\nlist: [*base, *base]\nmerged: {<<: *base, x: 3}").root
    assert isinstance(root, Table)
    merged, aliases = root.entries["merged"].value, root.entries["list"].value
    assert isinstance(merged, Table)
    assert isinstance(aliases, Series)
    assert {name: entry.value.text for name, entry in merged.entries.items() if isinstance(entry.value, Scalar)} == {
        "x": "3",
        "y": "2",
    }
    assert aliases.items[0] == aliases.items[1]


def test_of_several_merges_the_first_wins() -> None:
    root = read("a: &a {x: 1}\nb: &b {x: 2}\nc: {<<: [*a, *b]}").root
    assert isinstance(root, Table)
    merged = root.entries["c"].value
    assert isinstance(merged, Table)
    assert merged.entries["x"].value == Scalar(document.Mark(1, 11), "1", "1", "int", False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# nothing", "the file is empty"),
        ("a: [1, 2", "this is not YAML"),
        ("a:\n\t- 1", "this is not YAML"),
        ("a: b: c", "this is not YAML"),
        ("a: *nowhere", "this is not YAML"),
        ("a: 1\n---\nb: 2", "this is not YAML"),
        ("a: \x00", "this is not YAML: the character U+0000"),
        ('a: "\\UFFFFFFFF"', "this is not YAML"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1", "this is not YAML"),
        ("{port: ${PORT:-1}}", "inside {…} and […] a ${VARIABLE} needs quotes"),
        ("a: 1\n" * 300_000, "the file is longer than"),
        ("[" * 5000, "nested deeper than|this is not YAML"),
        ("[" * 40 + "]" * 40, "nested deeper than"),
        ("&a [*a]", "nested deeper than"),
        ("&a {<<: *a}", "nested deeper than"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_fault(text: str, message: str) -> None:
    assert any(part in only_fault(text)[3] for part in message.split("|"))


def test_a_syntax_fault_has_its_line_and_column() -> None:
    assert only_fault("a: 1\nb: [1,\nc: ]]")[1:3] == (3, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object:os.system x", "YAML tags are not used here"),
        ("a: !secret x", "YAML tags are not used here"),
        ("a: !!set {x, y}", "YAML tags are not used here"),
        ("a: !!binary aGk=", "YAML tags are not used here"),
        ("? [1, 2]\n: x", "a key must be plain text"),
        ("<<: 3", "<< takes a mapping"),
        ('a: "\\ud800"', "not valid Unicode"),
    ],
)
def test_what_yaml_allows_and_a_configuration_does_not_need_is_refused(text: str, message: str) -> None:
    assert message in only_fault(text)[3]


def test_a_billion_laughs_stop_early() -> None:
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"l{at}: &l{at} [{', '.join([f'*l{at - 1}'] * 10)}]" for at in range(1, 10)]
    assert "holds more than" in only_fault("\n".join(lines))[3]


def test_a_billion_merges_stop_early() -> None:
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{at}: &m{at} {{<<: [{', '.join([f'*m{at - 1}'] * 10)}]}}" for at in range(1, 10)]
    assert "holds more than" in only_fault("\n".join(lines))[3]
