"""The table ``audit_logs``: written in the transaction of the change, so that no change goes unrecorded."""

import msgspec

from tollway.storage.pool import Connection


async def record(connection: Connection, actor: str, action: str, subject: str, detail: object) -> None:
    """Note that ``actor`` did ``action`` (``key.revoked``) to ``subject`` (an id). ``detail`` holds no secret.

    Call it inside the transaction of the change: if it fails, the change fails.
    """
    await connection.execute(
        "insert into audit_logs (actor, action, subject, detail) values ($1, $2, $3, $4::jsonb)",
        actor,
        action,
        subject,
        msgspec.json.encode(detail).decode(),
    )
