"""HTTP to one cabinet: one connection, bounded in time and size, with redirects under control.

What ``http.client`` and ``ssl`` raise becomes one of :mod:`vats_exporter.cabinet.errors`, without
the original as its cause or context. The trace is the one hook that sees everything a cabinet is
asked: metrics, debug logs and the answers that ``inspect`` keeps hang on it.

* Redirects are followed by hand, to the same host only. From TLS to plain HTTP, as a server behind
  a TLS proxy sends it, is taken to mean TLS; from plain HTTP to TLS is followed for good.
* A call has three bounds: for connecting, between two pieces of the answer, and for the whole, all
  redirects included. The last one cuts the connection from outside, so that it also holds for an
  answer that drips. Only looking up a name takes as long as the system lets it.
"""

from __future__ import annotations

import gzip
import http.client
import math
import re
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Final, Literal, NamedTuple, cast
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

from vats_exporter import __version__
from vats_exporter.address import Proxy
from vats_exporter.cabinet import connecting, errors
from vats_exporter.cabinet.cookies import CookieRules
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.redaction import register_secrets

# The names of the calls to a cabinet.
CALLS: Final = (
    *("sign_in", "home", "nocache", "permutation", "fragment"),
    *("list", "details", "selector", "sign_out"),
)
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SESSION_ENDED: Final = REDIRECTS | {401, 403}  # as to whoever is not signed in [assumed]
_LOGIN_FORM: Final = re.compile(
    r"j_spring_security_check|j_password|type\s{0,4}=\s{0,4}[\"']?password", re.IGNORECASE
)
_LOGIN_PATH: Final = re.compile(r"/(?:login|signin|sign-in|auth)\b", re.IGNORECASE)
_LOOKED_AT: Final = 256 * 1024

_HEADERS: Final = {
    "User-Agent": f"vats-exporter/{__version__}",  # the cabinet's operator sees who calls
    "Accept": "*/*",
    "Accept-Encoding": "gzip",
}
_PORTS: Final = {"http": 80, "https": 443}
_MAX_REDIRECTS: Final = 10
_MOST_INTERIM: Final = 16  # answers such as 103 Early Hints before the final one

# Connections that the process opens at the same time: hundreds of accounts start at once.
_OPENING: Final = threading.BoundedSemaphore(32)


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


