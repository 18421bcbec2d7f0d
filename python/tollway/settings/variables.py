"""Variables in the values of a configuration file: ``${NAME}``, ``${NAME:-default}``; ``$$`` is a plain ``$``.

Values are filled in after the YAML is parsed, so a variable can never add keys or break the document.
"""

import re
from collections.abc import Mapping

# `${` must be closed by `}`; what stands between is judged below, so that a bad name is said rather than kept as text.
_REFERENCE = re.compile(r"\$(?:(?P<escape>\$)|\{(?P<body>[^}]*)\}|(?P<open>\{))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def mentions(text: str) -> bool:
    """Whether ``fill`` would change, or refuse, this text."""
    return _REFERENCE.search(text) is not None


def fill(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with its variables filled in, and what is wrong with them.

    As in a shell, ``:-`` takes the default for a variable that is unset or empty.
    """
    faults: list[str] = []

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return "$"
        if match["open"]:
            faults.append("a ${ is never closed; write $${ for the characters themselves")
            return ""
        name, has_default, default = match["body"].partition(":-")
        if not _NAME.fullmatch(name):
            faults.append(f"${{{match['body']}}} is not a variable: write ${{NAME}} or ${{NAME:-default}}")
        elif "${" in default:
            faults.append(f"the default of ${{{name}}} can't hold another variable")
        elif has_default:
            return environ.get(name) or default
        elif name in environ:
            return environ[name]
        else:
            faults.append(f"the environment variable {name} is not set; a default is written ${{{name}:-default}}")
        return ""

    return _REFERENCE.sub(value, text), faults
