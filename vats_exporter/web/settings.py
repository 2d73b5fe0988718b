"""``--web.config.file``, in exporter-toolkit's format.

What this exporter cannot do of it is refused with a sentence where it would protect.
``auth_excluded_paths`` is not in the toolkit's documentation, but in its own tests.
"""

import os
import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from vats_exporter.address import read_ip
from vats_exporter.config import values
from vats_exporter.config.problems import ConfigError, problem_of
from vats_exporter.config.yaml_file import Document
from vats_exporter.redaction import register_secrets

# Of Go's curves, OpenSSL's names; of headers that may be set, to what, where that is prescribed.
_CURVES: Final = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
_GO_DURATION: Final = (
    r"(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+"  # two letters for micro
)


def _cipher(name: str) -> str:
    """Return OpenSSL's name of one of Go's cipher suites; those of TLS 1.3 have the same."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    theirs = name
    if "_WITH_" in name:
        theirs = re.sub("^TLS_(RSA_WITH_)?|_CBC|(?<=POLY1305)_SHA256", "", name)
        theirs = theirs.replace("_WITH_", "-").replace("AES_", "AES").replace("_", "-")
    known = {cipher["name"] for cipher in context.get_ciphers()}
    if theirs not in known or not name.startswith("TLS_"):
        raise ValueError("none of Go's secure cipher suites, or this OpenSSL does not have it")
    return theirs


def _curves(names: list[str]) -> list[str]:
    if not set(names) <= set(_CURVES):
        raise ValueError(f"must be of {', '.join(_CURVES)}")
    if len(names) > 1 and set(names) != set(_CURVES):
        raise ValueError("one curve, or all of them; Python's OpenSSL takes no list")
    return [_CURVES[name] for name in names]


def _verifying(value: object) -> object:
    if value == "RequireAnyClientCert":
        raise ValueError(f"{value} verifies nothing; use RequireAndVerifyClientCert")
    return value


def _headers(given: dict[str, str | None]) -> None:
    for name, text in given.items():
        if name not in _HEADERS:
            raise ValueError(f"holds a header that cannot be set; only {', '.join(_HEADERS)} can")
        allowed = _HEADERS[name]
        if text and allowed and text.lower() not in allowed:
            raise ValueError(f"{name}: must be {' or '.join(allowed)}")
        if text and not (text.isascii() and text.isprintable()):
            raise ValueError(f"{name}: holds a character that a header cannot")


_ClientAuth = Literal[
    "NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
]
_Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
_GoDuration = Annotated[
    float,
    values.read_by(partial(values.parse_duration, also=_GO_DURATION)),
    WithJsonSchema(
        {"type": "string", "pattern": f"^(?:{_GO_DURATION}|{values.DURATION_PATTERN})$"}
    ),
]
_User = Annotated[values.Text, values.written_as("[^:]+", "a user's name holds no colon")]
_Hash = Annotated[
    str,
    values.written_as(
        r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}",
        "not a bcrypt hash; `htpasswd -nBC 10 USER` makes one, the part after the colon",
    ),
]
_OpenPath = Annotated[
    values.Text,
    values.written_as(
        r"/[^?*]*", "must be a path such as /-/healthy, without a query or a pattern"
    ),
]


class TlsServerSettings(values.Section):
    """TLS of the exporter's HTTP interface."""

    # The keys for files hold what is in them: so settings differ where one of these does.

    cert: values.Certificates = ""
    """The certificate, as PEM."""
    cert_file: values.CertificatesOfFile = ""
    """File of the certificate."""
    key: str = Field(default="", repr=False)
    """Its key, as PEM."""
    key_file: values.PemFile = Field(default="", repr=False)
    """File of its key."""
    client_auth_type: Annotated[_ClientAuth, BeforeValidator(_verifying)] = "NoClientCert"
    """Whether a client certificate is requested and verified."""
    client_ca: values.Certificates = ""
    """Certificate authorities for client certificates, as PEM."""
    client_ca_file: values.CertificatesOfFile = ""
    """File of certificate authorities for client certificates."""
    client_allowed_sans: list[values.Text] = Field(default=[])
    """Names one of which a client certificate must contain."""
    min_version: _Version = "TLS12"
    """Oldest TLS version accepted."""
    max_version: _Version = "TLS13"
    """Newest TLS version accepted."""
    cipher_suites: list[Annotated[str, AfterValidator(_cipher)]] = Field(default=[])
    """Cipher suites up to TLS 1.2, by Go's names."""
    prefer_server_cipher_suites: values.Switch = True
    """Whether the server's order of suites decides."""
    curve_preferences: Annotated[list[str], AfterValidator(_curves)] = Field(default=[])
    """The curve of the key exchange, by Go's name."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_not_given(cls, data: Any) -> Any:
        """Leave out empty texts, which the toolkit does not tell from absent ones."""
        if not isinstance(data, dict):
            return data
        data = {key: value for key, value in data.items() if value not in ("", None)}
        for one in ("cert", "key", "client_ca"):
            if {one, f"{one}_file"} <= data.keys():
                raise ValueError(f"{one} and {one}_file: only one of the two")
        return data

    @field_validator("key", "key_file")
    @classmethod
    def _fits_the_certificate(cls, key: str, info: ValidationInfo) -> str:
        if certificate := info.data.get("cert") or info.data.get("cert_file"):
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)
        return key

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        has_authorities = self.client_ca or self.client_ca_file
        demands = self.verify_mode is ssl.CERT_REQUIRED
        if not (self.cert or self.cert_file):
            raise ValueError("cert_file is missing")
        if not (self.key or self.key_file):
            raise ValueError("key_file is missing")
        if has_authorities and self.client_auth_type == "NoClientCert":
            raise ValueError("client_ca_file has no effect without client_auth_type")
        # The toolkit takes the system's authorities, which let in whoever has bought a certificate.
        if demands and not has_authorities:
            raise ValueError("client_auth_type RequireAndVerifyClientCert needs client_ca_file")
        if self.client_allowed_sans and not demands:
            raise ValueError(
                "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise ValueError("min_version is newer than max_version")
        return self

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """How much is demanded of clients."""
        modes = {
            "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
            "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
        }
        return modes.get(self.client_auth_type, ssl.CERT_NONE)

    def context(self) -> ssl.SSLContext:
        """Make what connections are wrapped with; a :class:`ValueError` says why it can't."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.maximum_version = _VERSIONS[self.max_version]
        # Those of TLS 1.3 are always on, in Go as here.
        ciphers = [name for name in self.cipher_suites if not name.startswith("TLS_")]
        if self.min_version in {"TLS10", "TLS11"}:
            # Level 1 of OpenSSL 3 refuses the signatures that these versions are made of.
            ciphers = [*(ciphers or ["DEFAULT"]), "@SECLEVEL=0"]
        if ciphers:
            context.set_ciphers(":".join(ciphers))
        if not self.prefer_server_cipher_suites:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if len(self.curve_preferences) == 1:
            context.set_ecdh_curve(self.curve_preferences[0])
        _load(context, self.cert or self.cert_file, self.key or self.key_file)
        if authorities := self.client_ca or self.client_ca_file:
            context.load_verify_locations(cadata=authorities)
        elif self.client_auth_type == "VerifyClientCertIfGiven":
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = self.verify_mode
        context.set_alpn_protocols(["http/1.1"])
        return context


