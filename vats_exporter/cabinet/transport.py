"""HTTP to one cabinet: one connection, bounded in time and size, with redirects under control.

Everything of ``requests``, ``urllib3`` and ``ssl`` ends here: what goes wrong becomes one of
:mod:`vats_exporter.cabinet.errors`, without the original as its cause, since a request's exception
holds the request, and with it the password's form.

* Certificates are always verified: by the system's authorities and those ``requests`` brings, or
  by ``tls.ca_file`` alone. The environment is not asked: no proxy, no ``.netrc``.
* Redirects are followed by hand, to the same host only. Nothing is ever sent anywhere else; a
  redirect to plain HTTP on the same host, as a server behind a TLS proxy sends it, is taken to
  mean HTTPS.
* A call has three bounds: for connecting, between two pieces of the answer, and for the whole.
  The last one closes the connection from outside, so that it also holds for an answer, or a
  header, that drips in a byte at a time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from vats_exporter import __version__
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.cabinet.faults import find, translate
from vats_exporter.cabinet.trace import CallCompleted, CallFailed, CallStarted
from vats_exporter.cabinet.wire import Adapter, Wire, ssl_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace

USER_AGENT: Final = f"vats-exporter/{__version__}"

_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PIECE: Final = 64 * 1024


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
    """

    def __init__(self, base_url: str, settings: CabinetSettings, trace: Trace) -> None:
        self.base_url = base_url
        self._host = urlsplit(base_url).netloc
        self._settings = settings
        self._trace = trace
        self._wire = Wire()
        self._session = self._new_session()

    def get(self, call: str, path: str, *, follow: bool = True) -> Answer:
        """Send a GET.

        Args:
            call: the call's name, for the trace and for errors.
            path: from the root.
            follow: follow redirects.

        Raises:
            CabinetError: see :meth:`post`.
        """
        return self._call(call, "GET", path, None, {}, follow=follow)

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

    def forget_cookies(self) -> None:
        """Begin without a session."""
        self._session.cookies.clear()

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        self._session.close()

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = USER_AGENT
        session.headers["Accept-Encoding"] = "gzip"
        adapter = Adapter(self._wire, ssl_context(self._settings.tls, self._host))
        session.mount("https://", adapter)
        session.mount("http://", adapter)
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
    ) -> Answer:
        url = self.base_url + path
        seen: set[tuple[str, str]] = set()
        while True:
            if (method, url) in seen:
                raise NotACabinetError(f"{call}: {self._host} redirects in a circle")
            if len(seen) > _MAX_REDIRECTS:
                raise NotACabinetError(f"{call}: more than {_MAX_REDIRECTS} redirects")
            seen.add((method, url))
            answer = self._traced(call, method, url, body, headers)
            location = answer.headers.get("location", "")
            if not follow or answer.status not in _REDIRECTS or not location:
                return answer
            url = self._target(call, url, location)
            if answer.status not in (307, 308):
                method, body, headers = "GET", None, {}

    def _target(self, call: str, url: str, location: str) -> str:
        """Where a redirect leads; refuse any other host."""
        try:
            target = urlsplit(urljoin(url, location))
            host, port = target.hostname or "", target.port
        except ValueError:
            raise NotACabinetError(f"{call}: {self._host} redirects to no valid address") from None
        base = urlsplit(self.base_url)
        upgraded = target.scheme == "http" and base.scheme == "https" and port in (None, 80)
        same = (target.scheme, port or _port(target.scheme)) == (
            base.scheme,
            base.port or _port(base.scheme),
        )
        if host != base.hostname or not (same or upgraded):
            raise NotACabinetError(
                f"{call}: {self._host} redirects to another host ({target.scheme}://{host[:100]}); "
                "not followed"
            )
        query = f"?{target.query}" if target.query else ""
        return f"{self.base_url}{target.path or '/'}{query}"

    def _traced(
        self, call: str, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        self._trace(CallStarted(call))
        start = time.monotonic()
        try:
            answer = self._send(call, method, url, body, headers)
        except CabinetError as error:
            self._trace(CallFailed(call, error, time.monotonic() - start))
            raise
        duration = time.monotonic() - start
        self._trace(CallCompleted(call, answer.status, duration, len(answer.body)))
        return answer

    def _send(
        self, call: str, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        where = f"{call}: {self._host}"
        limit = self._settings.timeouts.call
        reused = self._wire.connected
        failure: CabinetError
        with self._wire.cut_after(limit) as watch:
            try:
                return self._exchange(method, url, body, headers, where)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if watch.expired:
                    failure = CabinetTimeoutError(f"{where}: no whole answer within {limit:g} s")
                elif reused and find(error, RemoteDisconnected) is not None:
                    # The server closed the connection we kept; nothing of the call was answered.
                    failure = UnreachableError(f"{where}: connection closed without an answer")
                else:
                    reused = False
                    failure = translate(error, where, self._settings.timeouts)
        if not reused or watch.expired:
            raise failure from None
        self._session.close()
        return self._send(call, method, url, body, headers)

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], where: str
    ) -> Answer:
        timeouts = self._settings.timeouts
        with self._session.request(
            method,
            url,
            data=body,
            headers=dict(headers),
            timeout=(timeouts.connect, timeouts.read),
            allow_redirects=False,
            stream=True,
        ) as response:
            pieces = []
            size = 0
            for piece in response.iter_content(_PIECE):
                size += len(piece)
                if size > self._settings.max_response:
                    response.close()
                    raise UndecodableError(
                        f"{where}: the answer is longer than {self._settings.max_response} bytes"
                    )
                pieces.append(piece)
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, urlsplit(url).path, b"".join(pieces), lower)


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
