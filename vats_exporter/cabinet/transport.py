"""HTTP to one cabinet: one connection, bounded in time and size, with redirects under control.

What ``http.client`` and ``ssl`` raise becomes one of :mod:`vats_exporter.cabinet.errors`, without
the original as its cause or context.

* Redirects are followed by hand, to the same host only. From TLS to plain HTTP, as a server behind
  a TLS proxy sends it, is taken to mean TLS; from plain HTTP to TLS is followed for good.
* A call has three bounds: for connecting, between two pieces of the answer, and for the whole, all
  redirects included. The last one cuts the connection from outside, so that it also holds for an
  answer that drips. Only looking up a name takes as long as the system lets it.
"""

from __future__ import annotations

import http.client
import math
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, cast
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

import certifi

from vats_exporter import __version__
from vats_exporter.address import Proxy, parse_proxy, proxy_of_environment
from vats_exporter.cabinet import answers, errors
from vats_exporter.cabinet.answers import Answer, CallEnded, CallStarted, Trace
from vats_exporter.cabinet.settings import CabinetSettings, TlsSettings
from vats_exporter.redaction import register_secrets

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


class Transport:
    """HTTP calls to one address (scheme, host and port), one at a time; ``trace`` sees each."""

    def __init__(self, base_url: str, settings: CabinetSettings, trace: Trace) -> None:
        self.base_url = base_url
        self._cookie_rules = answers.CookieRules()
        self.cookies = self._cookie_rules.jar
        self._host = urlsplit(base_url).netloc
        self._settings = settings
        self._trace = trace
        self._proxy: Proxy | None = None
        self._connection: http.client.HTTPConnection | None = None
        # Of a connection that was made, which may let go of it before its answer is read.
        self._socket: socket.socket | None = None
        self._cut: errors.CabinetError | None = None  # the call under way, from outside

    def send(
        self,
        call: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        follow: bool = True,
        within: float = math.inf,
    ) -> Answer:
        """Send a POST, or a GET without a body, ``within`` so many seconds, or what is configured.

        The call's name is for the trace and for errors.
        """
        self._cut = None
        seconds = min(within, self._settings.timeouts.call)
        late = errors.CabinetTimeoutError(f"no whole answer within {seconds:g} s")
        timer = threading.Timer(seconds, self._end, [late])
        timer.daemon = True
        timer.start()
        try:
            for redirects in range(1 + _MAX_REDIRECTS):
                answer = self._traced(call, self._request(path, body, headers))
                if not follow or answer.status not in answers.REDIRECTS or not answer.location:
                    return answer
                path = self._target(call, path, answer.location)
                if answer.status not in (307, 308):
                    body, headers = None, None
                elif body is not None:
                    if redirects:
                        raise self._astray(call, "the form twice")
                    self._drop()  # as at first, over a connection of its own: once, whatever breaks
        finally:
            timer.cancel()
            timer.join()
        raise self._astray(call, f"in a circle, or more than {_MAX_REDIRECTS} times")

    def start_afresh(self) -> None:
        """Drop session and connection: a password is not to go twice, as over a kept one it may."""
        self.cookies.clear()
        self._cookie_rules.lost.clear()
        self._drop()

    @property
    def lost_cookie(self) -> str:
        """Why no cookie goes back, or the session's does not, in one sentence; empty if it does."""
        sent = self._request("/").get_header("Cookie", "")
        for name, why in self._cookie_rules.lost.items():
            # Others may go back beside JSESSIONID, such as that of a server that shares the load.
            if not sent or ("sess" in name.lower() and f"{name}=" not in sent):
                return f"the cabinet's cookie does not go back to it: {why}"
        return ""

    def close(self) -> None:
        """End a call under way, whose own thread closes the connection, as it stumbles else."""
        self._end(errors.UnreachableError("the connection was closed"))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._socket = None

    @property
    def _reached(self) -> socket.socket | None:
        """The socket of the connection, also of one that is being opened."""
        return self._socket or (self._connection.sock if self._connection else None)

    def _end(self, why: errors.CabinetError) -> None:
        """Make reads and writes on the connection end; where it is being opened, see `_open`."""
        self._cut = why
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

    def _request(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Request:
        """A request with the cookies that go to a path; it is not to be opened."""
        request = Request(self.base_url + path, body)  # noqa: S310
        request.headers = {**_HEADERS, **(headers or {})}  # the constructor would change their case
        self.cookies.add_cookie_header(request)
        return request

    def _traced(self, call: str, request: Request) -> Answer:
        self._trace(CallStarted(call))
        start, outcome = time.monotonic(), None
        while outcome is None:
            # A server that closes a kept connection has, as a rule, read nothing: then once more,
            # as browsers do. Only the selector's call changes anything, and to set it twice is to
            # set it once.
            outcome = self._try(request)
        if self._cut:  # however far it was: its end may look like that of an answer
            outcome = self._cut
        if isinstance(outcome, errors.CabinetError):
            outcome.args = (f"{call}: {self._host}: {outcome}",)
        self._trace(CallEnded(call, outcome, time.monotonic() - start))
        if isinstance(outcome, errors.CabinetError):
            raise outcome
        return outcome

    def _try(self, request: Request) -> Answer | errors.CabinetError | None:
        """Send a request once; ``None`` is for a kept connection that ended without any answer.

        Errors are returned: raised here, they would have a library's exception as their context.
        """
        settings, target, head = self._settings, request.selector, None
        headers = dict(request.header_items())
        kept = self._connection if _is_idle(self._connection) else None
        try:
            connection = kept or self._open()
            if self._proxy and request.type == "http":
                target, headers = request.full_url, {**headers, **self._proxy.headers}
            connection.sock.settimeout(settings.timeouts.read)
            connection.request(request.get_method(), target, request.data, headers)
            head = connection.getresponse()
            self.cookies.extract_cookies(head, request)
            if "set-cookie" in head.headers:
                # Under this name they take the place of the session's before, also after a reload.
                owner = f"{settings.login} at {settings.address}"
                register_secrets(*(one.value or "" for one in self.cookies), owner=owner)
            if head.status == 407 and self._proxy:
                raise answers.proxy_refusal(self._proxy.host, head.status)
            body = answers.read_body(head, settings.max_response)
            # Java servers write the session's cookie into paths too, after a semicolon.
            path = re.sub(r";[^/]*", "", request.selector.partition("?")[0])
            location, later = (head.headers.get(name, "") for name in ("location", "retry-after"))
            return Answer(head.status, path, body, location.strip(), later)
        except errors.CabinetError as error:
            fault = error.with_traceback(None)
        except answers.FAULTS as error:
            connected = self._socket is not None
            proxy = self._proxy.host if self._proxy and not self._reached else ""
            fault = answers.translate(error, settings.timeouts, connected=connected, proxy=proxy)
        self._drop()
        ended = head is None and isinstance(fault, errors.UnreachableError) and not self._cut
        return None if kept and ended else fault

    def _open(self) -> http.client.HTTPConnection:
        """Open a connection to the cabinet, through the proxy if there is one."""
        self._drop()
        self._proxy = _proxy(self._settings, self.base_url)
        parts, limit = urlsplit(self.base_url), self._settings.timeouts.connect
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        near = urlsplit(self._proxy.url) if self._proxy else parts
        at = near.hostname or "", near.port or port
        connection = http.client.HTTPConnection(*at, timeout=limit)
        if parts.scheme == "https":
            context = tls_context(self._settings.tls)
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
        self._socket = connection.sock
        if self._cut:  # before there was a socket to cut
            raise ConnectionAbortedError
        return connection


def _is_idle(connection: http.client.HTTPConnection | None) -> bool:
    """Whether a kept connection can be used: nothing came after the answer, nor did it end."""
    if connection is None or connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


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


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """The context that verifies a cabinet's certificate; a file that changed is read again."""
    try:
        return _context(tls, tls.ca_file.stat().st_mtime_ns if tls.ca_file else 0)
    except OSError as error:
        # ssl.SSLError is one too; the file's path is the user's own.
        raise errors.TlsError(f"tls.ca_file {tls.ca_file}: {error.strerror or error}") from None


@lru_cache(maxsize=64)
def _context(tls: TlsSettings, _changed: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
    if tls.ca_file is None:
        context.load_verify_locations(certifi.where())
    if tls.security_level is not None:
        context.set_ciphers(f"DEFAULT:@SECLEVEL={tls.security_level}")
        if tls.security_level == 0:
            # OpenSSL allows TLS 1.0 and 1.1 at this level; Python asks for 1.2 all the same.
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if tls.legacy_renegotiation:
        context.options |= 0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which Python has from 3.12 on
    return context


def _proxy(settings: CabinetSettings, base_url: str) -> Proxy | None:
    try:
        if settings.proxy_url:
            return parse_proxy(settings.proxy_url)
        return proxy_of_environment(base_url) if settings.proxy_from_environment else None
    except ValueError as error:
        raise errors.ProxyError(f"proxy: {error}") from None
