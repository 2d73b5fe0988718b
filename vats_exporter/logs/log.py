"""The log: lines of logfmt or JSON on standard error, from the project and from its libraries.

Every line goes the same way: level filter, time, exceptions in one line, secrets replaced, written.
The way never fails, whatever it is given: a log that raises takes down what it should describe.

Modules log with ``structlog.get_logger()``: an event in two or three words and fields beside it.
At level info that is one line a refresh; each call to a cabinet is debug.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal, TextIO

import structlog

from vats_exporter.logs.bugs import describe_bug
from vats_exporter.logs.redaction import MASK, is_telling, redact, register_secret

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from types import TracebackType

    from structlog.typing import EventDict, ExcInfo, WrappedLogger

__all__ = ["Format", "Level", "configure", "redact", "register_secret"]

Format = Literal["logfmt", "json"]
Level = Literal["debug", "info", "warn", "error"]

_LEVELS: Final[Mapping[Level, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES: Final = {"warning": "warn", "exception": "error", "critical": "error"}

# Libraries tell at debug level what they send, and at warning level headers that they cannot parse.
_LIBRARIES: Final = logging.WARNING
_CARELESS_LIBRARIES: Final = {"urllib3": logging.ERROR, "requests": logging.ERROR}

_DEEPEST: Final = 5
_LONGEST: Final = 10_000


def configure(
    *, form: Format = "logfmt", level: Level = "info", stream: TextIO | None = None
) -> None:
    """Set up the log of the whole process; may be called again, after a reload.

    Args:
        form: how a line is written.
        level: the least serious level that is written.
        stream: where to; standard error, as it is when a line is written, if not given.
    """
    write = _Writer(form, stream, with_traceback=level == "debug")
    structlog.configure(
        processors=[write],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: None,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _FromLibraries)]:
        root.removeHandler(handler)
    root.addHandler(_FromLibraries(write))
    root.setLevel(max(_LIBRARIES, _LEVELS[level]))
    for name, least in _CARELESS_LIBRARIES.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(capture=True)
    threading.excepthook = _tell_of_thread
    sys.unraisablehook = _tell_of_ignored


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Log what ended a thread, in place of a traceback whose messages nobody has redacted."""
    if ended.exc_value is not None and ended.exc_type is not SystemExit:
        name = ended.thread.name if ended.thread is not None else ""
        error = describe_bug(ended.exc_value)
        structlog.get_logger().error("thread ended", thread=name, error=error)


def _tell_of_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Log what was raised where nobody can catch it, as when an object dies; likewise."""
    error = "no exception" if ignored.exc_value is None else describe_bug(ignored.exc_value)
    structlog.get_logger().error("exception ignored", error=error)


class _Writer:
    """The end of the pipeline: from an event's fields to a line."""

    def __init__(self, form: Format, stream: TextIO | None, *, with_traceback: bool) -> None:
        self._render: Callable[[Mapping[str, object]], str] = _json if form == "json" else _logfmt
        self._stream = stream
        self._with_traceback = with_traceback

    def __call__(
        self, _logger: WrappedLogger, method: str, fields: MutableMapping[str, object]
    ) -> EventDict:
        """Write the event, as the only processor of structlog's, and end it there."""
        self.write(_NAMES.get(method, method), dict(fields))
        raise structlog.DropEvent

    def write(self, level: str, fields: dict[str, object]) -> None:
        """Write one line, whatever the fields are."""
        try:
            line = self._render(self._line(level, fields))
        except Exception as error:  # noqa: BLE001  # what is logged may break in any way when read
            line = self._render(
                self._line("error", {"event": "cannot log", "error": type(error).__name__})
            )
        try:
            stream = sys.stderr if self._stream is None else self._stream
            # One call, so that lines of several threads do not mix.
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError, AttributeError):
            # Standard error is closed, full or not there: nobody is left to be told.
            return

    def _line(self, level: str, fields: dict[str, object]) -> dict[str, object]:
        exception = _exception(fields.pop("exc_info", None))
        if exception is not None:
            fields["error"] = f"{type(exception).__name__}: {_text(exception)}"
            if self._with_traceback:
                fields["traceback"] = _traceback(exception)
        line: dict[str, object] = {
            "ts": datetime.now(timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": level,
            "msg": _clean("msg", fields.pop("event", "")),
        }
        for name, value in fields.items():
            # A field called like one of the line's own must not take its place.
            key = f"{name}_" if name in line else redact(_text(name))
            line[key] = _clean(name, value)
        return line


class _FromLibraries(logging.Handler):
    """Takes what libraries log the standard way, and Python's warnings, into the same pipeline."""

    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  # arguments that do not fit, and whatever their repr raises
            message = _text(record.msg)
        level = record.levelname.lower()
        fields: dict[str, object] = {
            "event": message,
            "logger": record.name,
            "exc_info": record.exc_info,
        }
        self._writer.write(_NAMES.get(level, level), fields)


def _exception(info: ExcInfo | BaseException | object) -> BaseException | None:
    """The exception that ``exc_info`` means: itself, one of a triple, or the one at hand."""
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple) and len(info) == 3:
        return info[1] if isinstance(info[1], BaseException) else None
    return sys.exc_info()[1] if info else None


def _traceback(exception: BaseException) -> str:
    """Where it came from, without what the variables held."""
    lines: list[str] = []
    seen: set[int] = set()
    one: BaseException | None = exception
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        frames: TracebackType | None = one.__traceback__
        places = [
            f"{frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(frames)
        ]
        lines.append(f"{type(one).__name__}: {_text(one)} at {' > '.join(places) or 'no frame'}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return " caused by ".join(lines)


def _text(value: object) -> str:
    """A text for anything, even where its own conversion fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a __str__ may raise anything, and a log line must not
        return f"<unprintable {type(value).__name__}>"


def _clean(name: object, value: object, depth: int = 0) -> object:
    """A value that can be written as JSON and holds no secret."""
    if is_telling(_text(name)) or depth > _DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {redact(_text(key)): _clean(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean("", item, depth + 1) for item in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = redact(_text(value))
    if _is_plain(value):
        # A secret of digits must be found as all of a number, not as a part of one.
        return MASK if text == MASK else value
    # Cut after redaction: half a secret would not be found.
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _is_plain(value: object) -> bool:
    """Whether JSON has a notation of its own for it."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


_ESCAPED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)
_BARE: Final = re.compile(r"[^\s\"=\\]+")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _json(line: Mapping[str, object]) -> str:
    # What json leaves in a text as it is, but a terminal or a reader of lines may act upon.
    return _ESCAPED.sub(_escape, json.dumps(line, ensure_ascii=False, default=_text))


def _logfmt(line: Mapping[str, object]) -> str:
    return " ".join(f"{_logfmt_key(name)}={_logfmt_value(value)}" for name, value in line.items())


def _logfmt_key(name: str) -> str:
    return re.sub(r"[^\w.\-/]", "_", name) or "_"


def _logfmt_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_text)
    if _BARE.fullmatch(text) and not _ESCAPED.search(text):
        return text
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))