class Transport:
    """HTTP calls to one address (scheme, host and port), one at a time; ``trace`` sees each."""

    def __init__(self, base_url: str, settings: CabinetSettings, trace: Trace) -> None:
        self.base_url = base_url
        self.cookie_rules = CookieRules()
        self.cookies = self.cookie_rules.jar
        self._host = urlsplit(base_url).netloc
        self._settings = settings
        self._trace = trace
        self._proxy: Proxy | None = None
        self._connection: http.client.HTTPConnection | None = None
        # Of a connection that was made, which may let go of it before its answer is read; and
        # whether anything came over it, or its end.
        self._socket: socket.socket | None = None
        self._received = select.poll()
        self._cut: errors.CabinetError | None = None  # the call under way, from outside

    def send(
        self,
        call: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        within: float = math.inf,
        spent: float = 0.0,
    ) -> Answer:
        """Send a POST, or a GET without a body; a redirect is an answer as any other.

        It takes ``within`` so many seconds, or what is configured, some of which may be ``spent``.
        The call's name is for the trace and for errors.
        """
        self._cut = None
        self._trace(CallStarted(call))
        start, outcome = time.monotonic(), None
        seconds = min(within, self._settings.timeouts.call)
        late = errors.CabinetTimeoutError, f"no whole answer within {seconds:g} s"
        timer = threading.Timer(max(0.0, seconds - spent), self._end, late)
        timer.daemon = True
        timer.start()
        try:
            while outcome is None:
                # A server that closes a kept connection has, as a rule, read nothing: then once
                # more, as browsers do. Only the selector's call changes anything, and to set it
                # twice is to set it once.
                outcome = self._try(path, body, headers or {})
        finally:
            timer.cancel()
            timer.join()
        outcome = self._cut or outcome  # a call that was cut may look like one that was answered
        if isinstance(outcome, errors.CabinetError):
            outcome.args = (f"{call}: {self._host}: {outcome}",)
        self._trace(CallEnded(call, outcome, time.monotonic() - start))
        if isinstance(outcome, errors.CabinetError):
            raise outcome
        return outcome

    def follow(
        self,
        call: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send, and go where redirects lead, all in the time of one call."""
        start = time.monotonic()
        for redirects in range(1 + _MAX_REDIRECTS):
            answer = self.send(call, path, body, headers, spent=time.monotonic() - start)
            if answer.status not in REDIRECTS or not answer.location:
                return answer
            path = self._target(call, path, answer.location)
            if answer.status not in (307, 308):
                body, headers = None, None
            elif body is not None:
                if redirects:
                    raise self._astray(call, "the form twice")
                self._drop()  # as at first, over a connection of its own: once, whatever breaks
        raise self._astray(call, f"in a circle, or more than {_MAX_REDIRECTS} times")

    def start_afresh(self) -> None:
        """Drop session and connection: a password is not to go twice, as over a kept one it may."""
        self.cookies.clear()
        self.cookie_rules.lost.clear()
        self._drop()

    def close(self) -> None:
        """End a call under way; its own thread closes the connection then."""
        self._end(errors.UnreachableError, "the connection was closed")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._socket = None

    @property
    def _reached(self) -> socket.socket | None:
        """The socket of the connection, also of one that is being opened."""
        return self._socket or (self._connection.sock if self._connection else None)

    def _end(self, why: type[errors.CabinetError], words: str) -> None:
        """Make reads and writes on the connection end; where it is being opened, see `_open`."""
        self._cut = why(words)
        if (cut := self._reached) is not None:
            with suppress(OSError):
                # Below TLS, whose own shutdown would change the object another thread uses.
                socket.socket.shutdown(cut, socket.SHUT_RDWR)

    def _astray(self, call: str, how: str) -> errors.NotACabinetError:
        return errors.NotACabinetError(f"{call}: {self._host} redirects {how}")

    def _target(self, call: str, path: str, location: str) -> str:
        """The path that a redirect leads to; refuse any other host."""
        try:
            target = urlsplit(urljoin(self.base_url + path, location))
            host, port = target.hostname or "", target.port or _PORTS[target.scheme]
        except (KeyError, ValueError):
            raise self._astray(call, "to what is no http:// or https:// address") from None
        base = urlsplit(self.base_url)
        same = (target.scheme, port) == (base.scheme, base.port or _PORTS[base.scheme])
        behind_proxy = (base.scheme, target.scheme, port) == ("https", "http", 80)
        upgraded = (base.scheme, target.scheme) == ("http", "https")
        if host != base.hostname or not (same or behind_proxy or upgraded):
            other = f"{target.scheme}://{host[:100]}"
            raise self._astray(call, f"to another host ({other}); not followed")
        if upgraded:
            # Whoever leads to TLS once is asked over TLS from then on.
            self.base_url = f"https://{target.netloc.rpartition('@')[2]}"
            self._drop()
        return (target.path or "/") + (f"?{target.query}" if target.query else "")

    def _try(
        self, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer | errors.CabinetError | None:
        """Send a request once; ``None`` is for a kept connection that ended without any answer.

        Errors are returned: raised here, they would have a library's exception as their context.
        """
        settings, head = self._settings, None
        request = Request(self.base_url + path, body)  # noqa: S310 - it is not to be opened
        request.headers = {**_HEADERS, **headers}  # the constructor would change their case
        self.cookies.add_cookie_header(request)
        target, headers = request.selector, dict(request.header_items())
        kept = self._connection
        if kept and (not kept.sock or self._received.poll(0)):
            kept = None
        try:
            connection = kept or self._open()
            if self._proxy and request.type == "http":
                target, headers = request.full_url, {**headers, **self._proxy.headers}
            connection.sock.settimeout(settings.timeouts.read)
            connection.request(request.get_method(), target, body, headers)
            head = connection.getresponse()
            return self._receive(head, request)
        except errors.CabinetError as error:
            fault = error.with_traceback(None)
        except connecting.FAULTS as error:
            connected = self._socket is not None
            proxy = self._proxy.host if self._proxy and not self._reached else ""
            fault = connecting.translate(error, settings.timeouts, connected=connected, proxy=proxy)
        self._drop()
        ended = head is None and isinstance(fault, errors.UnreachableError) and not self._cut
        return None if kept and ended else fault

    def _receive(self, head: http.client.HTTPResponse, request: Request) -> Answer:
        """Read the answer whose head has come; keep its cookies, and have them hidden."""
        settings = self._settings
        self.cookies.extract_cookies(head, request)
        if "set-cookie" in head.headers:
            # Under this name they take the place of the session's before, also after a reload.
            owner = f"{settings.login} at {settings.address}"
            register_secrets(*(one.value or "" for one in self.cookies), owner=owner)
        if head.status == 407 and self._proxy:
            raise connecting.proxy_refusal(self._proxy.host, head.status)
        body = read_body(head, settings.max_response)
        # Java servers write the session's cookie into paths too, after a semicolon.
        path = re.sub(r";[^/]*", "", request.selector.partition("?")[0])
        location, later = (head.headers.get(name, "") for name in ("location", "retry-after"))
        return Answer(head.status, path, body, location.strip(), later)

    def _open(self) -> http.client.HTTPConnection:
        """Open a connection to the cabinet, through the proxy if there is one."""
        self._drop()
        self._proxy = connecting.choose_proxy(self._settings, self.base_url)
        parts, limit = urlsplit(self.base_url), self._settings.timeouts.connect
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        near = urlsplit(self._proxy.url) if self._proxy else parts
        at = near.hostname or "", near.port or port
        connection = http.client.HTTPConnection(*at, timeout=limit)
        if parts.scheme == "https":
            context = connecting.tls_context(self._settings.tls)
            connection = http.client.HTTPSConnection(*at, timeout=limit, context=context)
            if self._proxy:
                connection.set_tunnel(host, port, self._proxy.headers)
        connection.response_class = _FinalResponse
        connection.auto_open = 0  # what was closed from outside stays closed
        if not _OPENING.acquire(timeout=limit):
            raise TimeoutError("too many are being opened")
        try:
            self._connection = connection
            connection.connect()
        finally:
            _OPENING.release()
        self._socket, self._received = connection.sock, select.poll()
        self._received.register(connection.sock, select.POLLIN)
        if self._cut:  # before there was a socket to cut
            raise ConnectionAbortedError
        return connection


class _FinalResponse(http.client.HTTPResponse):
    """An answer after the interim ones before it, of which ``http.client`` passes over 100 only."""

    def begin(self) -> None:
        for _ in range(_MOST_INTERIM):
            super().begin()
            if not 100 < self.status < 200 or self.status == 101:
                return
            self.headers = self.msg = cast("http.client.HTTPMessage", None)
        raise http.client.HTTPException("too many interim answers")

    def _safe_read(self, amt: int) -> bytes:
        # http.client's own reads up to the end of all, whatever that takes, for a chunk of -1 byte.
        if amt < 0:
            raise http.client.HTTPException("a chunk of a negative length")
        return cast("bytes", super()._safe_read(amt))  # type: ignore[misc]  # not in typeshed


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
