"""A cabinet is reached over TLS and through proxies; what fails says which setting helps."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import os
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cabinet.conftest import WEAK_PARAMETERS, server_context
from tests.cabinet.proxy import ForwardingProxy
from tests.cabinet.replay import COOKIE, SIGN_IN, ReplayServer, Reply, redirect
from vats_exporter.cabinet import connecting
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    ProxyError,
    TlsError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.cabinet.settings import Timeouts, TlsSettings

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from tests.cabinet.conftest import CabinetMaker

Hides = Callable[[BaseException], None]
Start = Callable[[ssl.SSLContext], ReplayServer]


# -- certificates


def self_signed(bits: int) -> bytes:
    """A certificate for localhost and its key, of so many bits, in one PEM."""
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(autouse=True)
def _no_context_is_kept() -> Iterator[None]:
    """The system's authorities differ from test to test."""
    connecting._context.cache_clear()
    yield
    connecting._context.cache_clear()


@pytest.fixture
def start(stack: ExitStack) -> Start:
    return lambda context: stack.enter_context(ReplayServer(context))


def test_an_authority_in_the_file_is_trusted(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    cabinet = make_cabinet(server, tls=TlsSettings(ca_file=ca_file))
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.connections == 1


def test_an_unknown_authority_is_not_trusted(
    authority: trustme.CA, start: Start, make_cabinet: CabinetMaker, hides: Hides
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    with pytest.raises(TlsError, match=r"not trusted: .*(issuer|self-signed)") as caught:
        make_cabinet(server).read_trunks()
    assert caught.value.result == "unreachable"
    assert "tls.ca_file" in str(caught.value)
    hides(caught.value)
    assert server.received == []


def test_the_file_is_trusted_instead_of_the_systems_authorities(
    authority: trustme.CA,
    ca_file: Path,
    tmp_path: Path,
    start: Start,
    make_cabinet: CabinetMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # OpenSSL reads the system's authorities from here.
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    server = start(server_context(authority.issue_cert("localhost")))
    assert len(make_cabinet(server).read_trunks().trunks) == 3
    other = tmp_path / "other.pem"
    type(authority)().cert_pem.write_to_path(str(other))
    with pytest.raises(TlsError, match="not trusted"):
        make_cabinet(server, tls=TlsSettings(ca_file=other)).read_trunks()


def test_a_certificate_for_another_host_is_not_trusted(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker, hides: Hides
) -> None:
    server = start(server_context(authority.issue_cert("vpbx.invalid")))
    with pytest.raises(TlsError, match="localhost") as caught:
        make_cabinet(server, tls=TlsSettings(ca_file=ca_file)).read_trunks()
    hides(caught.value)
    assert server.received == []


def test_an_expired_certificate_is_not_trusted(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    expired = authority.issue_cert(
        "localhost", not_after=dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    )
    server = start(server_context(expired))
    with pytest.raises(TlsError, match="expired"):
        make_cabinet(server, tls=TlsSettings(ca_file=ca_file)).read_trunks()


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), ("no PEM", "ca_file")])
def test_a_file_without_authorities_is_named(
    tmp_path: Path, make_cabinet: CabinetMaker, server: ReplayServer, content: str | None, says: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    tls = TlsSettings.model_construct(ca_file=path)  # it was right when it was configured
    address = f"https://127.0.0.1:{server.port}"
    with pytest.raises(TlsError, match=says) as caught:
        make_cabinet(server, address=address, tls=tls).read_trunks()
    assert str(path) in str(caught.value)


def test_plain_http_at_a_tls_address_is_a_tls_failure(
    server: ReplayServer, make_cabinet: CabinetMaker, hides: Hides
) -> None:
    with pytest.raises(TlsError) as caught:
        make_cabinet(server, address=f"https://127.0.0.1:{server.port}").read_trunks()
    hides(caught.value)


def test_tls_at_a_plain_address_is_an_error(
    authority: trustme.CA, start: Start, make_cabinet: CabinetMaker, hides: Hides
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    with pytest.raises(UnreachableError) as caught:
        make_cabinet(server, address=f"http://127.0.0.1:{server.port}").read_trunks()
    hides(caught.value)


def test_a_connection_broken_after_the_handshake_is_no_tls_failure(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    server.answer(SIGN_IN, Reply(raw=[b"HTTP/1.1 200 OK\r\n"], then="garble"))
    with pytest.raises(UnreachableError) as caught:
        make_cabinet(server, tls=TlsSettings(ca_file=ca_file)).read_trunks()
    assert not isinstance(caught.value, TlsError)


@pytest.fixture
def weak(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    """A server that offers nothing but weak Diffie-Hellman parameters."""
    parameters = tmp_path / "dh.pem"
    body = base64.encodebytes(WEAK_PARAMETERS).decode()
    parameters.write_text(f"-----BEGIN DH PARAMETERS-----\n{body}-----END DH PARAMETERS-----\n")
    context = server_context(authority.issue_cert("localhost", key_type=trustme.KeyType.RSA))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
    context.load_dh_params(str(parameters))
    return context


def test_weak_parameters_are_refused_and_the_setting_for_them_is_named(
    weak: ssl.SSLContext, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    server = start(weak)
    with pytest.raises(TlsError, match=r"dh key too small.*tls\.security_level: 1"):
        make_cabinet(server, tls=TlsSettings(ca_file=ca_file, security_level=2)).read_trunks()


def test_weak_parameters_are_taken_at_level_one_with_the_certificate_still_verified(
    weak: ssl.SSLContext, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    server = start(weak)
    tls = TlsSettings(ca_file=ca_file, security_level=1)
    assert len(make_cabinet(server, tls=tls).read_trunks().trunks) == 3
    with pytest.raises(TlsError, match="not trusted"):
        make_cabinet(server, tls=TlsSettings(security_level=1)).read_trunks()


def test_accounts_with_the_same_settings_share_a_context(ca_file: Path, tmp_path: Path) -> None:
    first = connecting.tls_context(TlsSettings(ca_file=ca_file))
    assert connecting.tls_context(TlsSettings(ca_file=ca_file)) is first
    assert connecting.tls_context(TlsSettings(ca_file=ca_file, security_level=1)) is not first


def test_a_file_of_authorities_that_changed_is_read_again(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    settings = TlsSettings(ca_file=ca_file)
    right = ca_file.read_bytes()
    ca_file.write_bytes(type(authority)().cert_pem.bytes())
    with pytest.raises(TlsError, match="not trusted"):
        make_cabinet(server, tls=settings).read_trunks()
    ca_file.write_bytes(right)
    os.utime(ca_file, (1, 1))
    assert len(make_cabinet(server, tls=settings).read_trunks().trunks) == 3


@pytest.mark.parametrize(("bits", "level"), [(1024, 1), (2048, None)])
def test_a_certificate_with_a_small_key_names_the_setting_for_it(
    tmp_path: Path, start: Start, make_cabinet: CabinetMaker, bits: int, level: int | None
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(self_signed(bits))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(certificate)
    server = start(context)
    strict = TlsSettings(ca_file=certificate, security_level=2)
    if level is not None:
        says = rf"certificate key too weak; tls\.security_level: {level}"
        with pytest.raises(TlsError, match=says):
            make_cabinet(server, tls=strict).read_trunks()
        strict = TlsSettings(ca_file=certificate, security_level=level)
    assert len(make_cabinet(server, tls=strict).read_trunks().trunks) == 3


@pytest.mark.parametrize(
    ("reason", "setting"),
    [
        ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED", "tls.legacy_renegotiation: true"),
        ("DH_KEY_TOO_SMALL", "tls.security_level: 1"),
        ("EE_KEY_TOO_SMALL", "tls.security_level: 1"),
        ("CA_KEY_TOO_SMALL", "tls.security_level: 1"),
        ("CA_MD_TOO_WEAK", "tls.security_level: 0"),
        ("UNSUPPORTED_PROTOCOL", "tls.security_level: 0"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "tls.security_level: 0"),
        ("WRONG_VERSION_NUMBER", "http://"),
    ],
)
def test_reasons_with_a_cure_name_it(reason: str, setting: str) -> None:
    error = ssl.SSLError(1, f"[SSL: {reason}] words of OpenSSL")
    error.reason = reason
    assert setting in str(connecting.tls_failure(error))


def test_legacy_renegotiation_is_a_setting_of_its_own() -> None:
    legacy = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
    assert not connecting.tls_context(TlsSettings()).options & legacy
    assert connecting.tls_context(TlsSettings(legacy_renegotiation=True)).options & legacy


def test_an_old_release_of_tls_names_the_setting_for_it_and_is_taken_with_it(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    context = server_context(authority.issue_cert("localhost"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = start(context)
    with pytest.raises(TlsError, match=r"tls\.security_level: 0"):
        make_cabinet(server, tls=TlsSettings(ca_file=ca_file)).read_trunks()
    lax = TlsSettings(ca_file=ca_file, security_level=0)
    assert len(make_cabinet(server, tls=lax).read_trunks().trunks) == 3


# -- proxies


def test_tls_goes_through_a_proxy_with_the_cabinets_certificate_verified(
    authority: trustme.CA,
    ca_file: Path,
    start: Start,
    stack: ExitStack,
    make_cabinet: CabinetMaker,
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    proxy = stack.enter_context(ForwardingProxy("user:secret"))
    proxy_url = f"http://user:secret@{proxy.host}"
    cabinet = make_cabinet(server, tls=TlsSettings(ca_file=ca_file), proxy_url=proxy_url)
    assert len(cabinet.read_trunks().trunks) == 3
    assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT localhost:{server.port}"]
    assert "proxy-authorization" not in server.received[0].headers
    with pytest.raises(TlsError, match="not trusted") as caught:
        make_cabinet(server, proxy_url=proxy_url).read_trunks()
    assert not isinstance(caught.value, ProxyError)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"credential": "user:other"}, "refuses: HTTP 407; proxy_url"),
        ({"refuse": "403 Forbidden"}, "refuses: HTTP 403"),
        ({"refuse": "502 Bad Gateway"}, "refuses: HTTP 502"),
    ],
)
def test_a_proxy_that_opens_no_way_is_told_from_the_cabinet(
    authority: trustme.CA,
    start: Start,
    stack: ExitStack,
    make_cabinet: CabinetMaker,
    hides: Hides,
    options: dict[str, str],
    says: str,
) -> None:
    server = start(server_context(authority.issue_cert("localhost")))
    proxy = stack.enter_context(ForwardingProxy(**options))
    with pytest.raises(ProxyError, match=says) as caught:
        make_cabinet(server, proxy_url=f"http://user:geheim@{proxy.host}").read_trunks()
    assert "geheim" not in str(caught.value)
    hides(caught.value)
    assert server.received == []


# -- redirects between plain HTTP and TLS


def test_whoever_is_led_from_plain_http_to_tls_stays_there(
    authority: trustme.CA,
    ca_file: Path,
    start: Start,
    server: ReplayServer,
    make_cabinet: CabinetMaker,
) -> None:
    secure = start(server_context(authority.issue_cert("localhost")))
    server.answer(SIGN_IN, redirect(f"{secure.url}{SIGN_IN}", status="308 Permanent Redirect"))
    cabinet = make_cabinet(
        server, address=f"http://localhost:{server.port}", tls=TlsSettings(ca_file=ca_file)
    )
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.calls() == [SIGN_IN]
    assert cabinet.discovery is not None
    assert cabinet.discovery.module_base == f"{secure.url}/vpbxGwt/"


def test_nobody_is_led_from_tls_to_plain_http(
    authority: trustme.CA,
    ca_file: Path,
    start: Start,
    server: ReplayServer,
    make_cabinet: CabinetMaker,
) -> None:
    secure = start(server_context(authority.issue_cert("localhost")))
    secure.answer(SIGN_IN, redirect(f"http://localhost:{server.port}/"))
    with pytest.raises(NotACabinetError, match="redirects to another host"):
        make_cabinet(secure, tls=TlsSettings(ca_file=ca_file)).read_trunks()
    assert server.connections == 0


def test_a_proxy_that_hides_tls_from_the_server_is_seen_through(
    authority: trustme.CA, ca_file: Path, start: Start, make_cabinet: CabinetMaker
) -> None:
    # A server behind a TLS proxy takes itself for http://localhost, on the usual port.
    secure = start(server_context(authority.issue_cert("localhost")))
    secure._sessions.add(COOKIE)
    secure.answer(SIGN_IN, redirect("http://localhost/", cookie=f"JSESSIONID={COOKIE}; Path=/"))
    assert len(make_cabinet(secure, tls=TlsSettings(ca_file=ca_file)).read_trunks().trunks) == 3


# -- the libraries' exceptions

REFUSED = ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (REFUSED, UnreachableError, "refused"),
        (ConnectionResetError(104, "Connection reset"), UnreachableError, "connection reset"),
        (
            http.client.RemoteDisconnected("geheim"),
            UnreachableError,
            "connection closed without a whole answer",
        ),
        (socket.gaierror(-2, "geheim"), UnreachableError, "the name does not resolve"),
        (OSError("geheim"), UnreachableError, "connection closed without a whole answer"),
        (ValueError("geheim"), UnreachableError, "connection closed without a whole answer"),
        (http.client.IncompleteRead(b"geheim"), UndecodableError, "the answer is cut off"),
        (http.client.BadStatusLine("geheim"), NotACabinetError, "the answer is not HTTP"),
        (TimeoutError("geheim"), CabinetTimeoutError, r"(no connection within 2|for 3) s"),
    ],
)
def test_an_exception_becomes_an_error_that_quotes_nothing(
    error: Exception, kind: type[CabinetError], says: str, connected: bool
) -> None:
    timeouts = Timeouts(connect=2, read=3)
    found = connecting.translate(error, timeouts, connected=connected, proxy="")
    assert type(found) is kind
    with pytest.raises(kind, match=says):
        raise found
    assert "geheim" not in repr(found)


def test_a_failure_of_tls_is_one_of_trust_only_before_there_is_a_connection() -> None:
    error = ssl.SSLError(1, "geheim")
    error.reason = "DH_KEY_TOO_SMALL"
    before = connecting.translate(error, Timeouts(), connected=False, proxy="")
    after = connecting.translate(error, Timeouts(), connected=True, proxy="")
    assert (type(before), type(after)) == (TlsError, UnreachableError)


def test_a_proxy_is_named_only_until_there_is_a_connection() -> None:
    refused = OSError("Tunnel connection failed: 502 geheim")
    for error, proxy, says in (
        (refused, "p:1", "proxy p:1 refuses: HTTP 502"),
        (REFUSED, "p:1", "proxy p:1: connection refused"),
        (REFUSED, "", "connection refused"),
    ):
        found = connecting.translate(error, Timeouts(), connected=False, proxy=proxy)
        assert str(found) == says
        assert isinstance(found, ProxyError) is ("proxy" in says)
