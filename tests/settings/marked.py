"""Faults and their places: where one is expected, the text says so itself."""

import pytest

from tollway.settings import BadConfiguration, read

MARK = "§"


def only_fault(text: str, **environ: str) -> tuple[str, str]:
    """Path and message of the one fault of ``text``, which must be told where ``§`` stands in it."""
    before, _, after = text.partition(MARK)
    with pytest.raises(BadConfiguration) as raised:
        read(before + after, environ)
    assert len(raised.value.faults) == 1, raised.value.lines()
    (fault,) = raised.value.faults
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert (fault.line, fault.column) == place, fault
    return fault.path, fault.message
