"""What comes of a request: an answer, its body and cookies within bounds, or why there is none.

The trace is the one hook that sees everything a cabinet is asked: metrics, debug logs and the
answers that ``inspect`` keeps hang on it.
"""

from __future__ import annotations

import gzip
import http.client
import math
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from io import BytesIO
from typing import Final, Literal, NamedTuple
from urllib.request import Request

from vats_exporter.cabinet import errors
from vats_exporter.cabinet.settings import Timeouts

# The names of the calls to a cabinet.
CALLS: Final = (
    *("sign_in", "home", "nocache", "permutation", "fragment"),
    *("list", "details", "selector", "sign_out"),
)
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SESSION_ENDED: Final = REDIRECTS | {401, 403}  # as to whoever is not signed in [assumed]
_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})")
_LOGIN_FORM: Final = re.compile(
    r"j_spring_security_check|j_password|type\s{0,4}=\s{0,4}[\"']?password", re.IGNORECASE
)
_LOGIN_PATH: Final = re.compile(r"/(?:login|signin|sign-in|auth)\b", re.IGNORECASE)
_LOOKED_AT: Final = 256 * 1024
_MOST_COOKIES: Final = 50
_LONGEST_COOKIE: Final = 4096

# What the libraries raise about an answer; some let what they stumble over through as it is.
FAULTS: Final = (http.client.HTTPException, OSError, ValueError)

# What helps, with OpenSSL's codes for a wrong certificate, and its reasons to end a handshake.
_CURES: Final[dict[str, tuple[int | str, ...]]] = {
    "check this machine's clock": (9, 10),  # not yet valid, expired
    "tls.ca_file names the authority to trust": (18, 19, 20, 21),
    "address must be a name in the certificate": (62, 64),
    # Keys of less than 2,048 bits: a server's, an authority's.
    "tls.security_level: 1 allows it": (
        *(66, 67, "DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"),
    ),
    # Signed with SHA-1 or MD5, or TLS before 1.2.
    "tls.security_level: 0 allows it": (
        *(68, "CA_MD_TOO_WEAK", "WRONG_SIGNATURE_TYPE"),
        *("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"),
    ),
    "tls.legacy_renegotiation: true allows it": ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED",),
    "tls.security_level: 1, or 0, may allow what it offers": ("SSLV3_ALERT_HANDSHAKE_FAILURE",),
    "the port speaks no TLS; for plain HTTP the address begins with http://": (
        *("WRONG_VERSION_NUMBER", "HTTP_REQUEST"),
    ),
}


