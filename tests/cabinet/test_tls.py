"""Certificates are verified, always; what fails says which setting is for it."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.cabinet.conftest import server_context
from tests.cabinet.replay import COOKIE, SIGN_IN, ReplayServer, Reply, redirect
from vats_exporter.cabinet import NotACabinetError, TlsError, TlsSettings, UnreachableError

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from tests.cabinet.conftest import CabinetMaker

Hides = Callable[[BaseException], None]
Start = Callable[[ssl.SSLContext], ReplayServer]

# The 1024-bit group 2 of RFC 2409, which OpenSSL refuses from security level 2 on.
WEAK_PRIME = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
)
# PKCS #3: a sequence of the prime and the generator, which is 2.
WEAK_PARAMETERS = bytes.fromhex(f"30818702818100{WEAK_PRIME}020102")


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


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
    with pytest.raises(TlsError, match=says) as caught:
        make_cabinet(server, tls=tls).read_trunks()
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
    assert cabinet.deployment is not None
    assert cabinet.deployment.module_base == f"{secure.url}/vpbxGwt/"


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
