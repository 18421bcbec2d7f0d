"""Cached answers, as they lie where others could read them: compressed, then sealed with their tenant's own key.

In: bytes, whose they are, what they are about. Out: sealed bytes, and from sealed bytes the same again, or nothing. A
tenant's key opens nothing of another tenant's, and nothing that lies under another name than it was sealed for.

AES-256-GCM, RFC 5116; keys by HKDF-SHA256, RFC 5869, from the secret that PostgreSQL keeps. Nonces are random: at most
2^32 of them for one key (NIST SP 800-38D, 8.3), which is 136 years of an answer a second.
"""

import asyncio
import os
import zlib
from collections import OrderedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LARGE_BYTES = 32 * 1024
"""From here on it takes a thread: to compress that much is what the event loop can be kept for."""

_FORM = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_MOST_KEYS = 1_024


class Sealing:
    """Seals and opens once it knows the secret; without it nothing can be sealed, and nothing opens.

    ``whose`` is a tenant's id, or ``None`` for what belongs to the hosts themselves.
    """

    def __init__(self) -> None:
        self._secret: bytes | None = None
        self._keys: OrderedDict[str | None, AESGCM] = OrderedDict()
        self._known = asyncio.Event()

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Sealing(ready={self.ready})"

    @property
    def ready(self) -> bool:
        """Whether the secret is known."""
        return self._secret is not None

    def learn(self, secret: bytes) -> None:
        """Take the secret, of 32 bytes, that all hosts have."""
        if secret != self._secret:
            self._secret = secret
            self._keys.clear()
            self._known.set()

    async def known(self) -> None:
        """Returns once the secret is known."""
        await self._known.wait()

    def seal(self, whose: str | None, about: bytes, plain: bytes) -> bytes | None:
        """Compressed and sealed; opens for the same ``whose`` and ``about`` only. ``None`` without the secret."""
        key = self._key(whose)
        if key is None:
            return None
        nonce = os.urandom(_NONCE_BYTES)
        return _FORM + nonce + key.encrypt(nonce, zlib.compress(plain, 1), about)

    def open(self, whose: str | None, about: bytes, sealed: bytes, most_bytes: int) -> bytes | None:
        """What was sealed. ``None`` for all else: damaged, another's, about something else, or of more than
        ``most_bytes``."""
        key = self._key(whose)
        if key is None or not sealed.startswith(_FORM) or len(sealed) < len(_FORM) + _NONCE_BYTES + _TAG_BYTES:
            return None
        nonce, rest = sealed[len(_FORM) : len(_FORM) + _NONCE_BYTES], sealed[len(_FORM) + _NONCE_BYTES :]
        try:
            return _expand(key.decrypt(nonce, rest, about), most_bytes)
        except (InvalidTag, zlib.error):
            return None

    async def sealed(self, whose: str | None, about: bytes, plain: bytes) -> bytes | None:
        """As :meth:`seal`, what is large in a thread."""
        if len(plain) < LARGE_BYTES:
            return self.seal(whose, about, plain)
        return await asyncio.to_thread(self.seal, whose, about, plain)

    async def opened(self, whose: str | None, about: bytes, sealed: bytes, most_bytes: int) -> bytes | None:
        """As :meth:`open`, what is large in a thread."""
        if len(sealed) < LARGE_BYTES:
            return self.open(whose, about, sealed, most_bytes)
        return await asyncio.to_thread(self.open, whose, about, sealed, most_bytes)

    def _key(self, whose: str | None) -> AESGCM | None:
        """Those of the last tenants are remembered: to derive one takes longer than to seal. Threads may meet here,
        and then one derives in vain."""
        secret = self._secret
        if secret is None:
            return None
        key = self._keys.get(whose)
        if key is None:
            info = b"tollway cache" if whose is None else b"tollway cache of " + whose.encode("utf-8", "surrogatepass")
            key = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret))
            self._keys[whose] = key
            if len(self._keys) > _MOST_KEYS:
                self._keys.popitem(last=False)
        return key


def _expand(compressed: bytes, most_bytes: int) -> bytes | None:
    expanding = zlib.decompressobj()
    plain = expanding.decompress(compressed, most_bytes + 1)
    return plain if expanding.eof and len(plain) <= most_bytes else None
