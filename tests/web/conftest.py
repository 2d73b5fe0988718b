"""Servers under test, and certificates for them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.web.clients import write_certificate
from vats_exporter import logs
from vats_exporter.address import ListenAddress
from vats_exporter.web import Request, Response, say
from vats_exporter.web import protection as protection_module
from vats_exporter.web.protection import Protection
from vats_exporter.web.server import Limits, WebServer
from vats_exporter.web.settings import TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[..., WebServer]


def say_path(request: Request) -> Response:
    return say(200, request.path)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers: a page, how they are protected, and limits other than the usual ones."""
    logs._warned.cache_clear()
    with contextlib.ExitStack() as stack:

        def start(
            respond: Callable[[Request], Response] = say_path,
            protected: WebSettings | Protection | None = None,
            **limits: float,
        ) -> WebServer:
            if isinstance(protected, WebSettings):
                settings = protected
                protected = Protection(lambda: settings)
            server = WebServer(
                [ListenAddress("127.0.0.1", 0)],
                respond,
                limits=Limits()._replace(**limits),  # type: ignore[arg-type]  # by name
                protection=protected,
            )
            server.start()
            stack.callback(server.stop, 1.0)
            return server

        yield start


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA) -> Path:
    server = authority.issue_cert("localhost")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.crt")
    other = authority.issue_cert("localhost")
    other.private_key_pem.write_to_path(tmp_path / "other.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "text.txt").write_text("no PEM\n")
    return tmp_path


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> TlsServerSettings:
    write_certificate(tmp_path, authority)
    certificate, key = ((tmp_path / f"server.{one}").read_text() for one in ("crt", "key"))
    return TlsServerSettings(cert=certificate, key=key)


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection_module, "_LOOK_EVERY", 0.0)
