"""What of a request the provider does not get: the names of the fields, or in strict mode a refusal."""

from tollway.errors import InvalidRequest


class Drops:
    """Fields that were left out, changed or clamped. Bounded by the fields of a request: a name stands in it once."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._names: dict[str, None] = {}

    def add(self, field: str) -> None:
        """Notes a field.

        Raises:
            InvalidRequest: the caller asked for strictness.
        """
        if self._strict:
            raise InvalidRequest("The provider of this model does not take this field, or not this value.", param=field)
        self._names[field] = None

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of their discovery."""
        return tuple(self._names)
