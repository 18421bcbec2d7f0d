"""Station 9, respond: the rest of the answer leaves, now that its row is safe.

In: a settled answer. Out: nothing; the client has it. A whole answer carries what it cost.
"""

from tollway.proxy.exchange import ATTEMPTS, Arrival, Screened, Settled
from tollway.proxy.refusal import refusal
from tollway.proxy.relay.heads import warn


async def respond(settled: Settled) -> None:
    """Sends a whole answer, or a stream's last bytes."""
    relayed = settled.relayed
    connection = relayed.arrival.connection
    connection.unwatch()
    if relayed.headers is None:
        if connection.is_opaque and relayed.outcome != "ok":
            return  # the server cuts the connection of an answer without its end
        await connection.end(relayed.body)
        return
    headers = [*relayed.headers, (b"content-length", str(len(relayed.body)).encode())]
    if settled.row.cost_picousd is not None:
        headers.append((b"x-tollway-cost-usd", dollars(settled.row.cost_picousd).encode()))
    elif relayed.status < 400:
        warn(headers, b"unpriced-model")
    await connection.start(relayed.status, headers)
    await connection.end(relayed.body)


async def decline(screened: Screened) -> None:
    """Answers a request that the guardrails let go no further, with a refusal in the client's dialect."""
    arrival = screened.arrival
    content_type, body = refusal(arrival, screened.request, screened.refusal or "")
    await _said_here(arrival, content_type, body)


async def show(arrival: Arrival, body: bytes) -> None:
    """Answers a dry run, in JSON."""
    await _said_here(arrival, b"application/json", body)


async def _said_here(arrival: Arrival, content_type: bytes, body: bytes) -> None:
    """An answer that no provider had a part in."""
    connection = arrival.connection
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", arrival.request_id.encode("ascii")),
        (ATTEMPTS, b"0"),
        *connection.answer_headers,
    ]
    if arrival.dialect.answer_id_header != b"x-request-id":
        headers.append((arrival.dialect.answer_id_header, arrival.request_id.encode("ascii")))
    connection.unwatch()
    await connection.start(200, headers)
    await connection.end(body)


def dollars(picousd: int) -> str:
    """An exact decimal number of US dollars, without trailing zeros."""
    whole, rest = divmod(picousd, 10**12)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
