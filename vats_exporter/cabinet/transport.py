"""HTTP to one cabinet: one connection, bounded in time and size, with redirects under control.

Everything of ``urllib3`` and ``ssl`` ends here: what goes wrong becomes one of
:mod:`vats_exporter.cabinet.errors`, without the original as its cause or context, since an
exception may hold the request, and with it the password's form.

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
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

from vats_exporter import __version__
from vats_exporter.address import parse_proxy, proxy_of_environment
from vats_exporter.cabinet.connection import Connection, read_body, tls_context
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    CallCompleted,
    CallFailed,
    CallStarted,
    NotACabinetError,
    NotGwtError,
    ProxyError,
    SessionEndedError,
    UnreachableError,
)
from vats_exporter.cabinet.failures import FAULTS, proxy_refusal, translate
from vats_exporter.redaction import register_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vats_exporter.address import Proxy
    from vats_exporter.cabinet.errors import Trace
    from vats_exporter.cabinet.settings import CabinetSettings

USER_AGENT: Final = f"vats-exporter/{__version__} (urllib3)"
"""What the cabinet's operator sees: who asks, and with what."""

_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SESSION_ENDED: Final = _REDIRECTS | {401, 403}
"""Statuses with which a call is sent to the login page. [assumed]"""

_LOGIN_FORM: Final = re.compile(
    r"j_spring_security_check|j_password|type\s{0,4}=\s{0,4}[\"']?password", re.IGNORECASE
)
_LOGIN_PATH: Final = re.compile(r"/(?:login|signin|sign-in|auth)\b", re.IGNORECASE)
_LOOKED_AT: Final = 256 * 1024
_MOST_COOKIES: Final = 50
_LONGEST_COOKIE: Final = 4096
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: of the last answer, after redirects.
        path: of the address it came from.
        body: decompressed.
        headers: their names in any case. May hold a cookie: never logged.
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
        """See that a call was answered with HTTP 200, its redirects not followed.

        Raises:
            SessionEndedError: it was sent to the login page, or forbidden. [assumed]
            NotGwtError: any other status; ``where`` says more of the call.
        """
        if self.status in _SESSION_ENDED:
            status = f"HTTP {self.status}"
            seen = status if self.status >= 400 else f"a redirect ({status})"
            raise SessionEndedError(f"{call}: {seen}")
        if self.status != 200:
            raise self.error(where or call)

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


