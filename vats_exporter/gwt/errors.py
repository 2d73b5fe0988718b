"""What can go wrong with GWT-RPC text: functions of this package raise no other error.

Drawn as a tree::

    GwtError
    ├── NotAnAnswerError  starts with neither //OK nor //EX: HTML, JSON, nothing
    ├── MalformedError    an answer or a script that cannot be read
    ├── LongError         not a 64-bit integer in GWT's base 64
    ├── ObjectsError      tokens that the script's classes do not read
    └── RequestError      a request that Google's server would refuse

Messages say what and where (in characters, counted from 0) and never quote what strings hold: those
may be passwords. Only a :class:`RequestError` may quote a token, as Google's server does.
"""

from __future__ import annotations


class GwtError(Exception):
    """A text that is not what the protocol allows."""


class NotAnAnswerError(GwtError):
    """An answer that starts with neither ``//OK`` nor ``//EX``."""


class MalformedError(GwtError):
    """An answer or a script that breaks the grammar, is too long, or of an unknown version."""


class LongError(GwtError):
    """A text that is not a signed 64-bit integer in GWT's base 64."""


class ObjectsError(GwtError):
    """Tokens that can't be read by the script's classes.

    ``where`` is the token, counted from the answer's end, from 0; ``missing`` the signature of a
    class that the script does not tell, if it does not tell all.
    """

    def __init__(self, message: str, *, where: int | None = None, missing: str = "") -> None:
        super().__init__(message)
        self.where = where
        self.missing = missing


class RequestError(GwtError):
    """A request that Google's server code refuses, with that exception's class and message."""

    def __init__(self, message: str, *, class_name: str) -> None:
        super().__init__(message)
        self.class_name = class_name
