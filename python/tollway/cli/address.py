"""Where a gateway is found, and what it says of itself there."""

import http.client
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

EVERYWHERE: Final[Mapping[str, str]] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- read, not bound
"""What a server may listen on, and where a client on the same machine finds it then."""


class Readiness(msgspec.Struct, frozen=True):
    """The answer of ``/health/ready``. ``said`` is the gateway's own word (``ready``); ``None``: it is no Tollway."""

    status: int
    said: str | None


class _Body(msgspec.Struct):
    status: str
    checks: dict[str, str]


def base_url(host: str, port: int) -> str:
    """``http://host:port`` as a client on this machine asks for it, with brackets around an IPv6 address."""
    reachable = EVERYWHERE.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def readiness(url: str, timeout_s: float = 2.0) -> Readiness | None:
    """What answers at ``url``, ``None`` when nothing does. Blocks for ``timeout_s`` at most at each step.

    Not by ``urllib.request``: that would ask the proxy of the environment for an address of this machine.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health/ready")
        answer = connection.getresponse()
        return Readiness(answer.status, _said(answer.read(65_536)))
    except http.client.HTTPException:
        return Readiness(0, None)
    except OSError:
        return None
    finally:
        connection.close()


def _said(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Body).status
    except msgspec.DecodeError:
        return None
