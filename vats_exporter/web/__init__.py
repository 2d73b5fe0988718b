"""The exporter's HTTP interface.

:mod:`~vats_exporter.web.server` knows sockets, threads and limits, and no path;
:mod:`~vats_exporter.web.site` knows which path answers what, and no socket; between them,
:mod:`~vats_exporter.web.protection` knows who may ask. What they hand on is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"
MAX_HEAD: Final = 16 * 1024  # bytes of a request's line and headers


class Request(NamedTuple):
    """A request without its body, which no page reads; its headers' names in small letters."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    keeps_connection: bool = False

    def parameter(self, name: str) -> str | None:
        """Return the first value of a parameter of the query."""
        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return values[0] if values else None


class Response(NamedTuple):
    """An answer. Its chunks are sent one after the other and never joined."""

    status: int
    chunks: Sequence[bytes] = ()
    content_type: str = TEXT
    headers: Sequence[tuple[str, str]] = ()

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.chunks))


def say(status: int, text: str, *headers: tuple[str, str], content_type: str = TEXT) -> Response:
    """Answer with a text of whole lines, such as one sentence for people."""
    body = text.removesuffix("\n") + "\n"
    return Response(status, (body.encode("utf-8", "replace"),), content_type, headers)


class _Parser(BaseHTTPRequestHandler):
    """The standard library's parser of requests, without a connection."""

    protocol_version = "HTTP/1.1"
    refusal = 0

    def __init__(self, head: bytes) -> None:
        self.rfile = BytesIO(head)
        self.raw_requestline = self.rfile.readline()
        self.parsed = self.parse_request()

    def handle_expect_100(self) -> bool:
        """Ask for no body: none is ever read."""
        return True

    def send_error(self, code: int, *_: object) -> None:
        """Note why the request is refused; the library's answer would quote it."""
        self.refusal = code


@lru_cache(maxsize=64)
def read_request(head: bytes) -> Request | int:
    """Return a request, or the status that refuses it: 0 for an empty line, which gets no answer.

    A scraper sends the same request every time, and the library takes three quarters of the time
    of an answer to parse it, so the latest ones are remembered.
    """
    if len(head) > MAX_HEAD:
        return 431
    parser = _Parser(head.removeprefix(b"\r\n"))  # one is to be ignored [RFC 9112, 2.2]
    if not parser.parsed:
        return parser.refusal
    headers = {name.lower(): value for name, value in parser.headers.items()}
    if parser.headers.defects or (parser.request_version == "HTTP/1.1" and "host" not in headers):
        return 400
    try:
        target = urlsplit(parser.path)
    except ValueError:
        return 400
    # People and simple clients write names without percent signs.
    query = target.query.encode("latin-1").decode("utf-8", "replace")
    # A request's body is not read, so nothing may follow it.
    has_body = not headers.keys().isdisjoint(("content-length", "transfer-encoding"))
    keeps = not (parser.close_connection or has_body)
    return Request(parser.command, target.path or "/", query, headers, keeps)
