"""HTTP requests and answers as values, so that what answers needs no socket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

HTML: Final = "text/html;charset=UTF-8"
SCRIPT: Final = "application/javascript"
TEXT: Final = "text/plain"
JSON: Final = "application/json; charset=utf-8"

_FORM: Final = "application/x-www-form-urlencoded"


class Headers(Protocol):
    """Headers by name, whatever its case."""

    def get(self, name: str, failobj: str, /) -> str:
        """Return a header, or what is given where there is none."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request.

    Attributes:
        method: ``GET``, ``POST``, …
        target: path and query as they came.
        headers: by name, whatever its case.
        body: as it came.
        is_secure: whether it came over TLS.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    is_secure: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    def query(self, name: str) -> str | None:
        """Return a parameter of the query, the first one of several; ``None`` without any."""
        return _first(urlsplit(self.target).query, name)

    def form(self, name: str) -> str | None:
        """Return a field of the form; ``None`` without it, or where the body is no form."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != _FORM:
            return None
        return _first(self.body.decode("utf-8", "replace"), name)

    def cookie(self, name: str) -> str | None:
        """Return a cookie; ``None`` without it."""
        for pair in self.headers.get("Cookie", "").split(";"):
            found, _, value = pair.strip().partition("=")
            if found == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        status: of HTTP.
        headers: besides ``Content-Length``, which is added unless it is among them.
        body: bytes; or pieces of them, which are sent one by one without a length, and the end of
            the connection ends the body.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""


def text(body: str, kind: str = TEXT, *, status: int = 200) -> Answer:
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