class Cookies(DefaultCookiePolicy):
    """The cabinet's cookies: what browsers keep and send back, within bounds; why one is lost.

    Browsers look neither at ``Version`` nor at a ``Path`` that is no path. They keep some fifty
    cookies of 4 KB for a host, and attributes as long at most, which bounds what a client holds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jar = CookieJar(self)
        self._refused: list[str] = []

    def take(self, response: Any, url: str) -> None:
        """Keep the cookies of an answer, of ``urllib3``, to a request for an address."""
        self.jar.extract_cookies(response, Request(url))  # noqa: S310 - nothing is opened

    def header(self, url: str) -> str:
        """The header ``Cookie`` for an address; empty without any."""
        request = Request(url)  # noqa: S310 - nothing is opened
        self.jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""

    def forget(self) -> None:
        """Begin without any."""
        self.jar.clear()
        self._refused.clear()

    def lost(self, url: str) -> str:
        """Why a cookie that was set does not go to an address, in one sentence; empty if all do."""
        request = Request(url)  # noqa: S310 - nothing is opened
        reasons = list(self._refused)
        for cookie in self.jar:
            if cookie.secure and request.type != "https":
                reasons.append("it is marked Secure, and the address begins with http://")
            elif not request.selector.startswith(cookie.path):
                reasons.append("it is for another path (Path)")
        return f"the cabinet's cookie does not go back to it: {reasons[0]}" if reasons else ""

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        """Whether the jar keeps a cookie."""
        cookie.version = 0
        if not cookie.path.startswith("/"):
            cookie.path = "/"
        kept = {(one.domain, one.path, one.name) for one in self.jar}
        length = len(cookie.name) + len(cookie.value or "")
        attributes = sum(len(str(value)) for value in vars(cookie).values()) - length
        if max(length, attributes) > _LONGEST_COOKIE:
            reason = f"it is longer than {_LONGEST_COOKIE} characters"
        elif len(kept | {(cookie.domain, cookie.path, cookie.name)}) > _MOST_COOKIES:
            reason = f"there are more than {_MOST_COOKIES}"
        elif not super().set_ok(cookie, request):
            reason = "it is for another host (Domain)"
        else:
            return True
        if len(self._refused) < _MOST_COOKIES:
            self._refused.append(reason)
        return False


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
        self._observe = observe or (lambda _, __: None)
        self._proxy = _proxy(settings, base_url, self._host)
        self._connection = Connection(tls_context(settings.tls, self._host), self._proxy)

    def send(
        self,
        call: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        follow: bool = True,
        within: float = math.inf,
        limit: float = math.inf,
    ) -> Answer:
        """Send a POST, or a GET without a body.

        Args:
            call: the call's name, for the trace and for errors.
            path: with its query.
            body: of the POST; repeated in redirects where the standard says so.
            headers: besides the usual ones.
            follow: whether redirects are followed.
            within: seconds for it, where the settings allow more.
            limit: bytes of the answer, where the settings allow more.

        Raises:
            UnreachableError: no answer.
            TlsError: no trust.
            ProxyError: no way through the proxy.
            CabinetTimeoutError: too late.
            UndecodableError: an answer that is cut off, badly compressed or too long.
            NotACabinetError: redirects elsewhere, or in a circle.
        """
        url = self.base_url + path
        visited: list[tuple[str, bool]] = []
        with self._connection.limited(min(within, self._settings.timeouts.call)):
            while True:
                visited.append((url, body is None))
                # A page may redirect to itself once, to see whether its cookie comes back.
                if visited.count(visited[-1]) > 2:
                    raise NotACabinetError(f"{call}: {self._host} redirects in a circle")
                if len(visited) > 1 + _MAX_REDIRECTS:
                    raise NotACabinetError(
                        f"{call}: {self._host}: more than {_MAX_REDIRECTS} redirects"
                    )
                answer = self._traced(call, url, body, headers or {}, limit)
                location = answer.headers.get("location", "").strip()
                if not follow or answer.status not in _REDIRECTS or not location:
                    return answer
                url = self._target(call, url, location)
                if answer.status not in (307, 308):
                    body = headers = None
                elif body is not None and len(visited) > 1:
                    raise NotACabinetError(f"{call}: {self._host} redirects what is sent twice")

    def start_afresh(self) -> None:
        """Forget the session, and the connection: over one that is kept, a call may be sent twice.

        A password is not to be.
        """
        self.cookies.forget()
        self._connection.drop()

    def close(self) -> None:
        """Close the connection, and so end a call under way; a later call opens another."""
        self._connection.close()

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
        self, call: str, url: str, body: bytes | None, headers: Mapping[str, str], limit: float
    ) -> Answer:
        """Send a request; a second time if the connection kept had been closed meanwhile."""
        self._trace(CallStarted(call))
        start = time.monotonic()
        where, connection = f"{call}: {self._host}", self._connection
        answer = self._try(where, url, body, headers, limit)
        if isinstance(answer, UnreachableError) and connection.stale:
            # As browsers do: a server that closes a kept connection has, as a rule, read nothing.
            # Only the selector's call changes anything, and to set it twice is to set it once.
            connection.drop()
            answer = self._try(where, url, body, headers, limit)
        if connection.cut == "too late":
            whole = self._settings.timeouts.call
            answer = CabinetTimeoutError(f"{where}: no whole answer within {whole:g} s")
        duration = time.monotonic() - start
        if isinstance(answer, CabinetError):
            self._trace(CallFailed(call, answer, duration))
            raise answer
        self._trace(CallCompleted(call, answer.status, duration, len(answer.body)))
        self._observe(call, answer)
        return answer

    def _try(
        self, where: str, url: str, body: bytes | None, headers: Mapping[str, str], limit: float
    ) -> Answer | CabinetError:
        """Send a request once.

        What goes wrong is returned, to be raised where no exception of the libraries is under way
        that would become its context.
        """
        settings, connection = self._settings, self._connection
        cookie = self.cookies.header(url)
        headers = {**_HEADERS, **headers, **({"Cookie": cookie} if cookie else {})}
        proxy = self._proxy.host if self._proxy else ""
        head = None
        try:
            method = "GET" if body is None else "POST"
            head = connection.send(method, url, body, headers, settings.timeouts)
            self.cookies.take(head, url)
            if "set-cookie" in head.headers:
                # Under this name they take the place of the session's before, also after a reload.
                owner = f"{settings.login} at {settings.address}"
                register_secrets(*(one.value or "" for one in self.cookies.jar), owner=owner)
            if head.status == 407 and proxy:
                return proxy_refusal(where, proxy, head.status)
            encoding = head.headers.get("content-encoding", "")
            limit = min(settings.max_response, limit)
            text = read_body(head, encoding=encoding, limit=limit, where=where)
        except CabinetError as error:
            return error.with_traceback(None)
        except FAULTS as error:
            connected = connection.connected
            return translate(error, where, settings.timeouts, connected=connected, proxy=proxy)
        finally:
            if head is not None:
                # Without effect on a connection whose answer was read to its end.
                head.close()
        # Java servers write the session's cookie into paths too, after a semicolon.
        return Answer(head.status, re.sub(r";[^/]*", "", urlsplit(url).path), text, head.headers)


def _proxy(settings: CabinetSettings, base_url: str, host: str) -> Proxy | None:
    try:
        if settings.proxy_url:
            return parse_proxy(settings.proxy_url)
        return proxy_of_environment(base_url) if settings.proxy_from_environment else None
    except ValueError as error:
        raise ProxyError(f"{host}: proxy: {error}") from None
