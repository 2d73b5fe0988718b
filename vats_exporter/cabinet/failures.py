"""What the exceptions of ``urllib3``, ``http.client`` and ``ssl`` mean for a cabinet.

Only their kinds are used, and of their words only those that OpenSSL, the system and
``http.client`` wrote: an exception may quote the request.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

from urllib3 import exceptions

from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    ProxyError,
    TlsError,
    UndecodableError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.cabinet.settings import Timeouts

FAULTS: Final = (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
"""What the libraries raise about an answer; some let what they stumble over through as it is."""

_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})")

_AUTHORITY: Final = "tls.ca_file names the authority to trust"
_CLOCK: Final = "check this machine's clock"
_NAME: Final = "address must be a name in the certificate"
_LEVEL_1: Final = "tls.security_level: 1 allows it"
_LEVEL_0: Final = "tls.security_level: 0 allows it"
_PLAIN: Final = "the port speaks no TLS; for plain HTTP the address begins with http://"

_CURES: Final[dict[int | str, str]] = {
    # By OpenSSL's code for what is wrong with a certificate.
    9: _CLOCK,  # not yet valid
    10: _CLOCK,  # expired
    **dict.fromkeys((18, 19, 20, 21), _AUTHORITY),
    62: _NAME,
    64: _NAME,
    66: _LEVEL_1,  # a server's key of less than 2,048 bits
    67: _LEVEL_1,  # an authority's
    68: _LEVEL_0,  # signed with SHA-1 or MD5
    # By its reason for ending a handshake.
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "tls.legacy_renegotiation: true allows it",
    "DH_KEY_TOO_SMALL": _LEVEL_1,
    "EE_KEY_TOO_SMALL": _LEVEL_1,
    "CA_KEY_TOO_SMALL": _LEVEL_1,
    "CA_MD_TOO_WEAK": _LEVEL_0,
    "WRONG_SIGNATURE_TYPE": _LEVEL_0,
    "UNSUPPORTED_PROTOCOL": _LEVEL_0,
    "TLSV1_ALERT_PROTOCOL_VERSION": _LEVEL_0,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "tls.security_level: 1, or 0, may allow what it offers",
    "WRONG_VERSION_NUMBER": _PLAIN,
    "HTTP_REQUEST": _PLAIN,
}

Kind = TypeVar("Kind", bound=BaseException)


def translate(
    error: BaseException,
    where: str,
    timeouts: Timeouts,
    *,
    connected: bool,
    proxy: str = "",
    reached: bool = True,
) -> CabinetError:
    """Say what an exception means, without anything it quotes.

    Args:
        error: as caught.
        where: the call and the host, for the message.
        timeouts: for the message.
        connected: it came after the connection had been made, TLS included.
        proxy: host and port of the proxy on the way; empty without one.
        reached: whether that was reached.
    """
    kind, words = next(_meanings(error, timeouts, connected=connected))
    if proxy and not connected:
        system = _first(error, OSError)
        refused = _TUNNEL.match(str(system.args[0])) if system and system.args else None
        if refused:
            return proxy_refusal(where, proxy, int(refused[1]))
        if not reached:
            kind, words = ProxyError, f"proxy {proxy}: {words}"
    return kind(f"{where}: {words}")


def _meanings(
    error: BaseException, timeouts: Timeouts, *, connected: bool
) -> Iterator[tuple[type[CabinetError], str]]:
    """What an exception may mean, and in which words; the first is the right one."""
    late = _all(error, exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError)
    # urllib3 derives the error for a refused connection from the one for a timeout.
    if any(not isinstance(one, exceptions.NewConnectionError) for one in late):
        if connected:
            yield CabinetTimeoutError, f"nothing received for {timeouts.read:g} s"
        yield CabinetTimeoutError, f"no connection within {timeouts.connect:g} s"
    trust = _first(error, ssl.SSLCertVerificationError) or _first(error, ssl.SSLError)
    if trust and not connected:
        yield TlsError, tls_failure(trust)
    if _first(error, exceptions.IncompleteRead, http.client.IncompleteRead):
        yield UndecodableError, "the answer is cut off"
    closed = _first(error, http.client.RemoteDisconnected)
    if not closed and _first(error, http.client.HTTPException):
        yield NotACabinetError, "the answer is not HTTP, or its head is too long"
    if _first(error, socket.gaierror):
        yield UnreachableError, "the name does not resolve"
    for kind in (ConnectionRefusedError, ConnectionResetError, BrokenPipeError, OSError):
        system = _first(error, kind)
        if system is not None and system.strerror:
            yield UnreachableError, system.strerror.lower()
    yield UnreachableError, "connection closed without a whole answer"


def proxy_refusal(where: str, proxy: str, status: int) -> ProxyError:
    """Make the error for a proxy that does not let a call through."""
    hint = "; proxy_url takes login and password: http://login:password@host" * (status == 407)
    return ProxyError(f"{where}: proxy {proxy} refuses: HTTP {status}{hint}")


def tls_failure(error: ssl.SSLError) -> str:
    """Say why a handshake failed, and which setting helps where one does."""
    cure: int | str
    if isinstance(error, ssl.SSLCertVerificationError):
        what, cure = f"certificate not trusted: {error.verify_message}", error.verify_code
    else:
        cure = error.reason or "unknown reason"
        what = f"TLS failed: {cure.replace('_', ' ').lower()}"
    return "; ".join(filter(None, (what, _CURES.get(cure))))


def _all(error: BaseException, *kinds: type[Kind]) -> Iterator[Kind]:
    """All exceptions of some kinds among an error, its causes and what it wraps."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        if isinstance(current, kinds):
            yield current
        seen.add(id(current))
        reason = getattr(current, "reason", None)
        waiting += [*current.args, reason, current.__cause__, current.__context__]


def _first(error: BaseException, *kinds: type[Kind]) -> Kind | None:
    return next(_all(error, *kinds), None)
