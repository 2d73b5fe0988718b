"""The settings of ``--web.config.file``: exporter-toolkit's format, which Prometheus' users know.

Everything that exporter-toolkit's documentation names is understood, whether or not this exporter
can do it; what it can't is refused with a sentence, never silently left out where it would protect.
``auth_excluded_paths`` is not in that documentation; it is called so in the toolkit's own tests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)
from typing_extensions import Self

from vats_exporter.config.units import DURATION_PATTERN, LONGEST, parse_duration
from vats_exporter.config.values import FilePath, Number, Section, Switch, Text

if TYPE_CHECKING:
    from pathlib import Path

_CIPHERS: Final = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
"""OpenSSL's names of Go's cipher suites; those of TLS 1.3 are always on, in Go as here."""

_CURVES: Final = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
"""OpenSSL's names of Go's curves."""

_BCRYPT: Final = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)

_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
"""The headers that may be set, and what to where that is prescribed."""

_CLIENT_AUTH: Final = (
    "NoClientCert",
    "RequestClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)


def _user(name: str) -> str:
    if ":" in name:
        raise ValueError("a user's name holds no colon")
    return name


def _bcrypt_hash(value: str) -> str:
    if not _BCRYPT.fullmatch(value):
        raise ValueError(
            "not a bcrypt hash; `htpasswd -nBC 10 USER` makes one, the part after the colon"
        )
    return value


def _headers(value: dict[str, str | None]) -> dict[str, str | None]:
    for name, text in value.items():
        if name not in _HEADERS:
            raise ValueError(f"holds one that cannot be set; only {', '.join(_HEADERS)} can")
        allowed = _HEADERS[name]
        if text and allowed and text.lower() not in allowed:
            raise ValueError(f"{name}: must be {' or '.join(allowed)}")
        if text and not (text.isascii() and text.isprintable()):
            raise ValueError(f"{name}: holds a character that a header cannot")
    return value


def _cipher(name: str) -> str:
    if name not in _CIPHERS:
        raise ValueError("none of Go's secure cipher suites")
    return name


def _curves(value: list[str]) -> list[str]:
    if not set(value) <= set(_CURVES):
        raise ValueError(f"must be of {', '.join(_CURVES)}")
    if len(value) > 1 and set(value) != set(_CURVES):
        raise ValueError("one curve, or all of them; Python's OpenSSL takes no list")
    return value


def _client_auth(value: str) -> str:
    if value == "RequireAnyClientCert":
        raise ValueError(
            "RequireAnyClientCert verifies nothing and is not offered; use "
            "RequireAndVerifyClientCert"
        )
    if value not in _CLIENT_AUTH:
        raise ValueError(f"must be {', '.join(_CLIENT_AUTH[:-1])} or {_CLIENT_AUTH[-1]}")
    return value


def _open_path(path: str) -> str:
    if not path.startswith("/") or not path.isprintable() or "?" in path or "*" in path:
        raise ValueError("must be a path such as /-/healthy, without a query or a pattern")
    return path


_GO_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,  # the micro sign
    "\u03bcs": 1e-6,  # the Greek letter mu
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_GO_PIECE: Final = rf"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)({'|'.join(_GO_SECONDS)})"


def _go_duration(value: object) -> object:
    """Read a duration as Go writes it, such as ``1.5s`` and ``100us``, or as Prometheus does."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(f"(?:{_GO_PIECE})+", value):
        return parse_duration(value)
    pieces = re.findall(_GO_PIECE, value)
    seconds = sum(float(number) * _GO_SECONDS[unit] for number, unit in pieces)
    if seconds >= LONGEST:
        raise ValueError("is too long a duration")
    return seconds


_GoDuration = Annotated[
    float,
    BeforeValidator(_go_duration),
    WithJsonSchema({"type": "string", "pattern": f"^(?:(?:{_GO_PIECE})+|{DURATION_PATTERN})$"}),
]
_Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]

_TEXTS: Final = frozenset(
    {"cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type"}
)


