"""HTTP to one cabinet: one connection, bounded in time and size, with redirects under control.

Everything of ``urllib3`` and ``ssl`` ends here: what goes wrong becomes one of
:mod:`vats_exporter.cabinet.errors`, without the original as its cause, since an exception may hold
the request, and with it the password's form.

* Certificates are always verified: by the system's authorities and those of ``certifi``, or by
  ``tls.ca_file`` alone. The environment is asked for a proxy only where the settings say so.
* Redirects are followed by hand, to the same host only, and nothing is ever sent anywhere else. A
  redirect from TLS to plain HTTP on the same host, as a server behind a TLS proxy sends it, is
  taken to mean TLS; one from plain HTTP to TLS is followed for good.
* An answer that is cut off is undecodable, a connection that is reset is unreachable.
* A call has three bounds: for connecting, between two pieces of the answer, and for the whole.
  The last one holds over all redirects, and closes the connection from outside, so that it also
  holds for an answer, or a header, that drips in a byte at a time. Only looking up a name takes as
  long as the system lets it.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from vats_exporter import __version__
from vats_exporter.address import parse_proxy, proxy_of_environment
from vats_exporter.cabinet.body import read_body
from vats_exporter.cabinet.connection import Connection
from vats_exporter.cabinet.cookies import Cookies
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    ProxyError,
    UnreachableError,
)
from vats_exporter.cabinet.tls import tls_context
from vats_exporter.cabinet.trace import CallCompleted, CallFailed, CallStarted
from vats_exporter.cabinet.transport_errors import FAULTS, proxy_refusal, translate
from vats_exporter.redaction import register_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import urllib3

    from vats_exporter.address import Proxy
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace

USER_AGENT: Final = f"vats-exporter/{__version__} (urllib3)"
"""What the cabinet's operator sees: who asks, and with what."""

