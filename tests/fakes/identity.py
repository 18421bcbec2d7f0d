"""Identities for tests: a service account's key, and a look into what it signs."""

import base64
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@cache
def key() -> RSAPrivateKey:
    """One for all tests: making it takes a while."""
    return generate_private_key(public_exponent=65_537, key_size=2048)


def pem() -> str:
    """The key as a service account's file has it."""
    return key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account(**changes: Any) -> dict[str, Any]:
    """A service account's file; a change to ``None`` leaves the field out."""
    whole = {
        "type": "service_account",
        "project_id": "its-project",
        "private_key_id": "key-1",
        "private_key": pem(),
        "client_email": "gateway@its-project.iam.gserviceaccount.com",
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def signed(statement: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Head and claims of a JSON Web Token that :func:`key` has signed.

    Raises:
        cryptography.exceptions.InvalidSignature: another one has.
    """
    said, _, signature = statement.rpartition(".")
    key().public_key().verify(_decoded(signature), said.encode(), PKCS1v15(), hashes.SHA256())
    head, claims = (json.loads(_decoded(part)) for part in said.split("."))
    return head, claims


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
