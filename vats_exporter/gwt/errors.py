"""What can go wrong with GWT-RPC text, as a tree.

Whatever bytes come in, the functions of :mod:`vats_exporter.gwt` give a value or raise one of
these, never another error::

    GwtError
    ├── NotAnAnswerError         starts with neither //OK nor //EX: HTML, JSON, nothing
    ├── MalformedError           starts right, but cannot be read
    ├── TooLargeError            longer than the caller's limit; nothing of it was read
    ├── UnsupportedVersionError  a version of the format other than 5 to 8
    ├── LongError                not a 64-bit integer in GWT's base 64
    ├── ObjectsError             tokens that the script's classes do not read
    └── RequestError             a request that Google's server would refuse

Messages say what and where and never quote what strings hold: those may be passwords. A
:class:`RequestError` alone may quote a token, as the server whose words it repeats does.
"""

from __future__ import annotations


class GwtError(Exception):
    """A text that is not what the protocol allows.

    Attributes:
        where: offset at which it was seen, counted from 0, in characters of a text and in bytes
            where bytes are not UTF-8; ``None`` where no single place is at fault.
    """

    def __init__(self, message: str, *, where: int | None = None) -> None:
        super().__init__(message)
        self.where = where


class NotAnAnswerError(GwtError):
    """An answer that starts with neither ``//OK`` nor ``//EX``."""


class MalformedError(GwtError):
    """An answer or a script that starts as GWT's do and then breaks the grammar."""


class TooLargeError(GwtError):
    """An answer longer than the limit that the caller set."""


class UnsupportedVersionError(GwtError):
    """An answer of a version of the format that this package does not know."""


class LongError(GwtError):
    """A text that is not a signed 64-bit integer in GWT's base 64."""


class ObjectsError(GwtError):
    """Tokens that can't be read by the script's classes.

    Attributes:
        where: the token, counted from the answer's end, where reading starts, from 0.
        missing: the signature of a class that the script does not tell; ``""`` where it tells all,
            and they do not fit.
    """

    def __init__(self, message: str, *, where: int | None = None, missing: str = "") -> None:
        super().__init__(message, where=where)
        self.missing = missing


class RequestError(GwtError):
    """A request that Google's server code refuses, with that exception's message.

    Attributes:
        class_name: the Java class of the exception that it throws; in most cases
            ``IncompatibleRemoteServiceException``, which reaches the client as ``//EX``.
    """

    def __init__(self, message: str, *, class_name: str, where: int | None = None) -> None:
        super().__init__(message, where=where)
        self.class_name = class_name
        self.message = message
