"""HTTP to one cabinet: one connection, bounded in time and size, with redirects under control.

Everything of ``requests``, ``urllib3`` and ``ssl`` ends here: what goes wrong becomes one of
:mod:`vats_exporter.cabinet.errors`, without the original as its cause, since a request's exception
holds the request, and with it the password's form.

* Certificates are always verified: by the system's authorities and those ``requests`` brings, or
  by ``tls.ca_file`` alone. The environment is not asked: no proxy, no ``.netrc``.
* Redirects are followed by hand, to the same host only, and nothing is ever sent anywhere else. A
  redirect from TLS to plain HTTP on the same host, as a server behind a TLS proxy sends it, is
  taken to mean TLS; one from plain HTTP to TLS is followed for good.
* An answer that is cut off is undecodable, a connection that is reset is unreachable.
* A call has three bounds: for connecting, between two pieces of the answer, and for the whole.
  The last one holds over all redirects, and closes the connection from outside, so that it also
  holds for an answer, or a header, that drips in a byte at a time. Only how long it takes to look
  up a name is the system's own affair.
"""

from __future__ import annotations

import http.client
import math
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.cookies import extract_cookies_to_jar

from vats_exporter import __version__
from vats_exporter.cabinet.body import read_body
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    UnreachableError,
)
from vats_exporter.cabinet.faults import translate
from vats_exporter.cabinet.trace import CallCompleted, CallFailed, CallStarted
from vats_exporter.cabinet.wire import Adapter, Wire, ssl_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace
    from vats_exporter.cabinet.wire import Watch

USER_AGENT: Final = f"vats-exporter/{__version__} (python-requests/{requests.__version__})"
"""What the cabinet's operator sees: who asks, and with what."""

