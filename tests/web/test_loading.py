"""A web configuration and the files that it names."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests.web.web_files import TLS, load
from vats_exporter.config.problems import ConfigError
from vats_exporter.web.tls import make_context

if TYPE_CHECKING:
    from pathlib import Path

    import trustme


def test_certificate_and_key_may_be_written_inline(folder: Path) -> None:
    def block(name: str) -> str:
        return "".join(f"    {line}\n" for line in (folder / name).read_text().splitlines())

    text = (
        "tls_server_config:\n"
        f"  cert: |\n{block('server.crt')}  key: |\n{block('server.key')}"
        "  client_auth_type: RequireAndVerifyClientCert\n"
        f"  client_ca: |\n{block('ca.crt')}"
    )
    tls = load(folder, text).tls_server_config
    assert tls is not None
    assert make_context(tls).verify_mode is ssl.CERT_REQUIRED
    assert "PRIVATE KEY" not in repr(tls)


def test_an_inline_certificate_goes_with_an_empty_name_of_a_file(folder: Path) -> None:
    certificate = (folder / "server.crt").read_text().replace("\n", "\n    ")
    text = f'tls_server_config:\n  cert_file: ""\n  cert: |\n    {certificate}\n'
    tls = load(folder, text + "  key_file: server.key\n").tls_server_config
    assert tls is not None
    assert tls.cert == (folder / "server.crt").read_text()


def test_the_files_to_watch_are_those_that_were_named(folder: Path) -> None:
    settings = load(
        folder, TLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n"
    )
    names = {file.name for file in settings.files}
    assert names == {"web.yml", "server.crt", "server.key", "ca.crt"}


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_passphrase(
    folder: Path, authority: trustme.CA
) -> None:
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2-hunter2"),
        )
    )
    with pytest.raises(ConfigError, match=r"key_file: is encrypted"):
        load(folder, TLS)