class HttpServerSettings(values.Section):
    """HTTP options."""

    http2: values.Switch = True
    """Accepted without effect: the exporter speaks HTTP/1.1."""
    headers: Annotated[dict[str, str | None], values.refused_by(_headers)] = Field(default={})
    """Headers added to every response."""


class RateLimit(values.Section):
    """A token bucket for all requests together."""

    interval: _GoDuration = 0.0
    """Interval at which a token is added; 0s means no limit."""
    burst: values.Number = Field(default=0, ge=0)
    """Requests accepted at once."""

    @model_validator(mode="after")
    def _lets_something_through(self) -> Self:
        if self.interval > 0 and self.burst < 1:
            raise ValueError("burst must be at least 1")
        return self


class WebSettings(values.Section):
    """The whole of a web configuration file."""

    tls_server_config: TlsServerSettings | None = None
    """TLS, if given."""
    http_server_config: HttpServerSettings = HttpServerSettings.model_construct()
    """HTTP."""
    basic_auth_users: dict[_User, _Hash] = Field(default={}, repr=False)
    """bcrypt hash by user; without any, no password is required."""
    auth_excluded_paths: list[_OpenPath] = Field(default=[])
    """Paths served without a password."""
    rate_limit: RateLimit = RateLimit.model_construct()
    """Limit on requests."""


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    def refuse_to_ask() -> str:
        raise ValueError("is encrypted; it must be readable without a passphrase")

    try:
        with _file_of(certificate) as certificate_file, _file_of(key) as key_file:
            context.load_cert_chain(certificate_file, key_file, refuse_to_ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError("is not the key of the certificate") from None
        raise ValueError("holds no key in PEM form") from None
    except OSError as error:  # no descriptor is left, say
        raise ValueError(f"cannot be read: {error.strerror}") from None


@contextmanager
def _file_of(pem: str) -> Iterator[str]:
    """Give a path, since Python's OpenSSL takes nothing else; in memory, where that can be."""
    in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("pem"), "w") if in_memory else TemporaryFile("w") as file:
        file.write(pem)
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def has_allowed_name(certificate: Mapping[str, Any] | None, allowed: Collection[str]) -> bool:
    """Tell whether a client's certificate, as Python reads it, has a name that is let in."""
    # OpenSSL writes an IPv6 address in full and in capitals, and people in other ways.
    names = {read_ip(name) or name for _, name in (certificate or {}).get("subjectAltName", ())}
    return not names.isdisjoint(read_ip(name) or name for name in allowed)


def load_web_config(file: Path) -> WebSettings:
    """Read and check a web configuration, with the certificates it names.

    Relative paths in it start from its folder. A :class:`ConfigError` has all that is wrong.
    """
    document = Document(file, WebSettings)
    problems, raw = document.problems, {} if document.value is None else document.value
    try:
        settings = WebSettings.model_validate(raw, context={"folder": file.parent})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            problems.append(problem_of(one, WebSettings, document.line_of(one["loc"])))
    if problems:
        raise ConfigError(problems, file=file)
    register_secrets(*settings.basic_auth_users.values())
    return settings
