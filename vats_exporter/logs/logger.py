"""Loggers of the standard library that take fields: ``log.info("refreshed", trunks=300)``."""

from __future__ import annotations

import logging
from functools import partialmethod


class FieldLogger:
    """A logger whose keyword arguments are the fields of the line.

    ``debug`` is for what helps to find a fault, ``info`` for what happens in normal operation,
    ``warning`` for what a person should look at, ``error`` for a failure of the exporter itself.
    """

    def __init__(self, logger: logging.Logger, **fields: object) -> None:
        self._logger = logger
        self._fields = fields

    def bind(self, **fields: object) -> FieldLogger:
        """Return a logger that gives each of its lines these fields."""
        return FieldLogger(self._logger, **self._fields, **fields)

    def _log(self, level: int, event: str, /, **fields: object) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"fields": {**self._fields, **fields}})

    debug = partialmethod(_log, logging.DEBUG)
    info = partialmethod(_log, logging.INFO)
    warning = partialmethod(_log, logging.WARNING)
    error = partialmethod(_log, logging.ERROR)


def get_logger(name: str) -> FieldLogger:
    """Return the logger of the module ``name``."""
    return FieldLogger(logging.getLogger(name))
