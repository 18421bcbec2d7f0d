"""Object storage: where exports are put. A directory, Amazon S3, Google Cloud Storage or Azure Blob Storage.

In: an address (``storage.objects``) and pieces of bytes. Out: an object, whole or not at all: an upload that breaks off
leaves nothing under the object's name. Credentials of the clouds are those of the host, where each cloud's tools look
for them: its variables (``AWS_…``, ``GOOGLE_…``, ``AZURE_…``) or the machine's own identity.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from tollway.errors import DependencyUnavailable

PART_BYTES = 8 << 20
PARTS_AT_ONCE = 2
"""So an upload holds at most some 24 MiB, however large the object is."""

_FILE = "file://"
_FAILED = (BaseError, OSError)


class Objects:
    """One place for objects.

    ``address`` is ``file://`` and a directory (made when it is first needed; relative ones begin with a dot), or
    ``s3://bucket/prefix``, ``gs://…``, ``az://container/prefix``.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    async def put(self, name: str, content: AsyncIterator[bytes] | Path) -> None:
        """Store an object: pieces as they come, or a file. One of this name is replaced.

        Raises:
            DependencyUnavailable: the storage can't be reached or does not take it.
            Exception: whatever ``content`` raises; nothing is stored then.
        """
        source = content if isinstance(content, Path) else _Source(content)
        try:
            store = self._open()
            await obstore.put_async(store, name, source, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
        except _FAILED as error:
            if isinstance(source, _Source) and source.failure is not None:
                raise source.failure from None
            raise DependencyUnavailable(
                "The object storage does not take the object; see storage.objects and the host's credentials.",
                inside=f"object storage failed: {type(error).__name__}",
            ) from error

    def where(self, name: str) -> str:
        """The address of an object."""
        return f"{self.address}/{name}"

    def _open(self) -> ObjectStore:
        if self.address.startswith(_FILE):
            directory = Path(self.address.removeprefix(_FILE)).absolute()
            directory.mkdir(parents=True, exist_ok=True)
            return LocalStore(directory)
        # Without options for its connections: given here, they would go before the host's variables (an S3 of one's own
        # without TLS is AWS_ALLOW_HTTP). A request has 30 s and a connection 5, as the library has it.
        return from_url(self.address, retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)})


class _Source:
    """Pieces, and why they ended early: a lost database is not the storage's fault."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        self._content = content
        self.failure: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._content)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            raise
