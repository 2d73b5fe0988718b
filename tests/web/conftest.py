"""What tests of the server share: connections, passwords, certificates, requests with either."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import time
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING

import bcrypt
import pytest
import trustme

from vats_exporter.web import ListenAddress, Response, WebServer
from vats_exporter.web import protection as protection_module
from vats_exporter.web.messages import say
from vats_exporter.web.protection import Protection
from vats_exporter.web.settings import Pem, TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Serve = Callable[..., WebServer]

PATIENCE = 10.0
"""Seconds after which a test that waits for somebody else fails."""

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PASSWORD = "correct horse"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


USERS = {"alice": hashed(PASSWORD)}


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(
            settings: WebSettings | Callable[[], WebSettings] | Protection,
            body: Sequence[bytes] | None = None,
            **limits: float,
        ) -> WebServer:
            if isinstance(settings, WebSettings):
                protection = Protection(lambda: settings)
            else:
                protection = settings if isinstance(settings, Protection) else Protection(settings)
            server = WebServer(
                ListenAddress("127.0.0.1", 0),
                lambda request: say(200, request.path) if body is None else Response(200, body),
                protection=protection,
                **{"read_timeout": 1.0, **limits},  # type: ignore[arg-type]  # by name
            )
            server.start()
            stack.callback(server.stop, 1.0)
            return server

        yield start


def connect(server: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.address.port), timeout=PATIENCE)


def everything(client: socket.socket) -> bytes:
    """What the server sends until it closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            data += piece
    return data


def answer(client: socket.socket) -> bytes:
    """One answer with a one-line body."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"\n"):
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def basic(user: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def get(
    server: WebServer, path: str = "/metrics", headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    client = HTTPConnection("127.0.0.1", server.address.port, timeout=10)
    client.request("GET", path, headers=headers or {})
    answer = client.getresponse()
    body = answer.read().decode()
    client.close()
    return answer.status, body, dict(answer.getheaders())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> TlsServerSettings:
    write_certificate(tmp_path, authority)
    return TlsServerSettings(Pem(tmp_path / "server.crt"), Pem(tmp_path / "server.key"))


def write_certificate(folder: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "server.key")
    issued.cert_chain_pems[0].write_to_path(folder / "server.crt")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def connect_encrypted(server: WebServer, authority: trustme.CA) -> ssl.SSLSocket:
    """A connection that takes an end without TLS' own for the error that it is."""
    plain = socket.create_connection(("127.0.0.1", server.address.port), timeout=10)
    return trusting(authority).wrap_socket(
        plain, server_hostname="localhost", suppress_ragged_eofs=False
    )


def get_encrypted(
    server: WebServer,
    authority: trustme.CA,
    client: trustme.LeafCert | None = None,
    version: ssl.TLSVersion | None = None,
) -> tuple[int, bytes, bytes]:
    """Status, body and certificate."""
    context = trusting(authority)
    if client is not None:
        client.configure_cert(context)
    if version is not None:
        context.maximum_version = version
    connection = HTTPSConnection("127.0.0.1", server.address.port, timeout=10, context=context)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
        # A second request on the same connection.
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == body
        certificate = connection.sock.getpeercert(binary_form=True) or b""
    finally:
        connection.close()
    return answer.status, body, certificate


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection_module, "_LOOK_EVERY", 0.0)


def touch(file: Path) -> None:
    """Make a change visible whatever the clock's grain is."""
    later = time.time_ns() + 2_000_000_000
    os.utime(file, ns=(later, later))