class TlsServerSettings(Section):
    """TLS of the exporter's HTTP interface."""

    cert: str | None = None
    """The certificate, as PEM."""
    cert_file: FilePath | None = None
    """File of the certificate."""
    key: str | None = Field(default=None, repr=False)
    """Its key, as PEM."""
    key_file: FilePath | None = None
    """File of its key."""
    client_auth_type: Annotated[str, AfterValidator(_client_auth)] = "NoClientCert"
    """Whether a client certificate is requested and verified."""
    client_ca: str | None = None
    """Certificate authorities for client certificates, as PEM."""
    client_ca_file: FilePath | None = None
    """File of certificate authorities for client certificates."""
    client_allowed_sans: list[Text] = Field(default_factory=list)
    """Names one of which a client certificate must contain."""
    min_version: _Version = "TLS12"
    """Oldest TLS version accepted."""
    max_version: _Version = "TLS13"
    """Newest TLS version accepted."""
    cipher_suites: list[Annotated[str, AfterValidator(_cipher)]] = Field(default_factory=list)
    """Cipher suites up to TLS 1.2, by Go's names."""
    prefer_server_cipher_suites: Switch = True
    """Whether the server's order of suites decides."""
    curve_preferences: Annotated[list[str], AfterValidator(_curves)] = Field(default_factory=list)
    """The curve of the key exchange, by Go's name."""

    @property
    def openssl_ciphers(self) -> list[str]:
        """The suites up to TLS 1.2, by OpenSSL's names; empty for OpenSSL's own choice."""
        return [_CIPHERS[name] for name in self.cipher_suites if _CIPHERS[name]]

    @property
    def openssl_curve(self) -> str:
        """The only curve, by OpenSSL's name; empty for OpenSSL's own choice."""
        return _CURVES[self.curve_preferences[0]] if len(self.curve_preferences) == 1 else ""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_not_given(cls, data: Any) -> Any:
        """Leave out texts that are empty, which the toolkit does not tell from absent ones."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if key not in _TEXTS or value}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = self.model_fields_set
        for one in ("cert", "key", "client_ca"):
            if {one, f"{one}_file"} <= given:
                raise ValueError(f"{one} and {one}_file: only one of the two")
            if one != "client_ca" and not {one, f"{one}_file"} & given:
                raise ValueError(f"{one}_file is missing")
        has_authorities = bool({"client_ca", "client_ca_file"} & given)
        if has_authorities and self.client_auth_type == "NoClientCert":
            raise ValueError("client_ca_file has no effect without client_auth_type")
        if self.client_auth_type == "RequireAndVerifyClientCert" and not has_authorities:
            # The system's authorities, as the toolkit has it, would let in whoever has bought a
            # certificate.
            raise ValueError("client_auth_type RequireAndVerifyClientCert needs client_ca_file")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError(
                "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise ValueError("min_version is newer than max_version")
        return self


class HttpServerSettings(Section):
    """HTTP options."""

    http2: Switch = True
    """Accepted without effect: the exporter speaks HTTP/1.1."""
    headers: Annotated[dict[str, str | None], AfterValidator(_headers)] = Field(
        default_factory=dict
    )
    """Headers added to every response."""


class RateLimit(Section):
    """A token bucket for all requests together."""

    interval: _GoDuration = 0.0
    """Interval at which a token is added; 0s means no limit."""
    burst: Number = Field(default=0, ge=0)
    """Requests accepted at once."""

    @model_validator(mode="after")
    def _lets_something_through(self) -> Self:
        if self.interval > 0 and self.burst < 1:
            raise ValueError("burst must be at least 1")
        return self


class WebSettings(Section):
    """The whole of a web configuration file."""

    tls_server_config: TlsServerSettings | None = None
    """TLS, if given."""
    http_server_config: HttpServerSettings = HttpServerSettings()
    """HTTP."""
    basic_auth_users: dict[
        Annotated[Text, AfterValidator(_user)], Annotated[str, AfterValidator(_bcrypt_hash)]
    ] = Field(default_factory=dict, repr=False)
    """bcrypt hash by user; without any, no password is required."""
    auth_excluded_paths: list[Annotated[str, AfterValidator(_open_path)]] = Field(
        default_factory=list
    )
    """Paths served without a password."""
    rate_limit: RateLimit = RateLimit()
    """Limit on requests."""

    _file: Path | None = PrivateAttr(None)

    @property
    def files(self) -> tuple[Path, ...]:
        """What the settings were read from; when one changes, they are to be read again."""
        tls = self.tls_server_config
        pems = [tls.cert_file, tls.key_file, tls.client_ca_file] if tls is not None else []
        return tuple(file for file in [self._file, *pems] if file is not None)

    def with_origin(self, file: Path) -> Self:
        """Note where they were read from."""
        self._file = file
        return self
