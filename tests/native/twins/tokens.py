"""tiktoken itself, with OpenAI's vocabularies read from the sources of the crate that the core counts with.

tiktoken would download them. Its own loader checks their SHA-256, so that what it gets here is what it would fetch.
"""

import gzip
import hashlib
import json
import subprocess
from pathlib import Path

ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
PROJECT = Path(__file__).parents[3]


def fill_cache(folder: Path, *names: str) -> None:
    """Puts the vocabularies where tiktoken looks first when `TIKTOKEN_CACHE_DIR` names the folder."""
    for name in names:
        packed = _crate("bpe-openai") / "data" / f"{name}.tiktoken.gz"
        key = hashlib.sha1(ADDRESS.format(name=name).encode(), usedforsecurity=False).hexdigest()
        (folder / key).write_bytes(gzip.decompress(packed.read_bytes()))


def _crate(name: str) -> Path:
    """Where cargo keeps the sources of a dependency. Asks for this platform only: others' crates may not be fetched."""
    platform = next(line.split()[1] for line in _output("rustc", "-vV").splitlines() if line.startswith("host:"))
    metadata = _output("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", platform)
    packages = json.loads(metadata)["packages"]
    return next(Path(package["manifest_path"]).parent for package in packages if package["name"] == name)


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True).stdout