_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_FAULTS: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""What the libraries raise about an answer; some let what they stumble over through as it is."""


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


class Transport:
    """HTTP calls to one address, one at a time.

    Args:
        base_url: scheme, host and port, as :func:`~vats_exporter.cabinet.address.parse_address`
            gives it.
        settings: timeouts, bounds and TLS.
        trace: sees each call.

    Attributes:
        observe: is shown every answer by its call's name, body and all, if it is set; for a
            person who looks at what the cabinet sends.
    """

    def __init__(self, base_url: str, settings: CabinetSettings, trace: Trace) -> None:
        self.base_url = base_url
        self._host = urlsplit(base_url).netloc
        self._settings = settings
        self._trace = trace
        self.observe: Callable[[str, Answer], None] | None = None
        self._wire = Wire()
        self._adapter = Adapter(self._wire, ssl_context(settings.tls, self._host))
        self._session = self._new_session()

    def get(
        self, call: str, path: str, *, follow: bool = True, within: float | None = None
    ) -> Answer:
        """Send a GET.

        Args:
            call: the call's name, for the trace and for errors.
            path: from the root.
            follow: follow redirects.
            within: seconds, where that is less than the settings give a call.

        Raises:
            CabinetError: see :meth:`post`.
        """
        return self._call(call, "GET", path, None, {}, follow=follow, within=within)

    def post(
        self,
        call: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        follow: bool = True,
    ) -> Answer:
        """Send a POST.

        Args:
            call: the call's name, for the trace and for errors.
            path: from the root.
            body: as is.
            headers: besides the usual.
            follow: follow redirects, with GET where the standard says so.

        Raises:
            UnreachableError: no answer.
            TlsError: no trust.
            CabinetTimeoutError: too late.
            UndecodableError: an answer that is cut off, badly compressed or too long.
            NotACabinetError: redirects elsewhere, or in a circle.
        """
        return self._call(call, "POST", path, body, headers, follow=follow)

    @property
    def has_cookies(self) -> bool:
        """Whether the cabinet gave a cookie, of a session as a rule."""
        return len(self._session.cookies) > 0

    def forget_cookies(self) -> None:
        """Begin without a session."""
        self._session.cookies.clear()

    def adopt_cookies(self, other: Transport) -> None:
        """Take part in another connection's session.

        Args:
            other: to the same address.
        """
        self._session.cookies = other._session.cookies

    def close(self) -> None:
        """Close the connection, and so end a call under way; a later call opens another."""
        self._wire.close()
        self._session.close()

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = USER_AGENT
        session.headers["Accept-Encoding"] = "gzip"
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)
        return session

    def _call(
        self,
        call: str,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        follow: bool,
        within: float | None = None,
    ) -> Answer:
        url = self.base_url + path
        visits: Counter[tuple[str, str]] = Counter()
        limit = min(self._settings.timeouts.call, within or math.inf)
        with self._wire.cut_after(limit) as watch:
            while True:
                visits[method, url] += 1
                # A page may redirect to itself once, to see whether its cookie comes back.
                if visits[method, url] > 2:
                    raise NotACabinetError(f"{call}: {self._host} redirects in a circle")
                if visits.total() > 1 + _MAX_REDIRECTS:
                    raise NotACabinetError(
                        f"{call}: {self._host}: more than {_MAX_REDIRECTS} redirects"
                    )
                answer = self._traced(call, method, url, body, headers, watch)
                location = answer.headers.get("location", "")
                if not follow or answer.status not in _REDIRECTS or not location:
                    return answer
                url = self._target(call, url, location)
                if answer.status not in (307, 308):
                    method, body, headers = "GET", None, {}

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

    def _traced(
        self,
        call: str,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        watch: Watch,
    ) -> Answer:
        self._trace(CallStarted(call))
        start = time.monotonic()
        request = requests.Request(method, url, dict(headers), data=body)
        answer = self._send(request, f"{call}: {self._host}", watch)
        duration = time.monotonic() - start
        if isinstance(answer, CabinetError):
            self._trace(CallFailed(call, answer, duration))
            # Raised here, where no exception of the libraries is under way to become its context.
            raise answer
        self._trace(CallCompleted(call, answer.status, duration, len(answer.body)))
        if self.observe is not None:
            self.observe(call, answer)
        return answer

    def _send(self, request: requests.Request, where: str, watch: Watch) -> Answer | CabinetError:
        """Send a request; a second time if the connection kept had been closed meanwhile."""
        closes = self._wire.closes
        outcome, stale = self._try(request, where)
        if stale and self._wire.closes == closes and not watch.expired:
            # As browsers do: a server that closes a kept connection has, as a rule, read nothing.
            # Only the selector's call changes anything, and to set it twice is to set it once.
            self._session.close()
            outcome, _ = self._try(request, where)
        if watch.expired:
            limit = self._settings.timeouts.call
            return CabinetTimeoutError(f"{where}: no whole answer within {limit:g} s")
        return outcome

    def _try(self, request: requests.Request, where: str) -> tuple[Answer | CabinetError, bool]:
        """Send a request once.

        Returns:
            the answer, or what went wrong; and whether that was a connection which had been kept
            and ended without any answer.
        """
        wire, timeouts = self._wire, self._settings.timeouts
        dialled, opened = wire.dialled, wire.opened
        head = None
        try:
            prepared = self._session.prepare_request(request)
            # Not by the session's own send(): it looks ahead where a redirect leads, and for that
            # reads its body without a bound.
            with self._adapter.send(
                prepared, stream=True, timeout=(timeouts.connect, timeouts.read)
            ) as response:
                head = response
                jar = self._session.cookies
                extract_cookies_to_jar(jar, prepared, response.raw)  # type: ignore[no-untyped-call]  # requests leaves it so
                return self._read(response, where), False
        except CabinetError as error:
            return error.with_traceback(None), False
        except _FAULTS as error:
            kept = wire.dialled == dialled
            connected = kept or wire.opened > opened
            fault = translate(error, where, timeouts, connected=connected)
            return fault, kept and head is None and isinstance(fault, UnreachableError)

    def _read(self, response: requests.Response, where: str) -> Answer:
        body = read_body(
            response.raw,
            encoding=response.headers.get("content-encoding", ""),
            limit=self._settings.max_response,
            where=where,
        )
        # Java servers write the session's cookie into paths too, after a semicolon.
        path = re.sub(r";[^/]*", "", urlsplit(response.url).path)
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, path, body, lower)
