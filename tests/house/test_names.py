import re

from tests.house import inventory

FORBIDDEN = frozenset("utils util helpers helper common misc base manager handler service types v2".split())


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    """A listing is the index: a name that fits anything finds nothing."""
    nameless = [
        str(path)
        for path in inventory.files()
        if FORBIDDEN & {part.split(".")[0].removeprefix("test_") for part in path.parts}
    ]
    assert nameless == []


def test_python_and_rust_files_have_plain_lower_case_names() -> None:
    odd = [str(path) for path in inventory.named(".py", ".pyi", ".rs") if not re.fullmatch(r"[a-z0-9_]+", path.stem)]
    assert odd == []


def test_folders_of_tests_mirror_folders_of_the_package() -> None:
    own = {"house", "e2e", "fakes", "native", "benches"}
    folders = {path.parent.relative_to("tests") for path in inventory.named(".py", under="tests")}
    strangers = [
        str(folder)
        for folder in folders
        if folder.parts and folder.parts[0] not in own and not (inventory.PACKAGE / folder).is_dir()
    ]
    assert strangers == []
