"""Web configurations as a person writes them, in a folder with certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vats_exporter.web.settings import load_web_config

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.web.settings import WebSettings

CERT = "  cert_file: server.crt\n  key_file: server.key\n"
TLS = "tls_server_config:\n" + CERT


def load(folder: Path, text: str) -> WebSettings:
    file = folder / "web.yml"
    file.write_text(text, "utf-8")
    return load_web_config(file)
