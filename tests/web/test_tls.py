"""TLS on the exporter's own address, over real connections."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.process import capture_logs
from tests.web.clients import (
    PATIENCE,
    connect,
    connect_encrypted,
    everything,
    get,
    get_encrypted,
    none_open,
)
from vats_exporter import logs
from vats_exporter.config.problems import ConfigError
from vats_exporter.web import Request, Response
from vats_exporter.web.protection import Protection
from vats_exporter.web.settings import TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.web.conftest import Serve


def test_pages_are_served_over_tls(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(protected=WebSettings(tls_server_config=tls))
    assert server.url.startswith("https://127.0.0.1:")
    status, body, _ = get_encrypted(server, authority)
    assert (status, body) == (200, b"/metrics\n")


def piecewise(pieces: Sequence[bytes]) -> Callable[[Request], Response]:
    """A page of so many pieces."""
    return lambda _: Response(200, pieces)


def test_a_body_of_many_pieces_and_megabytes_arrives_whole(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    pieces = tuple(os.urandom(size) for size in (1, 0, 70_000, 3_000_000, 17))
    server = serve(piecewise(pieces), WebSettings(tls_server_config=tls))
    assert get_encrypted(server, authority)[1] == b"".join(pieces)


def test_plain_http_at_an_encrypted_address_gets_a_sentence(
    serve: Serve, tls: TlsServerSettings
) -> None:
    status, body, _ = get(serve(protected=WebSettings(tls_server_config=tls)))
    assert status == 400
    assert "HTTPS" in body


def test_a_client_that_says_nothing_is_not_waited_for(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(protected=WebSettings(tls_server_config=tls), read_timeout=0.3)
    with socket.create_connection(("127.0.0.1", server.addresses[0].port), timeout=10) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", server.addresses[0].port), timeout=10) as slow:
        slow.sendall(b"\x16\x03\x01")
        while slow.recv(1024):  # an alert, perhaps, and then the end
            pass
    assert get_encrypted(server, authority)[0] == 200


def test_versions_older_than_the_least_are_refused(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(
        protected=WebSettings(tls_server_config=tls.model_copy(update={"min_version": "TLS13"}))
    )
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get_encrypted(server, authority, version=ssl.TLSVersion.TLSv1_2)
    assert get_encrypted(server, authority)[0] == 200


def test_clients_need_a_certificate_of_the_authority_with_an_allowed_name(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    clients = trustme.CA()
    server = serve(
        protected=WebSettings(
            tls_server_config=TlsServerSettings(
                cert=tls.cert,
                key=tls.key,
                client_auth_type="RequireAndVerifyClientCert",
                client_ca=clients.cert_pem.bytes().decode(),
                client_allowed_sans=["prometheus.example"],
            )
        )
    )
    assert get_encrypted(server, authority, clients.issue_cert("prometheus.example"))[0] == 200
    strangers = [
        None,
        clients.issue_cert("grafana.example"),
        trustme.CA().issue_cert("prometheus.example"),
    ]
    for stranger in strangers:
        with pytest.raises((OSError, AttributeError)):
            get_encrypted(server, authority, stranger)


def test_certificates_if_given_are_verified_by_the_systems_authorities_unless_told_otherwise(
    serve: Serve,
    tmp_path: Path,
    tls: TlsServerSettings,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "system.crt")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.crt"))
    server = serve(
        protected=WebSettings(
            tls_server_config=tls.model_copy(update={"client_auth_type": "VerifyClientCertIfGiven"})
        )
    )
    for client in (None, authority.issue_cert("prometheus.example")):
        assert get_encrypted(server, authority, client)[0] == 200
    with pytest.raises((OSError, AttributeError)):
        get_encrypted(server, authority, trustme.CA().issue_cert("prometheus.example"))


def test_why_clients_are_refused_is_told_once_a_client_and_minute(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: set[object] = set()  # of one minute, however long it takes
    monkeypatch.setattr(logs, "_warned", lambda _minute: warned)
    demanding = tls.model_copy(
        update={
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca": authority.cert_pem.bytes().decode(),
            "client_allowed_sans": ["prometheus.example"],
        }
    )
    refusals: dict[trustme.LeafCert | None, tuple[str, str]] = {
        None: ("TLS handshake failed", "peer did not return a certificate"),
        trustme.CA().issue_cert("prometheus.example"): (
            "TLS handshake failed",
            "certificate verify failed: unable to get local issuer certificate",
        ),
        authority.issue_cert("grafana.example"): (
            "TLS client refused",
            "its certificate has none of client_allowed_sans",
        ),
    }
    for client, (event, reason) in refusals.items():
        server = serve(protected=WebSettings(tls_server_config=demanding))
        with capture_logs() as seen:
            for _ in range(3):
                with pytest.raises((OSError, AttributeError)):
                    get_encrypted(server, authority, client)
            server.stop(PATIENCE)
        told = [line for line in seen if line["event"] == event]
        assert [line["log_level"] for line in told] == ["warning"]
        assert [(line["client"], line["error"]) for line in told] == [("127.0.0.1", reason)]


def test_a_client_that_leaves_in_the_middle_of_a_handshake_is_not_told_of(
    serve: Serve, tls: TlsServerSettings
) -> None:
    server = serve(protected=WebSettings(tls_server_config=tls))
    with capture_logs() as seen, connect(server) as client:
        client.sendall(b"\x16\x03\x01")
        client.shutdown(socket.SHUT_WR)
        everything(client)
    assert seen == []


@pytest.mark.parametrize("allowed", ["2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "2001:DB8::0:1"])
def test_an_allowed_address_may_be_spelt_in_any_way(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA, allowed: str
) -> None:
    demanding = tls.model_copy(
        update={
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca": authority.cert_pem.bytes().decode(),
            "client_allowed_sans": [allowed, "10.0.0.1", "prometheus.example"],
        }
    )
    server = serve(protected=WebSettings(tls_server_config=demanding))
    for name in ("2001:db8::1", "10.0.0.1", "prometheus.example"):
        assert get_encrypted(server, authority, authority.issue_cert(name))[0] == 200
    with pytest.raises((OSError, AttributeError)):
        get_encrypted(server, authority, authority.issue_cert("2001:db8::2"))


def test_what_this_openssl_cannot_do_is_refused(
    tls: TlsServerSettings,
) -> None:
    wrong = tls.model_copy(update={"curve_preferences": ["none"]})
    with pytest.raises(ConfigError, match="tls_server_config: unknown elliptic curve"):
        Protection(lambda: WebSettings(tls_server_config=wrong))


def test_the_last_answer_of_a_connection_ends_as_tls_ends(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    with connect_encrypted(
        serve(protected=WebSettings(tls_server_config=tls)), authority
    ) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        # An end without TLS' own would be an SSLEOFError: anybody on the way could have cut it off.
        while piece := client.recv(65536):
            data += piece
    assert data.endswith(b"\r\n\r\n/metrics\n")


def test_a_client_that_takes_no_encrypted_answer_is_given_up(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(
        piecewise((bytes(1 << 20),) * 64), WebSettings(tls_server_config=tls), write_timeout=0.2
    )
    with connect_encrypted(server, authority) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4) == b"HTTP"
        assert none_open(server)  # though nothing more was read


def test_a_certificate_is_loaded_where_there_are_no_files_in_memory(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    server = serve(protected=WebSettings(tls_server_config=tls))
    assert get_encrypted(server, authority)[0] == 200


def test_a_client_that_never_ends_its_handshake_gives_its_place_to_another(
    serve: Serve, tls: TlsServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaking = threading.Semaphore(0)
    shake = ssl.SSLSocket.do_handshake

    def do_handshake(encrypted: ssl.SSLSocket, block: bool = False) -> None:
        shaking.release()
        shake(encrypted, block)

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", do_handshake)
    server = serve(
        protected=WebSettings(tls_server_config=tls), max_connections=2, read_timeout=60.0
    )
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(3):
            clients.append(stack.enter_context(connect(server)))
            clients[-1].sendall(b"\x16\x03\x01")
            assert shaking.acquire(timeout=PATIENCE)
        assert everything(clients[0]) == b""