_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: of the last answer, after redirects.
        path: of the address it came from.
        body: decompressed.
        headers: by lower-case name. May hold a cookie: never logged.
    """

    status: int
    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    body: bytes | None
    headers: Mapping[str, str]
    limit: int | None = None


class Transport:
    """HTTP calls to one address, one at a time.

    Args:
        base_url: scheme, host and port.
        settings: timeouts, bounds, TLS and proxy.
        trace: sees each call.
        observe: is shown every answer by its call's name, body and all; for a person who looks at
            what the cabinet sends.

    Raises:
        TlsError: the file of authorities cannot be used.
        ProxyError: there is no such proxy.
    """

    def __init__(
        self,
        base_url: str,
        settings: CabinetSettings,
        trace: Trace,
        *,
        observe: Callable[[str, Answer], None] | None = None,
    ) -> None:
        self.base_url = base_url
        self.cookies = Cookies()
        self._host = urlsplit(base_url).netloc
        self._settings = settings
        self._trace = trace
        self._observe = observe
        self._proxy = _proxy(settings, base_url, self._host)
        self._connection = Connection(tls_context(settings.tls, self._host), self._proxy)

    def get(
        self,
        call: str,
        path: str,
        *,
        follow: bool = True,
        within: float | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Send a GET, within so many seconds and bytes where the settings allow more.

        Raises:
            CabinetError: see :meth:`post`.
        """
        request = _Request("GET", None, {}, limit)
        return self._call(call, path, request, follow=follow, within=within)

    def post(
        self, call: str, path: str, body: bytes, headers: Mapping[str, str], *, follow: bool = True
    ) -> Answer:
        """Send a POST; redirects are followed with GET where the standard says so.

        ``call`` is the call's name, for the trace and for errors.

        Raises:
            UnreachableError: no answer.
            TlsError: no trust.
            ProxyError: no way through the proxy.
            CabinetTimeoutError: too late.
            UndecodableError: an answer that is cut off, badly compressed or too long.
            NotACabinetError: redirects elsewhere, or in a circle.
        """
        return self._call(call, path, _Request("POST", body, headers), follow=follow)

    def close(self) -> None:
        """Close the connection, and so end a call under way; a later call opens another."""
        self._connection.close()

    def _call(
        self,
        call: str,
        path: str,
        request: _Request,
        *,
        follow: bool,
        within: float | None = None,
    ) -> Answer:
        url = self.base_url + path
        visits: Counter[tuple[str, str]] = Counter()
        with self._connection.limited(min(self._settings.timeouts.call, within or math.inf)):
            while True:
                visits[request.method, url] += 1
                # A page may redirect to itself once, to see whether its cookie comes back.
                if visits[request.method, url] > 2:
                    raise NotACabinetError(f"{call}: {self._host} redirects in a circle")
                if visits.total() > 1 + _MAX_REDIRECTS:
                    raise NotACabinetError(
                        f"{call}: {self._host}: more than {_MAX_REDIRECTS} redirects"
                    )
                answer = self._traced(call, url, request)
                location = answer.headers.get("location", "").strip()
                if not follow or answer.status not in _REDIRECTS or not location:
                    return answer
                url = self._target(call, url, location)
                if answer.status not in (307, 308):
                    request = _Request("GET", None, {})

    def _target(self, call: str, url: str, location: str) -> str:
        """Where a redirect leads; refuse any other host."""
        try:
            # Header bytes come as Latin-1, whatever they are. [RFC 9110 leaves it open]
            written = location.encode("latin-1", "replace").decode("utf-8", "replace")
            target = urlsplit(urljoin(url, written))
            host, port = target.hostname or "", target.port
        except ValueError:
            raise NotACabinetError(f"{call}: {self._host} redirects to no valid address") from None
        if target.scheme not in _PORTS:
            raise NotACabinetError(f"{call}: {self._host} redirects to no web address")
        base = urlsplit(self.base_url)
        port = port or _PORTS[target.scheme]
        same = (target.scheme, port) == (base.scheme, base.port or _PORTS[base.scheme])
        behind_proxy = (base.scheme, target.scheme, port) == ("https", "http", 80)
        upgraded = (base.scheme, target.scheme) == ("http", "https")
        if host != base.hostname or not (same or behind_proxy or upgraded):
            raise NotACabinetError(
                f"{call}: {self._host} redirects to another host ({target.scheme}://{host[:100]}); "
                "not followed"
            )
        if upgraded:
            # Whoever leads to TLS once is asked over TLS from then on.
            self.base_url = f"https://{target.netloc.rpartition('@')[2]}"
        query = f"?{target.query}" if target.query else ""
        return f"{self.base_url}{target.path or '/'}{query}"

    def _traced(self, call: str, url: str, request: _Request) -> Answer:
        self._trace(CallStarted(call))
        start = time.monotonic()
        answer = self._send(f"{call}: {self._host}", url, request)
        duration = time.monotonic() - start
        if isinstance(answer, CabinetError):
            self._trace(CallFailed(call, answer, duration))
            # Raised here, where no exception of the libraries is under way to become its context.
            raise answer
        self._trace(CallCompleted(call, answer.status, duration, len(answer.body)))
        if self._observe is not None:
            self._observe(call, answer)
        return answer

    def _send(self, where: str, url: str, request: _Request) -> Answer | CabinetError:
        """Send a request; a second time if the connection kept had been closed meanwhile."""
        connection = self._connection
        closes = connection.closes
        outcome, stale = self._try(where, url, request)
        if stale and connection.closes == closes and not connection.expired:
            # As browsers do: a server that closes a kept connection has, as a rule, read nothing.
            # Only the selector's call changes anything, and to set it twice is to set it once.
            connection.drop()
            outcome, _ = self._try(where, url, request)
        if connection.expired:
            limit = self._settings.timeouts.call
            return CabinetTimeoutError(f"{where}: no whole answer within {limit:g} s")
        return outcome

    def _try(self, where: str, url: str, request: _Request) -> tuple[Answer | CabinetError, bool]:
        """Send a request once.

        Returns:
            the answer, or what went wrong; and whether that was a connection which had been kept
            and ended without any answer.
        """
        connection, timeouts = self._connection, self._settings.timeouts
        dialled, opened = connection.dialled, connection.opened
        headers = {**_HEADERS, **request.headers}
        if cookie := self.cookies.header(url):
            headers["Cookie"] = cookie
        head = None
        try:
            head = connection.send(request.method, url, request.body, headers, timeouts)
            self.cookies.take(head, url)
            if "set-cookie" in head.headers:
                # Under this name they take the place of the session's before, also after a reload.
                owner = f"{self._settings.login} at {self._settings.address}"
                register_secrets(*self.cookies.values(), owner=owner)
            limit = min(self._settings.max_response, request.limit or self._settings.max_response)
            return self._read(head, where, url, limit), False
        except CabinetError as error:
            return error.with_traceback(None), False
        except FAULTS as error:
            kept = connection.dialled == dialled
            connected = kept or connection.opened > opened
            proxy = self._proxy.host if self._proxy else ""
            fault = translate(error, where, timeouts, connected=connected, proxy=proxy)
            return fault, kept and head is None and isinstance(fault, UnreachableError)
        finally:
            if head is not None:
                # Without effect on a connection whose answer was read to its end.
                head.close()

    def _read(self, head: urllib3.BaseHTTPResponse, where: str, url: str, limit: int) -> Answer:
        if head.status == 407 and self._proxy:
            raise proxy_refusal(where, self._proxy.host, head.status)
        body = read_body(
            head,
            encoding=head.headers.get("content-encoding", ""),
            limit=limit,
            where=where,
        )
        # Java servers write the session's cookie into paths too, after a semicolon.
        path = re.sub(r";[^/]*", "", urlsplit(url).path)
        return Answer(head.status, path, body, {k.lower(): v for k, v in head.headers.items()})


def _proxy(settings: CabinetSettings, base_url: str, host: str) -> Proxy | None:
    try:
        if settings.proxy_url:
            return parse_proxy(settings.proxy_url)
        return proxy_of_environment(base_url) if settings.proxy_from_environment else None
    except ValueError as error:
        raise ProxyError(f"{host}: proxy: {error}") from None
