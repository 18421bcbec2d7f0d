"""Connections to PostgreSQL: a pool that is made without the database and recovers by itself when it returns."""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A connection of one's own, or one lent by a pool."""

OUT_OF_REACH: tuple[type[Exception], ...] = (
    OSError,  # no socket, refused, reset; TimeoutError is one too
    asyncpg.InterfaceError,  # the connection is closed, or the pool is closing
    asyncpg.InternalClientError,  # the server went away in the middle of its greeting
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting, stopping, crashed, or a statement over its time
    asyncpg.InsufficientResourcesError,  # too many connections, disk or memory full
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # not migrated yet
    asyncpg.ReadOnlySQLTransactionError,  # a replica, during a fail-over
    asyncpg.TransactionRollbackError,  # lost against another transaction: deadlock, serialization
    asyncpg.LockNotAvailableError,
)
"""What says that the database can't answer now, whatever the question: waiting may help, mending the question won't."""

FAILED: tuple[type[Exception], ...] = (*OUT_OF_REACH, asyncpg.PostgresError)
"""Any reason for which the database has not answered."""


async def connect(
    dsn: str,
    *,
    application_name: str = "tollway",
    max_size: int = 10,
    connect_timeout_s: float = 2.0,
    statement_timeout_s: float = 10.0,
) -> asyncpg.Pool:
    """A pool of at most ``max_size`` connections, each opened when it is first needed.

    Nothing is connected here, so a gateway starts while its database is down; every ``acquire`` tries afresh, so it
    recovers without a restart. A statement over ``statement_timeout_s`` is ended by the server, and half a second
    later given up by us (the server may be beyond reach).
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=max_size,
        timeout=connect_timeout_s,
        command_timeout=statement_timeout_s + 0.5,
        max_inactive_connection_lifetime=60.0,
        server_settings={
            "application_name": application_name,
            "statement_timeout": str(round(statement_timeout_s * 1000)),
            "idle_in_transaction_session_timeout": "60000",
            "timezone": "UTC",
            "tcp_keepalives_idle": "30",
        },
    )
