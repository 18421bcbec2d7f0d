"""AWS Signature Version 4 in a header: who asks, without the secret on the wire.

Pure: the time is passed in. Every header that is given is signed, so give those that no one on the way changes.
Source: docs.aws.amazon.com, IAM User Guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from tollway.contract.snapshot import AwsCredentials

ALGORITHM = "AWS4-HMAC-SHA256"


def sign(
    url: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    credentials: AwsCredentials,
    *,
    service: str,
    now_s: float,
    method: str = "POST",
) -> list[tuple[str, str]]:
    """The headers that make ``url`` with ``headers`` and ``body`` a signed request, to be sent beside ``headers``.

    ``now_s`` is in seconds since 1970; AWS takes a signature for some minutes around it. ``host`` is signed as the
    URL has it.
    """
    parts = urlsplit(url)
    now = datetime.fromtimestamp(now_s, UTC)
    at = now.strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", at)]
    if credentials.session_token is not None:
        added.append(("x-amz-security-token", credentials.session_token))
    signed = _canonical([("host", parts.netloc), *headers, *added])
    names = ";".join(name for name, _ in signed)
    request = "\n".join(
        [
            method,
            canonical_path(parts.path),
            _canonical_query(parts.query),
            *(f"{name}:{value}" for name, value in signed),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{at[:8]}/{credentials.region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, at, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.new(_key(credentials, scope), text.encode(), hashlib.sha256).hexdigest()
    proof = f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return [*added, ("authorization", proof)]


def canonical_path(path: str) -> str:
    """The path as it is signed: encoded once more than it is sent, so that ``%3A`` counts as ``%253A``.

    So it is for every service but S3. Dot segments and doubled slashes are taken out first.
    """
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def _canonical_query(query: str) -> str:
    """Sorted by name, then by value; a name alone has an empty value."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _canonical(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Lower-case names in order, blanks in values reduced, values of one name joined."""
    joined: dict[str, list[str]] = {}
    for name, value in headers:
        joined.setdefault(name.lower(), []).append(" ".join(value.split()))
    return [(name, ",".join(joined[name])) for name in sorted(joined)]


def _key(credentials: AwsCredentials, scope: str) -> bytes:
    """The secret, bound step by step to day, region and service."""
    key = f"AWS4{credentials.secret_access_key}".encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key
