"""The fields of a Responses request, read one by one: what has a wrong type is refused with its place as ``param``."""

from typing import Any

from tollway.errors import InvalidRequest

MAX_COUNT = 2**31
"""No count in a request reaches this."""


def refusal(place: str, message: str) -> InvalidRequest:
    """The refusal of the field at ``place``."""
    return InvalidRequest(message, param=place)


class Fields:
    """One object of the request, at ``place`` (empty: the request itself). A field that is null counts as missing.

    Raises:
        InvalidRequest: ``told`` is no object; each reader, a field of a wrong type.
    """

    def __init__(self, told: Any, place: str) -> None:
        if not isinstance(told, dict):
            raise refusal(place, "This must be an object.")
        self._told: dict[str, Any] = told
        self.place = place

    def at(self, name: str) -> str:
        """Where the field ``name`` stands."""
        return f"{self.place}.{name}" if self.place else name

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return self._told.get(name) is not None

    def names(self) -> list[str]:
        """The fields that are there."""
        return [name for name, value in self._told.items() if value is not None]

    def value(self, name: str) -> Any:
        """Whatever the field holds."""
        return self._told.get(name)

    def text(self, name: str) -> str | None:
        """A text."""
        value = self._told.get(name)
        if value is not None and not isinstance(value, str):
            raise refusal(self.at(name), "This must be a text.")
        return value

    def needed(self, name: str) -> str:
        """A text that must be there; it may be empty."""
        value = self.text(name)
        if value is None:
            raise refusal(self.at(name), "This is missing.")
        return value

    def named(self, name: str) -> str:
        """A text that must be there and say something: a name, an id."""
        value = self.needed(name)
        if not value:
            raise refusal(self.at(name), "This must not be empty.")
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self._told.get(name)
        if value is not None and not isinstance(value, bool):
            raise refusal(self.at(name), "This must be true or false.")
        return value

    def count(self, name: str) -> int | None:
        """A whole number from 0 on."""
        value = self._told.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_COUNT:
            raise refusal(self.at(name), "This must be a whole number from 0 on.")
        return value

    def number(self, name: str) -> float | None:
        """A number."""
        value = self._told.get(name)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise refusal(self.at(name), "This must be a number.")
        return value

    def listed(self, name: str) -> list[Any] | None:
        """A list."""
        value = self._told.get(name)
        if value is not None and not isinstance(value, list):
            raise refusal(self.at(name), "This must be a list.")
        return value

    def inner(self, name: str) -> "Fields | None":
        """An object."""
        value = self._told.get(name)
        return None if value is None else Fields(value, self.at(name))

    def each(self, name: str) -> list["Fields"]:
        """The objects of a list; none where it is missing."""
        return [Fields(item, f"{self.at(name)}[{number}]") for number, item in enumerate(self.listed(name) or ())]
