"""Trust: one TLS context for each way of verifying a certificate, and what its failures mean.

Certificates are always verified. The accounts of a configuration mostly share their settings, and
so share the context: it takes about a megabyte and 50 ms.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import certifi

from vats_exporter.cabinet.errors import TlsError

if TYPE_CHECKING:
    from vats_exporter.cabinet.settings import TlsSettings

_LEGACY_RENEGOTIATION: Final = getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
"""Python names it from 3.12 on."""

_AUTHORITY: Final = "tls.ca_file names the authority to trust"
_CLOCK: Final = "check this machine's clock"
_LEVEL_1: Final = "tls.security_level: 1 allows it"
_LEVEL_0: Final = "tls.security_level: 0 allows it"

_VERIFICATION_CURES: Final = {
    9: _CLOCK,  # not yet valid
    10: _CLOCK,  # expired
    18: _AUTHORITY,
    19: _AUTHORITY,
    20: _AUTHORITY,
    21: _AUTHORITY,
    62: "address must be a name in the certificate",
    64: "address must be a name in the certificate",
    66: _LEVEL_1,  # a server's key of less than 2,048 bits
    67: _LEVEL_1,  # an authority's
    68: _LEVEL_0,  # signed with SHA-1 or MD5
}
"""By OpenSSL's code for what is wrong with a certificate."""

_HANDSHAKE_CURES: Final = {
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "tls.legacy_renegotiation: true allows it",
    "DH_KEY_TOO_SMALL": _LEVEL_1,
    "EE_KEY_TOO_SMALL": _LEVEL_1,
    "CA_KEY_TOO_SMALL": _LEVEL_1,
    "CA_MD_TOO_WEAK": _LEVEL_0,
    "WRONG_SIGNATURE_TYPE": _LEVEL_0,
    "UNSUPPORTED_PROTOCOL": _LEVEL_0,
    "TLSV1_ALERT_PROTOCOL_VERSION": _LEVEL_0,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "tls.security_level: 1, or 0, may allow what it offers",
    "WRONG_VERSION_NUMBER": "the port speaks no TLS; an address with http:// does without",
    "HTTP_REQUEST": "the port speaks no TLS; an address with http:// does without",
}
"""By OpenSSL's reason for ending a handshake."""


def tls_context(tls: TlsSettings, where: str) -> ssl.SSLContext:
    """The context that verifies a cabinet's certificate; a file that changed is read again.

    Raises:
        TlsError: the file of authorities cannot be used.
    """
    try:
        status = tls.ca_file.stat() if tls.ca_file is not None else None
        return _context(tls, (status.st_mtime_ns, status.st_ino) if status else None)
    except OSError as error:
        # ssl.SSLError is one too; the file's path is the user's own.
        raise TlsError(f"{where}: tls.ca_file {tls.ca_file}: {error.strerror or error}") from None


@lru_cache(maxsize=64)
def _context(tls: TlsSettings, _changed: tuple[int, int] | None) -> ssl.SSLContext:
    if tls.ca_file is not None:
        context = ssl.create_default_context(cafile=str(tls.ca_file))
    else:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
    if tls.security_level is not None:
        context.set_ciphers(f"DEFAULT:@SECLEVEL={tls.security_level}")
        if tls.security_level == 0:
            # OpenSSL allows TLS 1.0 and 1.1 at this level; Python asks for 1.2 all the same.
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if tls.legacy_renegotiation:
        context.options |= _LEGACY_RENEGOTIATION
    return context


def tls_failure(error: ssl.SSLError, where: str) -> TlsError:
    """Say why a handshake failed, and which setting helps where one does."""
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"certificate not trusted: {error.verify_message}"
        cure = _VERIFICATION_CURES.get(error.verify_code, "")
    else:
        reason = error.reason or "unknown reason"
        what = f"TLS failed: {reason.replace('_', ' ').lower()}"
        cure = _HANDSHAKE_CURES.get(reason, "")
    return TlsError(f"{where}: {what}{f'; {cure}' if cure else ''}")
