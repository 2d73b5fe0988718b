"""Answers of a cabinet: statuses, bodies and cookies, each within bounds."""

from __future__ import annotations

import math
import re
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie, CookieJar, CookiePolicy
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import NotGwtError, SessionEndedError, UndecodableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse
    from urllib.request import Request

Observe = Callable[[str, "Answer"], None]
"""Is shown every answer, body and all, by its call's name; for a person who looks at them."""

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SESSION_ENDED: Final = REDIRECTS | {401, 403}
"""Statuses with which a call is sent to the login page. [assumed]"""

_LOGIN_FORM: Final = re.compile(
    r"j_spring_security_check|j_password|type\s{0,4}=\s{0,4}[\"']?password", re.IGNORECASE
)
_LOGIN_PATH: Final = re.compile(r"/(?:login|signin|sign-in|auth)\b", re.IGNORECASE)
_LOOKED_AT: Final = 256 * 1024
_MOST_COOKIES: Final = 50
_LONGEST_COOKIE: Final = 4096
_PIECE: Final = 64 * 1024
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: the path it came from, after redirects; its body, unpacked.

    The headers, whose names are in small letters, may hold a cookie: they are never logged.
    """

    status: int
    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def is_login_page(self) -> bool:
        """Whether it is the login page: by its form's fields, or by its address."""
        text = self.body[:_LOOKED_AT].decode("utf-8", "replace")
        return bool(_LOGIN_FORM.search(text) or _LOGIN_PATH.search(self.path))

    def check(self, call: str, where: str = "") -> None:
        """See that a call, its redirects not followed, was answered: HTTP 200, and no login page.

        Raises:
            SessionEndedError: it was sent to the login page, or forbidden. [assumed]
            NotGwtError: any other status.
        """
        if self.status in _SESSION_ENDED:
            status = f"HTTP {self.status}"
            seen = status if self.status >= 400 else f"a redirect ({status})"
            raise SessionEndedError(f"{call}: {seen}")
        if self.status != 200:
            raise self.error(where or call)
        # A permutation's .cache.html is a page as well, and begins with GWT's own names.
        is_page = self.body[:99].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
        if is_page and self.is_login_page and b"$wnd" not in self.body:
            raise SessionEndedError(f"{call}: the login page")

    def error(self, where: str) -> NotGwtError:
        """Make the error for an HTTP status that is no answer, with when to ask again.

        ``Retry-After`` counts in seconds or names a date. [RFC 9110, 10.2.3]
        """
        header, seconds = self.headers.get("retry-after", ""), 0.0
        if re.fullmatch("[0-9]{1,9}", header):
            seconds = float(header)
        else:
            with suppress(ValueError):
                date = parsedate_to_datetime(header).timestamp()
                seconds = max(0.0, math.ceil(date - time.time()))
        later = f", to be tried again after {seconds:.0f} s" if seconds else ""
        error = NotGwtError(f"{where}: HTTP {self.status}{later}")
        error.retry_after = seconds
        return error


class CookieRules(CookiePolicy):
    """Which cookies a jar keeps, and which go back.

    One host is asked and no other, so all of them go back to it: also those that a browser loses
    for their ``Version``, ``Domain`` or ``Path``, or for ``Secure`` over plain HTTP. A sign-in
    without its cookie ends at the login page, as if the password were wrong. Browsers keep some
    fifty cookies of 4 KB for a host, and attributes as long at most, which bounds what is held.
    """

    netscape, rfc2965, hide_cookie2 = True, False, False

    def __init__(self) -> None:
        self.jar = CookieJar(self)

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        """Whether the jar keeps a cookie."""
        cookie.version = 0
        if not request.selector.startswith(cookie.path):
            cookie.path = "/"
        kept = {(one.domain, one.path, one.name) for one in self.jar}
        length = len(cookie.name) + len(cookie.value or "")
        attributes = sum(len(str(value)) for value in vars(cookie).values()) - length
        return (
            max(length, attributes) <= _LONGEST_COOKIE
            and len(kept | {(cookie.domain, cookie.path, cookie.name)}) <= _MOST_COOKIES
        )

    def return_ok(self, cookie: Cookie, request: Request) -> bool:
        """Whether a cookie goes with a request."""
        return request.selector.startswith(cookie.path) and not cookie.is_expired()


def read_body(source: HTTPResponse, *, limit: float, where: str) -> bytes:
    """Read a body to its end, and unpack it, in bounded pieces.

    A small body can unpack to more than there is memory, and an endless one to nothing at all: so
    ``limit`` bounds its bytes both as sent and as unpacked.

    Raises:
        UndecodableError: it is longer, cut off, or not compressed as its head says.
    """
    packed = source.headers.get("content-encoding", "").strip().lower()
    body, sent, unpacker = bytearray(), 0, None
    while piece := source.read(_PIECE):
        if packed not in ("", "identity", "gzip", "x-gzip"):
            raise UndecodableError(f"{where}: the answer is compressed in a way not asked for")
        sent += len(piece)
        if "gzip" not in packed:
            body += piece
            piece = b""
        while piece and len(body) <= limit:  # one or more members of gzip
            unpacker = unpacker or zlib.decompressobj(_GZIP_FORMAT)
            try:
                body += unpacker.decompress(piece, _PIECE)
            except zlib.error:
                raise UndecodableError(f"{where}: the answer's compression is broken") from None
            piece = unpacker.unconsumed_tail
            if unpacker.eof:
                piece, unpacker = unpacker.unused_data, None
        if max(sent, len(body)) > limit:
            raise UndecodableError(f"{where}: the answer is longer than {limit} bytes")
    if source.length:
        raise UndecodableError(f"{where}: the answer is cut off")
    if unpacker is not None:
        raise UndecodableError(f"{where}: the compressed answer is cut off")
    return bytes(body)