@dataclass(frozen=True, slots=True, repr=False)  # all of it but the status may hold a cookie
class Answer:
    """An HTTP answer: the path it came from, after redirects; its body, unpacked; two headers."""

    status: int
    path: str
    body: bytes
    location: str = ""
    retry_after: str = ""

    @property
    def is_login_page(self) -> bool:
        """Whether it is the login page: by its form's fields, or by its address."""
        text = self.body[:_LOOKED_AT].decode("utf-8", "replace")
        return bool(_LOGIN_FORM.search(text) or _LOGIN_PATH.search(self.path))

    def check(self, where: str) -> None:
        """See that the answer is HTTP 200, and neither the login page nor the way to it."""
        if self.status in _SESSION_ENDED:
            status = f"HTTP {self.status}"
            seen = status if self.status >= 400 else f"a redirect ({status})"
            raise errors.SessionEndedError(f"{where}: {seen}")
        if self.status != 200:
            raise self.error(where)
        # A permutation's .cache.html is a page as well, and begins with GWT's own names.
        # Servers leave an empty line for each directive of a page.
        is_page = self.body[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        if is_page and self.is_login_page and b"$wnd" not in self.body:
            raise errors.SessionEndedError(f"{where}: the login page")

    def error(self, where: str) -> errors.NotGwtError:
        """Make the error for an HTTP status that is no answer, with when to ask again.

        ``Retry-After`` counts in seconds or names a date. [RFC 9110, 10.2.3]
        """
        seconds = 0.0
        if re.fullmatch("[0-9]{1,9}", self.retry_after):
            seconds = float(self.retry_after)
        else:
            with suppress(ValueError):
                date = parsedate_to_datetime(self.retry_after).timestamp()
                seconds = max(0.0, math.ceil(date - time.time()))
        later = f", to be tried again after {seconds:.0f} s" if seconds else ""
        return errors.NotGwtError(f"{where}: HTTP {self.status}{later}", retry_after=seconds)


class CallStarted(NamedTuple):
    """An HTTP call, one of :data:`CALLS`, is about to be made."""

    call: str


class CallEnded(NamedTuple):
    """An HTTP call was answered, whatever the answer; or there is no whole one, and why."""

    call: str
    outcome: Answer | errors.CabinetError
    duration: float


class SignIn(NamedTuple):
    """A sign-in ended: ``success``, or the result word of the error."""

    result: str
    duration: float


class Redeployed(NamedTuple):
    """The cabinet's permutation, by its strong name, changed."""

    old: str
    new: str


class PageRead(NamedTuple):
    """A page of the list was read: by the script's classes, or by the rows' block alone."""

    read_by: Literal["script", "block"]


TraceEvent = CallStarted | CallEnded | SignIn | Redeployed | PageRead
Trace = Callable[[TraceEvent], None]


class CookieRules(DefaultCookiePolicy):
    """Which cookies a jar keeps and sends back: those that browsers do, within bounds.

    Browsers look neither at ``Version`` nor at a ``Path`` that is no path. They keep some fifty
    cookies of 4 KB for a host, and attributes as long at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jar = CookieJar(self)
        # Why cookies are not kept, or do not go back to the host's root, by their names.
        self.lost: dict[str, str] = {}

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        """Whether the jar keeps a cookie."""
        cookie.version = 0
        if not cookie.path.startswith("/"):
            cookie.path = "/"
        kept = {(one.domain, one.path, one.name) for one in self.jar}
        length = len(cookie.name) + len(cookie.value or "")
        attributes = sum(len(str(value)) for value in vars(cookie).values()) - length
        keeps, why = False, ""
        if max(length, attributes) > _LONGEST_COOKIE:
            why = f"it is longer than {_LONGEST_COOKIE} characters"
        elif len(kept | {(cookie.domain, cookie.path, cookie.name)}) > _MOST_COOKIES:
            why = f"there are more than {_MOST_COOKIES}"
        elif not (keeps := super().set_ok(cookie, request)):
            why = "it is for another host (Domain)"
        elif cookie.secure and request.type != "https":
            why = "it is marked Secure, and the address begins with http://"
        elif cookie.path != "/":
            why = "it is for another path (Path)"
        if why and len(self.lost) < _MOST_COOKIES:
            self.lost[cookie.name[:100]] = why
        return keeps


def read_body(source: http.client.HTTPResponse, limit: int) -> bytes:
    """Read a body to its end, and unpack it; ``limit`` bounds its bytes as sent and as unpacked."""
    wrong = ""
    body = source.read(limit + 1)
    packed = source.headers.get("content-encoding", "").strip().lower()
    if len(body) <= limit and source.length:
        wrong = "the answer is cut off"
    elif body and packed in ("gzip", "x-gzip"):
        try:
            body = gzip.GzipFile(fileobj=BytesIO(body)).read(limit + 1)
        except EOFError:
            wrong = "the compressed answer is cut off"
        except (OSError, zlib.error):
            wrong = "the answer's compression is broken"
    elif body and packed not in ("", "identity"):
        wrong = "the answer is compressed in a way not asked for"
    if not wrong and len(body) > limit:
        wrong = f"the answer is longer than {limit} bytes"
    if wrong:
        raise errors.UndecodableError(wrong)
    return body


def translate(
    error: Exception, timeouts: Timeouts, *, connected: bool, proxy: str
) -> errors.CabinetError:
    """Say what an exception means, without anything it quotes, such as the request.

    ``proxy`` is the host and port of one that may not have let the call through.
    """
    kind: type[errors.CabinetError] = errors.UnreachableError
    words = "connection closed without a whole answer"
    match error:
        case TimeoutError():
            kind, words = errors.CabinetTimeoutError, f"no connection within {timeouts.connect:g} s"
            if connected:
                words = f"nothing received for {timeouts.read:g} s"
        case ssl.SSLError() if not connected:
            kind, words = errors.TlsError, tls_failure(error)
        case http.client.IncompleteRead():
            kind, words = errors.UndecodableError, "the answer is cut off"
        case http.client.RemoteDisconnected():
            pass
        case http.client.HTTPException():
            kind, words = errors.NotACabinetError, "the answer is not HTTP, or its head is too long"
        case socket.gaierror():
            words = "the name does not resolve"
        case OSError(strerror=str(system)):
            words = system.lower()
        case OSError(args=(str(text),)) if proxy and (refused := _TUNNEL.match(text)):
            return proxy_refusal(proxy, int(refused[1]))
    if proxy:
        kind, words = errors.ProxyError, f"proxy {proxy}: {words}"
    return kind(words)


def proxy_refusal(proxy: str, status: int) -> errors.ProxyError:
    """Make the error for a proxy that does not let a call through."""
    hint = "; proxy_url takes login and password: http://login:password@host" * (status == 407)
    return errors.ProxyError(f"proxy {proxy} refuses: HTTP {status}{hint}")


def tls_failure(error: ssl.SSLError) -> str:
    """Say why a handshake failed, and which setting helps where one does."""
    cause: int | str
    if isinstance(error, ssl.SSLCertVerificationError):
        what, cause = f"certificate not trusted: {error.verify_message}", error.verify_code
    else:
        cause = error.reason or "unknown reason"
        what = f"TLS failed: {cause.replace('_', ' ').lower()}"
    return "; ".join([what, *(cure for cure, causes in _CURES.items() if cause in causes)])
