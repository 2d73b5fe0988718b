"""HTTP/1.1 requests and answers as values, and their bytes. Pure functions; no I/O.

Only what this exporter needs of RFC 9112, and that strictly: a request with a body is understood,
but its body is never read, so the connection ends after it, and with it any way to hide a second
request in the first. The standard library's parser builds an e-mail message of the headers, which
takes longer than everything else a scrape of cached bytes does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's line and headers past which it is refused."""

MAX_HEADERS: Final = 100

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION: Final = re.compile(r"HTTP/(\d)\.(\d)")
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"


class BadRequestError(Exception):
    """A request that is not answered by any page.

    Args:
        status: the answer's.
        sentence: what the client did wrong.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head.

    Attributes:
        method: in capitals.
        path: without the query; not decoded, as no path of the exporter needs it.
        query: what follows the question mark, with its percent signs; what is written without them
            is read as UTF-8.
        headers: by lower-case name; several of one name are joined by commas.
        keep_alive: whether another request may follow on the connection.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bool = True

    def parameter(self, name: str) -> str | None:
        """Return the first value of a parameter of the query."""
        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status.
        chunks: the body, to be sent one after the other.
        content_type: of the body.
        headers: further ones.
        length: bytes of the body.
    """

    status: int
    chunks: Sequence[bytes] = ()
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    length: int = -1

    def __post_init__(self) -> None:
        """Count the body's bytes, where whoever made it has not."""
        if self.length < 0:
            object.__setattr__(self, "length", sum(map(len, self.chunks)))

    def head(self, date: str, *, close: bool, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
        """Return the bytes before the body.

        Args:
            date: of the answer, as HTTP writes it.
            close: whether the connection ends after it.
            extra: headers that stand in place of the answer's own of the same name.
        """
        headers = self.headers
        if extra:
            names = {name.lower() for name, _ in extra}
            headers = (*(one for one in headers if one[0].lower() not in names), *extra)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if close:
            lines += "Connection: close\r\n"
        return (
            f"HTTP/1.1 {self.status} {_REASONS.get(self.status, '')}\r\n"
            f"Date: {date}\r\n"
            f"Content-Type: {self.content_type}\r\n"
            f"Content-Length: {self.length}\r\n"
            f"{lines}\r\n"
        ).encode("latin-1")


def say(status: int, sentence: str, *headers: tuple[str, str]) -> Response:
    """Answer with one sentence.

    Args:
        status: HTTP status.
        sentence: for people.
        headers: further ones.
    """
    return Response(status, (f"{sentence}\n".encode(),), headers=headers)


@lru_cache(maxsize=64)
def parse_request(head: bytes) -> Request:
    """Read a request's head.

    A scraper sends the same head every time, so it is read once.

    Args:
        head: the request line and the headers, without the empty line after them.

    Raises:
        BadRequestError: if it is no HTTP/1 request, or an ambiguous one.
    """
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]):
        raise BadRequestError(400, "The request line is not one of HTTP.")
    method, target, protocol = words
    version = _VERSION.fullmatch(protocol)
    if version is None:
        raise BadRequestError(400, "The request line is not one of HTTP.")
    if version[1] != "1":
        raise BadRequestError(505, "Only HTTP/1 is spoken here.")
    if len(rest) > MAX_HEADERS:
        raise BadRequestError(431, f"The request has more than {MAX_HEADERS} headers.")
    headers = _parse_headers(rest)
    modern = version[2] != "0"
    if modern and "host" not in headers:
        raise BadRequestError(400, "The header Host is missing.")
    path, _, query = _origin_form(target).partition("?")
    if not query.isascii():  # as people and simple clients write names, and browsers do not
        query = query.encode("latin-1").decode("utf-8", "replace")
    connection = {option.strip() for option in headers.get("connection", "").lower().split(",")}
    lasting = "close" not in connection if modern else "keep-alive" in connection
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return Request(method, path, query, headers, lasting and not has_body)


def _parse_headers(lines: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # Also refuses a folded line, a space before the colon, and bare line ends.
        if not colon or not _TOKEN.fullmatch(name) or "\n" in value or "\r" in value:
            raise BadRequestError(400, "A header line is not one of HTTP.")
        key = name.lower()
        text = value.strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _origin_form(target: str) -> str:
    """Return the path and the query of a request's target, which a proxy may send as a URL."""
    if target.startswith("/"):
        return target.partition("#")[0]
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in {"http", "https"}:
        _, slash, path = rest.partition("/")
        return f"{slash}{path}" or "/"
    if target == "*":
        return target
    raise BadRequestError(400, "The request's target is not a path.")
