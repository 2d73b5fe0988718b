"""How the exporter's own address is protected: values, whatever file they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ClientAuth = Literal[
    "NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
]
TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


@dataclass(frozen=True, slots=True)
class Pem:
    """Certificates or a key: in a file, or as they are. Exactly one is given.

    Attributes:
        file: where.
        text: what the file would hold; its ``repr`` does not show it.
    """

    file: Path | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TlsServerSettings:
    """How TLS is spoken.

    Attributes:
        cert: the server's certificate, with those between it and the authority.
        key: its key.
        client_auth: what is asked of a client.
        client_ca: who may have signed a client's certificate; where one is verified, ``None`` is
            for the system's authorities.
        client_sans: names of which a client's certificate must have one; empty for any.
        min_version: the oldest one spoken.
        max_version: the newest one.
        ciphers: OpenSSL's names of the suites up to TLS 1.2; empty for OpenSSL's own choice.
        prefer_server_ciphers: whether their order decides, and not the client's.
        curve: OpenSSL's name of the only curve; empty for OpenSSL's own choice.
    """

    cert: Pem
    key: Pem
    client_auth: ClientAuth = "NoClientCert"
    client_ca: Pem | None = None
    client_sans: tuple[str, ...] = ()
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    ciphers: tuple[str, ...] = ()
    prefer_server_ciphers: bool = True
    curve: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket for all requests together.

    Attributes:
        interval: seconds after which a token is added; 0 limits nothing.
        burst: tokens at most.
    """

    interval: float = 0.0
    burst: int = 0


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Everything about the exporter's own address that may change while it runs.

    Attributes:
        tls: ``None`` for plain HTTP.
        users: bcrypt hash by user; empty lets everybody in.
        open_paths: answered without a password.
        headers: added to every answer.
        rate_limit: on requests.
        files: what the settings were read from; when one changes, they are read again.
    """

    tls: TlsServerSettings | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    open_paths: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()
    rate_limit: RateLimit = RateLimit()
    files: tuple[Path, ...] = ()
