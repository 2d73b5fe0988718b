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
    UndecodableError,
    UnreachableError,
)
from vats_exporter.cabinet.tls import tls_failure

if TYPE_CHECKING:
    from vats_exporter.cabinet.settings import Timeouts

FAULTS: Final = (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
"""What the libraries raise about an answer; some let what they stumble over through as it is."""

_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})")

Kind = TypeVar("Kind", bound=BaseException)


def find(error: BaseException, kind: type[Kind]) -> Kind | None:
    """Find the first exception of a kind among an error, its causes and what it wraps."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        if isinstance(current, kind):
            return current
        seen.add(id(current))
        reason = getattr(current, "reason", None)
        waiting += [*current.args, reason, current.__cause__, current.__context__]
    return None


def translate(
    error: BaseException, where: str, timeouts: Timeouts, *, connected: bool, proxy: str = ""
) -> CabinetError:
    """Say what an exception means, without anything it quotes.

    Args:
        error: as caught.
        where: the call and the host, for the message.
        timeouts: for the message.
        connected: it came after the connection had been made, TLS included.
        proxy: host and port of the proxy on the way; empty without one.
    """
    if proxy and not connected:
        system = find(error, OSError)
        refused = _TUNNEL.match(str(system.args[0])) if system and system.args else None
        if refused:
            return proxy_refusal(where, proxy, int(refused[1]))
        if find(error, exceptions.ProxyError):
            return ProxyError(str(_no_answer(error, f"{where}: proxy {proxy}", timeouts)))
    return _no_answer(error, where, timeouts, connected=connected)


def proxy_refusal(where: str, proxy: str, status: int) -> ProxyError:
    """Make the error for a proxy that does not let a call through."""
    hint = "; proxy_url takes login and password: http://login:password@host" * (status == 407)
    return ProxyError(f"{where}: proxy {proxy} refuses: HTTP {status}{hint}")


def _no_answer(
    error: BaseException, where: str, timeouts: Timeouts, *, connected: bool = False
) -> CabinetError:
    return (
        _too_late(error, where, timeouts, connected=connected)
        or (None if connected else _no_trust(error, where))
        or _cut_off(error, where)
        or _no_connection(error, where)
    )


def _too_late(
    error: BaseException, where: str, timeouts: Timeouts, *, connected: bool
) -> CabinetError | None:
    kinds = (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError)
    found = [fault for kind in kinds if (fault := find(error, kind)) is not None]
    # urllib3 derives the error for a refused connection from the one for a timeout.
    if all(isinstance(fault, exceptions.NewConnectionError) for fault in found):
        return None
    if connected:
        return CabinetTimeoutError(f"{where}: nothing received for {timeouts.read:g} s")
    return CabinetTimeoutError(f"{where}: no connection within {timeouts.connect:g} s")


def _no_trust(error: BaseException, where: str) -> CabinetError | None:
    failure = find(error, ssl.SSLCertVerificationError) or find(error, ssl.SSLError)
    return tls_failure(failure, where) if failure else None


def _cut_off(error: BaseException, where: str) -> CabinetError | None:
    if find(error, exceptions.IncompleteRead) or find(error, http.client.IncompleteRead):
        return UndecodableError(f"{where}: the answer is cut off")
    if find(error, http.client.RemoteDisconnected):
        return None
    if find(error, http.client.HTTPException):
        return NotACabinetError(f"{where}: the answer is not HTTP, or its head is too long")
    return None


def _no_connection(error: BaseException, where: str) -> CabinetError:
    if find(error, socket.gaierror):
        return UnreachableError(f"{where}: the name does not resolve")
    for kind in (ConnectionRefusedError, ConnectionResetError, BrokenPipeError, OSError):
        system = find(error, kind)
        if system is not None and system.strerror:
            return UnreachableError(f"{where}: {system.strerror.lower()}")
    return UnreachableError(f"{where}: connection closed without a whole answer")
