"""The log on standard error: lines of logfmt or JSON, from the project and from its libraries."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache, partialmethod
from typing import Final, Literal, TextIO

from vats_exporter.redaction import Redaction, describe_unexpected

Format = Literal["logfmt", "json"]
Level = Literal["debug", "info", "warn", "error"]

QUEUED_LINES: Final = 4096  # that wait to be read; further ones are dropped and counted
_MOST_WARNINGS: Final = 100  # a minute that clients provoke
_NAMES: Final = {"WARNING": "warn", "CRITICAL": "error"}


class FieldLogger:
    """A logger whose keyword arguments are the fields of the line.

    ``info`` is for normal operation, ``warning`` for what a person should look at, ``error`` for
    failures of the exporter itself.
    """

    def __init__(self, logger: logging.Logger, **fields: object) -> None:
        self._logger, self._fields = logger, fields

    def bind(self, **fields: object) -> FieldLogger:
        """Return a logger that gives each of its lines these fields."""
        return FieldLogger(self._logger, **self._fields, **fields)

    def _log(self, level: int, event: str, /, **fields: object) -> None:
        self._logger.log(level, event, extra={"fields": {**self._fields, **fields}})

    def warn_seldom(self, event: str, /, **fields: object) -> None:
        """Log what clients provoke: the same once a minute, and a hundred in all."""
        warned, warning = _warned(int(time.monotonic() // 60)), (event, *fields.values())
        if warning not in warned and len(warned) < _MOST_WARNINGS:
            warned.add(warning)
            self.warning(event, **fields)

    debug = partialmethod(_log, logging.DEBUG)
    info = partialmethod(_log, logging.INFO)
    warning = partialmethod(_log, logging.WARNING)
    error = partialmethod(_log, logging.ERROR)


@lru_cache(maxsize=1)
def _warned(_minute: int) -> set[tuple[object, ...]]:
    """Return the warnings of a minute, to be added to."""
    return set()


def get_logger(name: str) -> FieldLogger:
    """Return the logger of the module ``name``."""
    return FieldLogger(logging.getLogger(name))


_log = get_logger(__name__)


def configure(
    *,
    form: Format = "logfmt",
    level: Level = "info",
    stream: TextIO | None = None,
    queued: bool = False,
) -> None:
    """Set up the log of the process; may be called again.

    Lines go to standard error, as it is then, unless ``stream`` is given; if ``queued``, from a
    thread, so that a reader that stops reading stops nothing else.
    """
    least: int = getattr(logging, level.upper())
    handler = _Handler(form, stream, queued=queued)
    handler.addFilter(Redaction(with_traceback=level == "debug"))
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _Handler)] + [handler]
    root.setLevel(max(logging.WARNING, least))
    logging.getLogger("vats_exporter").setLevel(least)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread_exception
    sys.unraisablehook = _log_unraisable


def _log_thread_exception(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and ended.exc_type is not SystemExit:
        name = ended.thread.name if ended.thread is not None else ""
        _log.error("thread ended", thread=name, error=describe_unexpected(ended.exc_value))


def _log_unraisable(ignored: sys.UnraisableHookArgs) -> None:
    if ignored.exc_value is not None:
        _log.error("exception ignored", error=describe_unexpected(ignored.exc_value))


class _Writer(threading.Thread):
    """Writes queued lines to a file descriptor; a write may block for ever.

    Not through a stream: a thread that holds a stream's lock aborts the interpreter's exit.
    """

    def __init__(self) -> None:
        super().__init__(name="log", daemon=True)
        self.dropped = 0  # because the log was not read
        self._lines: queue.Queue[tuple[int, bytes]] = queue.Queue(QUEUED_LINES)

    def put(self, descriptor: int, line: bytes) -> None:
        if not self.ident:
            self.start()
        try:
            self._lines.put_nowait((descriptor, line))
        except queue.Full:
            self.dropped += 1

    def run(self) -> None:
        while True:
            descriptor, line = self._lines.get()
            with suppress(OSError):
                while line:
                    line = line[os.write(descriptor, line) :]
            self._lines.task_done()

    def flush(self, timeout: float) -> None:
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, timeout)


writer: Final = _Writer()


class _Handler(logging.Handler):
    def __init__(self, form: Format, stream: TextIO | None, *, queued: bool) -> None:
        super().__init__()
        self._render = _json if form == "json" else _logfmt
        self._stream, self._queued = stream, queued

    def emit(self, record: logging.LogRecord) -> None:
        # Under the handler's lock, and in one call: lines of several threads do not mix.
        with suppress(OSError, ValueError, AttributeError):  # standard error is closed or missing
            stream = sys.stderr if self._stream is None else self._stream
            line = self.format(record) + "\n"
            if self._queued:
                writer.put(stream.fileno(), line.encode())
            else:
                stream.write(line)
                stream.flush()

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, object] = {
            "ts": time.isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": _NAMES.get(record.levelname, record.levelname.lower()),
            "msg": record.msg,
        }
        for name, value in getattr(record, "fields", {}).items():
            # A field called like one of the line's own must not take its place.
            line[f"{name}_" if name in line else name] = value
        return self._render(line)

    def close(self) -> None:  # at exit
        writer.flush(timeout=1.0)
        super().close()


# What JSON leaves as it is, but a terminal or a reader of lines may act upon.
_ESCAPED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _logfmt(line: Mapping[str, object]) -> str:
    names = (re.sub(r"[^-\w./]", "_", name) or "_" for name in line)
    return " ".join(map("=".join, zip(names, map(_logfmt_value, line.values()), strict=True)))


def _logfmt_value(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else _json(value)
    bare = re.fullmatch(r"[^\s\"=\\]+", text) and not _ESCAPED.search(text)
    return text if bare else _json(text)
