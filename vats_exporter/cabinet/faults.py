"""What the exceptions of ``requests``, ``urllib3`` and ``ssl`` mean for a cabinet.

Only their kinds are used, and of their words only those that OpenSSL and the system wrote: a
request's exception may quote the request.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

import requests
import urllib3

from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    TlsError,
    UndecodableError,
    UnreachableError,
)

if TYPE_CHECKING:
    from vats_exporter.cabinet.settings import Timeouts

_UNKNOWN_AUTHORITY: Final = (18, 19, 20, 21)
"""OpenSSL's codes for chains that end in no authority it knows."""

Kind = TypeVar("Kind", bound=BaseException)


def find(error: BaseException, kind: type[Kind]) -> Kind | None:
    """Find the first exception of a kind among an error, its causes and what it wraps.

    Args:
        error: as caught.
        kind: the class looked for.
    """
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
    error: BaseException, where: str, timeouts: Timeouts, *, connected: bool
) -> CabinetError:
    """Say what an exception means, without anything it quotes.

    Args:
        error: as caught.
        where: the call and the host, for the message.
        timeouts: for the message.
        connected: it came after the connection had been made, TLS included.
    """
    return (
        _too_late(error, where, timeouts, connected=connected)
        or (None if connected else _no_trust(error, where))
        or _cut_off(error, where)
        or _no_connection(error, where)
    )


def _too_late(
    error: BaseException, where: str, timeouts: Timeouts, *, connected: bool
) -> CabinetError | None:
    kinds = (
        urllib3.exceptions.ConnectTimeoutError,
        urllib3.exceptions.ReadTimeoutError,
        TimeoutError,
    )
    found = [fault for kind in kinds if (fault := find(error, kind)) is not None]
    # urllib3 derives the error for a refused connection from the one for a timeout.
    if all(isinstance(fault, urllib3.exceptions.NewConnectionError) for fault in found):
        return None
    if connected:
        return CabinetTimeoutError(f"{where}: nothing received for {timeouts.read:g} s")
    return CabinetTimeoutError(f"{where}: no connection within {timeouts.connect:g} s")


def _no_trust(error: BaseException, where: str) -> CabinetError | None:
    certificate = find(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        hint = (
            "; tls.ca_file names the authority to trust"
            if certificate.verify_code in _UNKNOWN_AUTHORITY
            else ""
        )
        return TlsError(f"{where}: certificate not trusted: {certificate.verify_message}{hint}")
    handshake = find(error, ssl.SSLError)
    if handshake is None:
        return None
    reason = (handshake.reason or "unknown reason").replace("_", " ").lower()
    hint = "; tls.security_level: 1 allows it" if "dh key too small" in reason else ""
    return TlsError(f"{where}: TLS failed: {reason}{hint}")


def _cut_off(error: BaseException, where: str) -> CabinetError | None:
    if find(error, urllib3.exceptions.IncompleteRead) or find(error, http.client.IncompleteRead):
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
        # RequestException is an OSError too, and quotes the request.
        system = find(error, kind)
        if (
            system is not None
            and system.strerror
            and not isinstance(system, requests.RequestException)
        ):
            return UnreachableError(f"{where}: {system.strerror.lower()}")
    return UnreachableError(f"{where}: connection closed without a whole answer")
