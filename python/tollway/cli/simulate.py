"""``tollway simulate``: the fake provider, as a server."""

from typing import Annotated

import typer
import uvloop

from tollway.simulation.behaviour import Behaviour, duration_s
from tollway.simulation.server import serve


def _duration(given: str | float) -> float:
    """Typer hands over what was typed, and the default as it is."""
    try:
        return given if isinstance(given, float) else duration_s(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 9100,
    delay: Annotated[
        float,
        typer.Option(
            parser=_duration, metavar="DURATION", show_default="0", help="Wait before every answer: 200ms, 1.5s."
        ),
    ] = 0.0,
    chunks: Annotated[
        int | None, typer.Option(min=1, help="Deltas a text is streamed in; one a word if not said.")
    ] = None,
    gap: Annotated[
        float, typer.Option(parser=_duration, metavar="DURATION", show_default="0", help="Wait between two deltas.")
    ] = 0.0,
    fail_rate: Annotated[float, typer.Option(min=0, max=1, help="The share of calls that fail.")] = 0.0,
    fail_status: Annotated[int, typer.Option(min=400, max=599, help="The status they fail with.")] = 503,
    hang: Annotated[bool, typer.Option("--hang", help="Never answer.")] = False,
    hang_after: Annotated[int | None, typer.Option(min=0, help="Fall silent after this many deltas.")] = None,
    cut_after: Annotated[int | None, typer.Option(min=0, help="Drop the connection after this many deltas.")] = None,
    error_after: Annotated[int | None, typer.Option(min=0, help="Send an error event after this many deltas.")] = None,
) -> None:
    """Run a fake OpenAI-compatible provider: real answers' form, no model, no cost.

    A request can ask for its own behaviour by the model's name: simulator-delay-500ms, simulator-status-429,
    simulator-hang, simulator-cut-3, simulator-error-3, or several at once.
    """
    behaviour = Behaviour(
        delay_s=delay,
        gap_s=gap,
        chunks=chunks,
        fail_rate=fail_rate,
        fail_status=fail_status,
        hang=hang,
        hang_after=hang_after,
        cut_after=cut_after,
        error_after=error_after,
    )
    try:
        uvloop.run(serve(behaviour, host, port, _announce))
    except OSError as error:
        typer.echo(f"{host}:{port} can't be listened on: {error.strerror or error}", err=True)
        raise typer.Exit(1) from error


def _announce(base_url: str) -> None:
    body = '{"model": "simulator", "messages": [{"role": "user", "content": "Hello!"}]}'
    typer.echo(f"The simulator answers at {base_url}")
    typer.echo(f"  curl {base_url}/chat/completions -H 'content-type: application/json' -d '{body}'")
