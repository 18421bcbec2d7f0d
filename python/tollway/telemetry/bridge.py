"""Brings the records of Python's ``logging`` (granian, asyncio, asyncpg, starlette…) into Tollway's log."""

import logging

from tollway.telemetry.logs import Level, Log


class LogBridge(logging.Handler):
    """A ``logging`` handler that passes records on as event ``library``: with ``logger``, ``message`` and ``error``."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on at its level; one whose arguments don't fit its text is passed on unformatted."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        fields: dict[str, object] = {"logger": record.name, "message": message}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = record.exc_info[1]
        if record.levelno >= logging.ERROR:
            self._log.error("library", **fields)
        elif record.levelno >= logging.WARNING:
            self._log.warning("library", **fields)
        elif record.levelno >= logging.INFO:
            self._log.info("library", **fields)
        else:
            self._log.debug("library", **fields)

    def close(self) -> None:
        """Let go of Python's ``logging`` and ``warnings`` again."""
        logging.getLogger().removeHandler(self)
        logging.captureWarnings(False)
        super().close()


def bridge(log: Log, level: Level = "info") -> LogBridge:
    """Make ``log`` the one destination of Python's ``logging`` and ``warnings`` in this process.

    Handlers set before are removed, from the root and from every named logger, so that no line goes out twice or
    in another format; so call it after the libraries have set theirs. ``close()`` of the result lets go.
    """
    handler = LogBridge(log)
    root = logging.getLogger()
    named = (logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger))
    for logger in (root, *named):
        for other in list(logger.handlers):
            logger.removeHandler(other)
        logger.propagate = True
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    return handler
