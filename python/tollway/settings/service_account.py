"""A service account of Google Cloud, as its JSON file has it: read, and looked over for what can't work.

Source: cloud.google.com, "Create and delete service account keys".
"""

from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that are needed; the file has more."""

    type: str
    client_email: str
    private_key: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105
    private_key_id: str | None = None
    project_id: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return "ServiceAccount(…)"


def read_account(text: str, *, any_token_uri: bool = False) -> ServiceAccount:
    """The account that a file's text describes; its ``token_uri`` must be Google's unless it is not going to be used.

    Raises:
        ValueError: it describes none. The text says why, and holds nothing of the file.
    """
    try:
        account = msgspec.json.decode(text.encode(), type=ServiceAccount)
    except msgspec.ValidationError as error:  # its text names types and fields, never values
        raise ValueError(f"is no service account: {error}") from None
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    if account.type != "service_account":
        raise ValueError('is no service account: its "type" is another')
    if "@" not in account.client_email:
        raise ValueError('has no e-mail address as its "client_email"')
    if not any_token_uri and not _is_googles(account.token_uri):
        raise ValueError('has a "token_uri" that is none of Google\'s; token_url takes its place')
    try:
        is_rsa = isinstance(load_pem_private_key(account.private_key.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError):  # no PEM; a key with a password
        is_rsa = False
    if not is_rsa:
        raise ValueError('has a "private_key" that is no RSA key in PEM')
    return account


def _is_googles(url: str) -> bool:
    """Whether signed statements may go there: over TLS, to a host of Google's, and nowhere in disguise."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and "@" not in parts.netloc and "\\" not in url and " " not in url
    is_google = host in ("accounts.google.com", "oauth2.googleapis.com") or host.endswith(".googleapis.com")
    return is_plain and parts.scheme == "https" and port in (None, 443) and is_google
