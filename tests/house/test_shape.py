import ast

from tests.house import inventory

LONGEST_FILE = 450
LONGEST_TEST_FILE = 700  # a list of cases is read by search, not from top to bottom
LONGEST_FUNCTION = 80


def test_no_file_outgrows_a_reader() -> None:
    """Beyond this ask first whether two things live in it."""
    long = {
        str(path): lines
        for path in inventory.named(".py", ".pyi", ".rs")
        if (lines := inventory.text(path).count("\n"))
        > (LONGEST_TEST_FILE if "tests" in (*path.parts, path.stem) else LONGEST_FILE)
    }
    assert long == {}


def test_no_function_outgrows_a_screen_by_much() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": lines
        for path in inventory.named(".py", under="python")
        for node in ast.walk(inventory.tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_everything_public_says_what_it_means() -> None:
    silent = [
        f"{path}: {name}" for path in inventory.named(".py", under="python") for name in _silent(inventory.tree(path))
    ]
    assert silent == []


def test_nothing_keeps_global_state() -> None:
    """State is an object that the composition root builds; ``global`` and ``nonlocal`` module variables hide it."""
    rebinding = [
        f"{path}:{node.lineno}"
        for path in inventory.named(".py", under="python")
        for node in ast.walk(inventory.tree(path))
        if isinstance(node, ast.Global)
    ]
    assert rebinding == []


def test_only_the_settings_read_the_environment() -> None:
    """Importing ``os.environ`` or calling ``os.getenv`` elsewhere would make a setting that no page lists."""
    reading = [
        f"{path}:{node.lineno}"
        for path in inventory.named(".py", under="python")
        if not path.is_relative_to("python/tollway/settings")
        for node in ast.walk(inventory.tree(path))
        if isinstance(node, ast.expr | ast.stmt) and _reads_environment(node)
    ]
    assert reading == []


def test_imports_stand_at_the_head_of_their_module() -> None:
    """One inside a function hides a dependency, and mostly a cycle."""
    inside = [
        f"{path}:{node.lineno}"
        for path in inventory.named(".py", under="python")
        for function in ast.walk(inventory.tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def _silent(module: ast.Module) -> list[str]:
    silent = [] if ast.get_docstring(module) else ["the module"]
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            silent += [f"{node.name}.{name}" for name in _silent_functions(node.body)]
            if not ast.get_docstring(node):
                silent.append(node.name)
    return silent + _silent_functions(module.body)


def _silent_functions(body: list[ast.stmt]) -> list[str]:
    return [
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]


def _reads_environment(node: ast.expr | ast.stmt) -> bool:
    reading = {"environ", "environb", "getenv", "getenvb", "putenv"}
    if isinstance(node, ast.Attribute):
        return node.attr in reading and isinstance(node.value, ast.Name) and node.value.id == "os"
    return (
        isinstance(node, ast.ImportFrom) and node.module == "os" and bool(reading & {name.name for name in node.names})
    )
