"""Loggers of the standard library that take fields: ``log.info("refreshed", trunks=300)``."""

from __future__ import annotations

import logging


class FieldLogger:
    """A logger whose keyword arguments are the fields of the line."""

    def __init__(self, logger: logging.Logger, **fields: object) -> None:
        self._logger = logger
        self._fields = fields

    def bind(self, **fields: object) -> FieldLogger:
        """Return a logger that gives each of its lines these fields."""
        return FieldLogger(self._logger, **self._fields, **fields)

    def debug(self, event: str, /, **fields: object) -> None:
        """Log what helps to find a fault."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Log what happens in normal operation."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log what a person should look at."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Log a failure of the exporter itself."""
        self._log(logging.ERROR, event, fields)

    def _log(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"fields": {**self._fields, **fields}}
            self._logger.log(level, event, extra=extra)


def get_logger(name: str) -> FieldLogger:
    """Return the logger of the module ``name``."""
    return FieldLogger(logging.getLogger(name))
