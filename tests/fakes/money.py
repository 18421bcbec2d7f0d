"""Money that is held for a call, for stations that only need somebody to pay."""


class Purseful:
    """An :class:`tollway.proxy.exchange.Reserved` that keeps what it is told."""

    def __init__(self, *charged: str) -> None:
        self.charged = charged
        self.paid: list[int] = []
        self.cancelled = 0

    def pay(self, picousd: int) -> None:
        """Keeps it."""
        self.paid.append(picousd)

    def cancel(self) -> None:
        """Keeps it."""
        self.cancelled += 1

    def grow(self, output_tokens: int) -> bool:
        """There is always more."""
        return True
