"""What the exceptions of ``http.client``, ``socket`` and ``ssl`` mean for a cabinet.

Only their kinds are used, and of their words only those that OpenSSL, the system and
``http.client`` wrote: an exception may quote the request.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final

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
    from vats_exporter.cabinet.settings import Timeouts

FAULTS: Final = (http.client.HTTPException, OSError, ValueError)
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


def translate(
    error: Exception,
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
        proxy: host and port of the proxy that the connection was to go through; empty without one.
        reached: whether that was reached.
    """
    kind: type[CabinetError] = UnreachableError
    words = "connection closed without a whole answer"
    match error:
        case TimeoutError():
            kind, words = CabinetTimeoutError, f"no connection within {timeouts.connect:g} s"
            if connected:
                words = f"nothing received for {timeouts.read:g} s"
        case ssl.SSLError() if not connected:
            kind, words = TlsError, tls_failure(error)
        case http.client.IncompleteRead():
            kind, words = UndecodableError, "the answer is cut off"
        case http.client.RemoteDisconnected():
            pass
        case http.client.HTTPException():
            kind, words = NotACabinetError, "the answer is not HTTP, or its head is too long"
        case socket.gaierror():
            words = "the name does not resolve"
        case OSError(strerror=str(system)):
            words = system.lower()
        case OSError(args=(str(text),)) if proxy and (refused := _TUNNEL.match(text)):
            return proxy_refusal(where, proxy, int(refused[1]))
    if proxy and not reached:
        kind, words = ProxyError, f"proxy {proxy}: {words}"
    return kind(f"{where}: {words}")


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
