"""The schema of ``--web.config.file``: exporter-toolkit's format, which Prometheus' users know.

Everything that exporter-toolkit's documentation names is understood, whether or not this exporter
can do it; what it can't is refused with a sentence, never silently left out where it would protect.
``auth_excluded_paths`` is not in that documentation; it is called so in the toolkit's own tests.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    WithJsonSchema,
    model_validator,
)
from typing_extensions import Self

from vats_exporter.config import values
from vats_exporter.config.schema import Keys
from vats_exporter.config.units import GO_DURATION_PATTERN, parse_go_duration

CIPHERS: Final = {
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

CURVES: Final = {
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


def _users(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for user, hashed in value.items():
        if ":" in user:
            raise ValueError(f"{user}: a user's name holds no colon")
        if not _BCRYPT.fullmatch(hashed.get_secret_value()):
            raise ValueError(
                f"{user}: not a bcrypt hash; `htpasswd -nBC 10 {user}` makes one, the part after "
                "the colon"
            )
    return value


def _headers(value: dict[str, str | None]) -> dict[str, str | None]:
    for name, text in value.items():
        if name not in _HEADERS:
            raise ValueError(f"{name}: cannot be set; only {', '.join(_HEADERS)}")
        allowed = _HEADERS[name]
        if text and allowed and text.lower() not in allowed:
            raise ValueError(f"{name}: must be {' or '.join(allowed)}")
        if text and not (text.isascii() and text.isprintable()):
            raise ValueError(f"{name}: holds a character that a header cannot")
    return value


def _ciphers(value: list[str]) -> list[str]:
    for name in value:
        if name not in CIPHERS:
            raise ValueError("holds a name that is none of Go's secure cipher suites")
    return value


def _curves(value: list[str]) -> list[str]:
    for name in value:
        if name not in CURVES:
            raise ValueError(f"must be of {', '.join(CURVES)}")
    if len(value) > 1 and set(value) != set(CURVES):
        raise ValueError("one curve, or all of them; Python's OpenSSL takes no list")
    return value


def _client_auth(value: str) -> str:
    if value == "RequireAnyClientCert":
        raise ValueError(
            "RequireAnyClientCert verifies nothing and is not offered; use "
            "RequireAndVerifyClientCert"
        )
    known = (
        "NoClientCert",
        "RequestClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    )
    if value not in known:
        raise ValueError(f"must be {', '.join(known[:-1])} or {known[-1]}")
    return value


def _open_paths(value: list[str]) -> list[str]:
    for path in value:
        if not path.startswith("/") or not path.isprintable() or "?" in path or "*" in path:
            raise ValueError("must be paths such as /-/healthy, without a query or a pattern")
    return value


def _go_duration(value: object) -> object:
    return parse_go_duration(value) if isinstance(value, str) else value


_GoDuration = Annotated[
    float,
    BeforeValidator(_go_duration),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{GO_DURATION_PATTERN})$"}),
]
_Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


_TEXTS: Final = frozenset(
    {"cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type"}
)


class TlsServerKeys(Keys):
    """TLS of the exporter's HTTP interface."""

    cert: str | None = Field(default=None, description="The certificate, as PEM.")
    cert_file: values.FilePath | None = Field(default=None, description="File of the certificate.")
    key: SecretStr | None = Field(default=None, description="Its key, as PEM.")
    key_file: values.FilePath | None = Field(default=None, description="File of its key.")
    client_auth_type: Annotated[str, AfterValidator(_client_auth)] = Field(
        default="NoClientCert",
        description="Whether a client certificate is requested and verified.",
    )
    client_ca: str | None = Field(
        default=None, description="Certificate authorities for client certificates, as PEM."
    )
    client_ca_file: values.FilePath | None = Field(
        default=None, description="File of certificate authorities for client certificates."
    )
    client_allowed_sans: list[values.Text] = Field(
        default_factory=list,
        description="Names one of which a client certificate must contain.",
    )
    min_version: _Version = Field(default="TLS12", description="Oldest TLS version accepted.")
    max_version: _Version = Field(default="TLS13", description="Newest TLS version accepted.")
    cipher_suites: Annotated[list[str], AfterValidator(_ciphers)] = Field(
        default_factory=list, description="Cipher suites up to TLS 1.2, by Go's names."
    )
    prefer_server_cipher_suites: values.Switch = Field(
        default=True, description="Whether the server's order of suites decides."
    )
    curve_preferences: Annotated[list[str], AfterValidator(_curves)] = Field(
        default_factory=list, description="The curve of the key exchange, by Go's name."
    )

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


class HttpServerKeys(Keys):
    """HTTP options."""

    http2: values.Switch = Field(
        default=True, description="Accepted without effect: the exporter speaks HTTP/1.1."
    )
    headers: Annotated[dict[str, str | None], AfterValidator(_headers)] = Field(
        default_factory=dict, description="Headers added to every response."
    )


class RateLimitKeys(Keys):
    """A token bucket for all requests together."""

    interval: _GoDuration = Field(
        default=0.0, description="Interval at which a token is added; 0s means no limit."
    )
    burst: values.Number = Field(default=0, ge=0, description="Requests accepted at once.")

    @model_validator(mode="after")
    def _lets_something_through(self) -> Self:
        if self.interval > 0 and self.burst < 1:
            raise ValueError("burst must be at least 1")
        return self


class WebFileKeys(Keys):
    """The whole of a web configuration file."""

    tls_server_config: TlsServerKeys | None = Field(default=None, description="TLS, if given.")
    http_server_config: HttpServerKeys = Field(default_factory=HttpServerKeys, description="HTTP.")
    basic_auth_users: Annotated[dict[values.Text, SecretStr], AfterValidator(_users)] = Field(
        default_factory=dict,
        description="bcrypt hash by user; without any, no password is required.",
    )
    auth_excluded_paths: Annotated[list[str], AfterValidator(_open_paths)] = Field(
        default_factory=list, description="Paths served without a password."
    )
    rate_limit: RateLimitKeys = Field(
        default_factory=RateLimitKeys, description="Limit on requests."
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_nothing(cls, data: Any) -> Any:
        return {} if data is None else data
