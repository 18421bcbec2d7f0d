"""What is wrong with a configuration file: every fault with its place, in one exception."""

from collections.abc import Sequence

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing to mend. ``path`` is dotted (``models.gpt-4o.targets[0].weight``), empty for the file as a whole.

    ``line`` and ``column`` count from 1. ``message`` never holds a secret nor the value of a variable.
    """

    path: str
    line: int
    column: int
    message: str


class BadConfiguration(Exception):
    """The file can't be used. ``faults`` are all that was found, in the order of the file."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = sorted(faults, key=lambda fault: (fault.line, fault.column, fault.path))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line per fault: ``file:line:column: path: message``, as editors and compilers write it."""
        return [
            f"{self.file}:{fault.line}:{fault.column}: {fault.path + ': ' if fault.path else ''}{fault.message}"
            for fault in self.faults
        ]
