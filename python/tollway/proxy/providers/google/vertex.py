"""Vertex AI: Google's models below a project and a location, for a service account.

The account signs a statement with its key (RS256) and gets a bearer token for it, an hour long. Requests and answers
are those of the Gemini API.
Sources: cloud.google.com, "Vertex AI REST: publishers.models.generateContent" and "locations"; developers.google.com,
"Using OAuth 2.0 for Server to Server Applications"; RFC 7523.
"""

import base64
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tollway.contract.snapshot import GoogleCredentials, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.google.api import request
from tollway.proxy.providers.google.vectors import Shape, vertex_shape
from tollway.proxy.providers.port import Transport, UpstreamCall
from tollway.proxy.providers.tokens import Bearer, Minted, ask_for_token, send_with

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_COUNTED = ("contents", "systemInstruction", "tools", "generationConfig")
STATEMENT_S = 3600
"""How long the account's statement holds, in seconds: the longest that Google takes."""


class VertexApi:
    """One project's models in one location."""

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        if access.google is None:
            raise ValueError("vertex without credentials")  # the configuration checks forbid it
        account = access.google
        place = f"projects/{quote(account.project, safe=':')}/locations/{quote(account.location, safe='')}"
        self._models_url = f"{access.base_url}/v1/{place}/publishers/google/models"
        self._transport = transport
        self._bearer = Bearer(partial(_mint, account, transport))

    def url(self, model: str, method: str) -> str:
        """As the port says."""
        return f"{self._models_url}/{quote(model.removeprefix('models/'), safe='')}:{method}"

    async def post(self, call: UpstreamCall, url: str, body: bytes) -> UpstreamAnswer:
        """As the port says; a token that Google refuses is replaced once.

        Raises:
            tollway.errors.UpstreamUnavailable: Google refuses the account.
        """

        async def send(token: str) -> UpstreamAnswer:
            return await self._transport.send(request(call, url, body, ("authorization", f"Bearer {token}")))

        return await send_with(self._bearer, send)

    def probe(self, path: str, connect_s: float) -> None:
        """It takes tokens, and no keys."""

    def counted(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        """As the port says: fewer fields than a request for an answer has."""
        return {name: body[name] for name in _COUNTED if name in body}

    def embedding(self, model: str, texts: int) -> Shape:
        """As the port says."""
        return vertex_shape(model, texts)


def statement(account: GoogleCredentials, clock: Callable[[], float] = time.time) -> str:
    """What the account says of itself, signed: a JSON Web Token (RFC 7519).

    Raises:
        ValueError: its key is no RSA key in PEM; the configuration checks forbid it.
    """
    key = load_pem_private_key(account.private_key.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA key")
    now = int(clock())
    head = {"alg": "RS256", "typ": "JWT"} | ({"kid": account.private_key_id} if account.private_key_id else {})
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_url,
        "iat": now,
        "exp": now + STATEMENT_S,
    }
    said = f"{_encoded(msgspec.json.encode(head))}.{_encoded(msgspec.json.encode(claims))}"
    return f"{said}.{_encoded(key.sign(said.encode(), PKCS1v15(), hashes.SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def _mint(account: GoogleCredentials, transport: Transport) -> Minted:
    form = {"grant_type": GRANT, "assertion": statement(account)}
    return await ask_for_token(transport, account.token_url, form)
