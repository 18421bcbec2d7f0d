"""Where a gateway is found, and what it says of itself there."""

import http.client
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

EVERYWHERE: Final[Mapping[str, str]] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- read, not bound
"""What a server may listen on, and where a client on the same machine finds it then."""


MOST_BYTES: Final = 8 << 20
"""Of an answer of the API."""


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


class Reply(msgspec.Struct, frozen=True):
    """A status and a body."""

    status: int
    body: bytes


def get(url: str, path: str, key: str, timeout_s: float = 10.0) -> Reply | None:
    """What a gateway's API answers to an admin key, ``None`` when nothing is there. Blocks for ``timeout_s`` at most at
    each step; no more is read than :data:`MOST_BYTES`.

    Raises:
        http.client.HTTPException: something else answers.
    """
    connection = _connection(url, timeout_s)
    try:
        connection.request("GET", urlsplit(url).path.rstrip("/") + path, headers={"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(MOST_BYTES))
    except OSError:
        return None
    finally:
        connection.close()


def readiness(url: str, timeout_s: float = 2.0) -> Readiness | None:
    """What answers at ``url``, ``None`` when nothing does. Blocks for ``timeout_s`` at most at each step.

    Not by ``urllib.request``: that would ask the proxy of the environment for an address of this machine.
    """
    parts, connection = urlsplit(url), _connection(url, timeout_s)
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


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout_s)


def _said(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Body).status
    except ValueError:  # msgspec's own is one, and so is text that is not UTF-8
        return None
