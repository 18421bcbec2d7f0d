"""What the house consists of: its files as git sees them, and the syntax trees of its Python."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "tollway"


@cache
def files() -> tuple[Path, ...]:
    """Every file that is or would be committed, relative to the root."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(sorted(Path(name) for name in set(listed.split("\0")) - {""} if (ROOT / name).is_file()))


def named(*suffixes: str, under: str = "") -> list[Path]:
    """The files with one of these suffixes, below a folder."""
    return [path for path in files() if path.suffix in suffixes and path.is_relative_to(under)]


def text(path: Path) -> str:
    """A file's text, empty for one that holds none."""
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""


@cache
def tree(path: Path) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(text(path), filename=str(path))


def migrations() -> list[Path]:
    """The SQL migrations, in order."""
    return named(".sql", under="python/tollway/storage/migrations")


def native_modules() -> list[str]:
    """The nouns of `tollway._native`: the files of the binding that are not its frame."""
    return sorted(path.stem for path in named(".rs", under="rust/binding/src") if path.stem not in ("lib", "errors"))
