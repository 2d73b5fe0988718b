"""TLS for the exporter's own address, from settings to OpenSSL's context."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from vats_exporter.web.settings import TlsServerSettings

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


class TlsError(Exception):
    """Certificates or a key that cannot be used.

    Args:
        key: the one at fault: ``cert``, ``key``, ``client_ca``, ``cipher_suites`` or
            ``curve_preferences``.
        sentence: what is wrong; quotes nothing of what a key's file holds.
    """

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


def make_context(settings: TlsServerSettings) -> ssl.SSLContext:
    """Make what connections are wrapped with.

    Args:
        settings: of the server.

    Raises:
        TlsError: certificates, key, cipher suites or curve do not work.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        # Whoever asks for a version of the last century gets it, and Python's opinion elsewhere.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[settings.min_version]
        context.maximum_version = _VERSIONS[settings.max_version]
    _set_ciphers(context, settings)
    if settings.openssl_curve:
        try:
            context.set_ecdh_curve(settings.openssl_curve)
        except (ValueError, ssl.SSLError):
            raise TlsError("curve_preferences", "this OpenSSL has no such curve") from None
    _load_server_certificate(context, settings)
    if settings.client_ca is not None or settings.client_ca_file is not None:
        _check_pem(settings, "client_ca")
        with _as_file(settings, "client_ca") as file:
            context.load_verify_locations(file)
    elif settings.client_auth_type == "VerifyClientCertIfGiven":
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = {
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
        "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    }.get(settings.client_auth_type, ssl.CERT_NONE)
    context.set_alpn_protocols(["http/1.1"])
    return context


def has_allowed_name(certificate: Mapping[str, object] | None, allowed: Collection[str]) -> bool:
    """Tell whether a client's certificate names one that is let in.

    Args:
        certificate: as :meth:`ssl.SSLSocket.getpeercert` gives it.
        allowed: DNS names, addresses, e-mail addresses or URIs; an address in any of its spellings.
    """
    names = (certificate or {}).get("subjectAltName", ())
    if not isinstance(names, tuple):  # pragma: no cover - Python gives nothing else
        return False
    # OpenSSL writes an address of IPv6 in full and in capitals, and people do not.
    addresses = {_address(name) for name in allowed} - {None}
    return any(
        value in allowed or (kind == "IP Address" and _address(value) in addresses)
        for kind, value in names
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def _set_ciphers(context: ssl.SSLContext, settings: TlsServerSettings) -> None:
    names = ":".join(settings.openssl_ciphers)
    if settings.min_version in {"TLS10", "TLS11"}:
        # Level 1 of OpenSSL 3 refuses the signatures that these versions are made of.
        names = f"{names or 'DEFAULT'}:@SECLEVEL=0"
    if names:
        try:
            context.set_ciphers(names)
        except ssl.SSLError:
            raise TlsError("cipher_suites", "this OpenSSL has none of them") from None
    if settings.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _load_server_certificate(context: ssl.SSLContext, settings: TlsServerSettings) -> None:
    def refuse_to_ask() -> str:
        raise TlsError("key", "is encrypted; it must be readable without a passphrase")

    # The certificate alone first, so that it is known which of the two is at fault.
    _check_pem(settings, "cert")
    with _as_file(settings, "cert") as cert, _as_file(settings, "key") as key:
        try:
            context.load_cert_chain(cert, key, password=refuse_to_ask)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise TlsError("key", "is not the key of the certificate") from None
            raise TlsError("key", "holds no key in PEM form") from None


def _check_pem(settings: TlsServerSettings, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with _as_file(settings, key) as file:
        try:
            context.load_verify_locations(file)
        except ssl.SSLError:
            raise TlsError(key, "holds no certificate in PEM form") from None


@contextlib.contextmanager
def _as_file(settings: TlsServerSettings, key: str) -> Iterator[str]:
    """Give a file's path, as OpenSSL's interface in Python wants one.

    A text is given as a file in memory where the system has such; a key that was written inline
    is not to be found on a disk afterwards.
    """
    path: Path | None = getattr(settings, f"{key}_file")
    if path is not None:
        try:
            with path.open("rb") as opened:
                opened.read(1)
        except OSError as error:
            raise TlsError(key, f"cannot read the file: {error.strerror}") from None
        yield str(path)
        return
    text: str = getattr(settings, key)
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").exists():
        descriptor = os.memfd_create("pem")
        with os.fdopen(descriptor, "wb") as memory:
            memory.write(text.encode())
            memory.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile() as file:  # readable by its owner alone
        file.write(text.encode())
        file.flush()
        yield file.name
