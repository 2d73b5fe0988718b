"""How a cabinet is reached, over TLS and through a proxy; and why it was not, with what helps."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from functools import lru_cache
from typing import Final

import certifi

from vats_exporter.address import Proxy, parse_proxy, proxy_of_environment
from vats_exporter.cabinet import errors
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts, TlsSettings

_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})")

# What the libraries raise about an answer; of some that they cannot parse, a ValueError.
FAULTS: Final = (http.client.HTTPException, OSError, ValueError)

# What helps, with OpenSSL's codes for a wrong certificate, and its reasons to end a handshake.
_CURES: Final[dict[str, tuple[int | str, ...]]] = {
    "check this machine's clock": (9, 10),  # not yet valid, expired
    "tls.ca_file names the authority to trust": (18, 19, 20, 21),
    "address must be a name in the certificate": (62, 64),
    # Keys of less than 2,048 bits: a server's, an authority's.
    "tls.security_level: 1 allows it": (
        *(66, 67, "DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"),
    ),
    # Signed with SHA-1 or MD5, or TLS before 1.2.
    "tls.security_level: 0 allows it": (
        *(68, "CA_MD_TOO_WEAK", "WRONG_SIGNATURE_TYPE"),
        *("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"),
    ),
    "tls.legacy_renegotiation: true allows it": ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED",),
    "tls.security_level: 1, or 0, may allow what it offers": ("SSLV3_ALERT_HANDSHAKE_FAILURE",),
    "the port speaks no TLS; for plain HTTP the address begins with http://": (
        *("WRONG_VERSION_NUMBER", "HTTP_REQUEST"),
    ),
}


def choose_proxy(settings: CabinetSettings, base_url: str) -> Proxy | None:
    """The configured proxy, or the environment's where that is allowed; often none."""
    try:
        if settings.proxy_url:
            return parse_proxy(settings.proxy_url)
        return proxy_of_environment(base_url) if settings.proxy_from_environment else None
    except ValueError as error:
        raise errors.ProxyError(f"proxy: {error}") from None


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


def translate(
    error: Exception, timeouts: Timeouts, *, connected: bool, proxy: str
) -> errors.CabinetError:
    """Say what an exception means, without anything it quotes, such as the request.

    ``proxy`` is the host and port of one that may not have let the call through.
    """
    kind: type[errors.CabinetError] = errors.UnreachableError
    words = "connection closed without a whole answer"
    match error:
        case TimeoutError():
            kind, words = errors.CabinetTimeoutError, f"no connection within {timeouts.connect:g} s"
            if connected:
                words = f"nothing received for {timeouts.read:g} s"
        case ssl.SSLError() if not connected:
            kind, words = errors.TlsError, tls_failure(error)
        case http.client.IncompleteRead():
            kind, words = errors.UndecodableError, "the answer is cut off"
        case http.client.RemoteDisconnected():
            pass
        case http.client.HTTPException():
            kind, words = errors.NotACabinetError, "the answer is not HTTP, or its head is too long"
        case socket.gaierror():
            words = "the name does not resolve"
        case OSError(strerror=str(system)):
            words = system.lower()
        case OSError(args=(str(text),)) if proxy and (refused := _TUNNEL.match(text)):
            return proxy_refusal(proxy, int(refused[1]))
    if proxy:
        kind, words = errors.ProxyError, f"proxy {proxy}: {words}"
    return kind(words)


def proxy_refusal(proxy: str, status: int) -> errors.ProxyError:
    """Make the error for a proxy that does not let a call through."""
    hint = "; proxy_url takes login and password: http://login:password@host" * (status == 407)
    return errors.ProxyError(f"proxy {proxy} refuses: HTTP {status}{hint}")


def tls_failure(error: ssl.SSLError) -> str:
    """Say why a handshake failed, and which setting helps where one does."""
    cause: int | str
    if isinstance(error, ssl.SSLCertVerificationError):
        what, cause = f"certificate not trusted: {error.verify_message}", error.verify_code
    else:
        cause = error.reason or "unknown reason"
        what = f"TLS failed: {cause.replace('_', ' ').lower()}"
    return "; ".join([what, *(cure for cure, causes in _CURES.items() if cause in causes)])
