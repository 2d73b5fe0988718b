"""HTTP requests and answers as values, and what can go wrong between the two.

Everything that can go wrong between a cabinet and its client is made of five things: another
answer, an answer that is changed, bytes that are none, an answer that comes late, and a connection
that breaks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from email.message import Message
    from threading import Event

HTML: Final = "text/html;charset=UTF-8"
SCRIPT: Final = "application/javascript"
JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; ``target`` is path and query as they came."""

    method: str
    target: str
    headers: Mapping[str, str] | Message
    body: bytes = b""
    is_secure: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    def query(self, name: str) -> str | None:
        """Return the first parameter of the query that has a name."""
        return _first(urlsplit(self.target).query, name)

    def form(self, name: str) -> str | None:
        """Return a field of the form, if the body is one."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return None
        return _first(self.body.decode("utf-8", "replace"), name)

    def cookie(self, name: str) -> str | None:
        """Return a cookie's value."""
        for pair in self.headers.get("Cookie", "").split(";"):
            found, _, value = pair.strip().partition("=")
            if found == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    ``Content-Length`` is added unless it is among the headers. A body in pieces is sent one by one
    without a length, and the end of the connection ends it.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request about to be answered.

    Attributes:
        call: ``sign_in``, ``login_page``, ``home``, ``enterprise``, ``nocache``, ``permutation``,
            ``list``, ``details``, ``selector`` or ``other``.
        number: which request of its call it is, from 1, since the cabinet was made.
        account: the account's name; empty for who has no session.
        page: of the list, from 0; ``None`` for other calls.
        trunk: the reference that ``details`` or ``selector`` is about; empty for other calls.
    """

    call: str
    number: int
    account: str
    page: int | None = None
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong. What is not given goes right.

    Attributes:
        instead: sent instead of an answer; the cabinet never learns of the request.
        change: makes another answer of the right one; the cabinet has done what it was asked.
        raw: sent as they are, piece by piece, instead of an answer's head and body; then the
            connection breaks.
        wait: the answer is held back until this is set, or the cabinet stops.
        cut: so many bytes of the body are sent, and then the connection breaks.
        drop: the connection breaks before anything is sent.
        reset: a connection that breaks is reset instead of closed.
    """

    instead: Answer | None = None
    change: Callable[[Answer], Answer] | None = None
    raw: Iterable[bytes] | None = None
    wait: Event | None = None
    cut: int | None = None
    drop: bool = False
    reset: bool = False


FaultHook: TypeAlias = "Callable[[Incoming], Fault | None]"
"""Sees each request before it is answered; called by several threads."""


def text(body: str, kind: str = "text/plain", *, status: int = 200) -> Answer:
    """Make an answer of a text, in UTF-8."""
    return Answer(status, (("Content-Type", kind),), body.encode())


def as_json(value: object, *, status: int = 200) -> Answer:
    """Make an answer of JSON for people and programs."""
    return text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", JSON, status=status)


def redirect(location: str, *headers: tuple[str, str]) -> Answer:
    """Make a redirect that turns any method into GET."""
    return Answer(302, (("Location", location), *headers))


def _first(encoded: str, name: str) -> str | None:
    values = parse_qs(encoded, keep_blank_values=True).get(name)
    return values[0] if values else None
