"""Clients of a server under test, plain and with TLS, and what they need: users, certificates."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
import time
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING

import bcrypt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from vats_exporter.web.server import WebServer

PATIENCE = 10.0
"""Seconds after which a test that waits for somebody else fails."""

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PASSWORD = "correct horse"


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


USERS = {"alice": hashed(PASSWORD)}


def connect(server: WebServer, source: str = "127.0.0.1", at: int = 0) -> socket.socket:
    """A connection from an address of this machine."""
    address = (server.addresses[at].host, server.addresses[at].port)
    return socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0))


def everything(client: socket.socket) -> bytes:
    """What the server sends until it closes."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(1 << 20):
            data += piece
    return bytes(data)


def answer(client: socket.socket) -> bytes:
    """One answer with a one-line body."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"\n"):
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def ask(server: WebServer, sent: bytes) -> bytes:
    """What the server answers to some bytes, until it closes."""
    with connect(server) as client:
        with contextlib.suppress(OSError):  # it may refuse before all of it is sent
            client.sendall(sent)
        return everything(client)


def none_open(server: WebServer) -> bool:
    """Wait until no connection is open; tell whether that came to be in time."""
    return until(lambda: len(server._open) == 0)


def until(condition: Callable[[], bool]) -> bool:
    """Wait until something holds; tell whether it did in time."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.002)
    return True


def passed_by_systemd(*sockets: socket.socket) -> dict[str, str]:
    """Put sockets where systemd would; return the variables it would set."""
    for place, one in enumerate(sockets, 3):
        os.dup2(one.fileno(), place)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))}


def basic(user: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def get(
    server: WebServer,
    path: str = "/metrics",
    headers: dict[str, str] | None = None,
    source: str = "127.0.0.1",
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers."""
    port = server.addresses[0].port
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(source, 0))
    with contextlib.closing(client):
        client.request("GET", path, headers=headers or {})
        answer = client.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())


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
    return trusting(authority).wrap_socket(
        connect(server), server_hostname="localhost", suppress_ragged_eofs=False
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
    connection = HTTPSConnection(
        "127.0.0.1", server.addresses[0].port, timeout=PATIENCE, context=context
    )
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
        # A second request on the same connection.
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == body
        certificate = connection.sock.getpeercert(binary_form=True) or b""
    return answer.status, body, certificate
