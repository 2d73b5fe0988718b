"""`--web.config.file`: what exporter-toolkit's documentation allows, and what it does not.

The names and values are that documentation's; each case is written here as a user would write it.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests.web.web_files import TLS, load
from vats_exporter.config.problems import ConfigError
from vats_exporter.web.settings import RateLimit

if TYPE_CHECKING:
    from pathlib import Path

    import trustme


HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


GOOD = {
    "empty": "",
    "tls": TLS,
    "versions": TLS + "  min_version: TLS13\n  max_version: TLS13\n",
    "old versions": TLS + "  min_version: TLS10\n  max_version: TLS12\n",
    "no client certificate": TLS + "  client_auth_type: NoClientCert\n",
    "client certificate asked for": TLS + "  client_auth_type: RequestClientCert\n",
    "client certificate verified": TLS
    + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
    "client certificate if given": TLS
    + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n",
    "client certificate if given, of the system's authorities": TLS
    + "  client_auth_type: VerifyClientCertIfGiven\n",
    "empty texts": TLS + '  cert: ""\n  key: ""\n  client_ca: ""\n  client_ca_file: ""\n'
    '  client_auth_type: ""\n',
    "client names": TLS
    + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
    + "  client_allowed_sans: [prometheus.example]\n",
    "cipher suites": TLS + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"
    "  prefer_server_cipher_suites: false\n",
    "cipher suites of TLS 1.3": TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n",
    "one curve": TLS + "  curve_preferences: [CurveP256]\n",
    "all curves": TLS + "  curve_preferences: [X25519, CurveP256, CurveP384, CurveP521]\n",
    "no HTTP/2": TLS + "http_server_config:\n  http2: false\n",
    "headers": "http_server_config:\n  headers:\n"
    "    Content-Security-Policy: \"default-src 'self'\"\n    X-Frame-Options: deny\n"
    "    X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n"
    "    Strict-Transport-Security: max-age=31536000\n",
    "users": f"basic_auth_users:\n  alice: {HASH}\n  bob: {HASH}\n",
    "open paths": f"basic_auth_users:\n  alice: {HASH}\nauth_excluded_paths: [/-/healthy]\n",
    "rate limit": "rate_limit:\n  interval: 1s\n  burst: 20\n",
    "rate limit as Go writes it": "rate_limit:\n  interval: 1.5s\n  burst: 20\n",
    "rate limit of microseconds": "rate_limit:\n  interval: 100us\n  burst: 20\n",
    "no rate limit": "rate_limit:\n  interval: 0\n",
    "sections without content": "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n",
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")  # whoever asks for it gets it
@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_the_documentation_allows_is_taken(folder: Path, text: str) -> None:
    settings = load(folder, text)
    assert (settings.tls_server_config is not None) == text.startswith(TLS)


BAD = {
    "not yaml": ("tls_server_config: [\n", "line 2, column 1"),
    "a list": ("- a\n", "must be a mapping"),
    "a list without content": ("[]\n", "must be a mapping"),
    "unknown section": ("certificates:\n", "line 1: unknown key without a value"),
    "misspelt section": ("basic_auth_user:\n", "did you mean basic_auth_users"),
    "misspelt key": (TLS + "  client_ca_fle: x\n", "did you mean client_ca_file"),
    "no certificate": ("tls_server_config:\n  key_file: server.key\n", "cert_file is missing"),
    "no key": ("tls_server_config:\n  cert_file: server.crt\n", "key_file is missing"),
    "an empty section": ("tls_server_config: {}\n", "cert_file is missing"),
    "an empty certificate": (
        'tls_server_config:\n  cert_file: ""\n  key_file: server.key\n',
        "cert_file is missing",
    ),
    "a section of a text": (
        "tls_server_config: server.crt\n",
        "tls_server_config: must be a mapping",
    ),
    "certificate twice": (TLS + "  cert: x\n", "cert and cert_file: only one of the two"),
    "certificate not there": (
        "tls_server_config:\n  cert_file: none.crt\n  key_file: server.key\n",
        "tls_server_config.cert_file: cannot read",
    ),
    "key not there": (
        "tls_server_config:\n  cert_file: server.crt\n  key_file: none.key\n",
        "tls_server_config.key_file: cannot read",
    ),
    "certificate is a text": (
        "tls_server_config:\n  cert_file: text.txt\n  key_file: server.key\n",
        "tls_server_config.cert_file: holds no certificate in PEM form",
    ),
    "key is a text": (
        "tls_server_config:\n  cert_file: server.crt\n  key_file: text.txt\n",
        "tls_server_config.key_file: holds no key in PEM form",
    ),
    "key of another": (
        "tls_server_config:\n  cert_file: server.crt\n  key_file: other.key\n",
        "tls_server_config.key_file: is not the key of the certificate",
    ),
    "inline certificate is a text": (
        "tls_server_config:\n  cert: hello\n  key_file: server.key\n",
        "tls_server_config.cert: holds no certificate in PEM form",
    ),
    "unknown version": (TLS + "  min_version: TLS111\n", "tls_server_config.min_version: must be"),
    "versions the wrong way round": (
        TLS + "  min_version: TLS13\n  max_version: TLS12\n",
        "min_version is newer than max_version",
    ),
    "unknown client policy": (
        TLS + "  client_auth_type: AskNicely\n",
        "tls_server_config.client_auth_type: must be NoClientCert",
    ),
    "any client certificate": (
        TLS + "  client_auth_type: RequireAnyClientCert\n",
        "use RequireAndVerifyClientCert",
    ),
    "authorities without a policy": (
        TLS + "  client_ca_file: ca.crt\n",
        "client_ca_file has no effect without client_auth_type",
    ),
    "policy without authorities": (
        TLS + "  client_auth_type: RequireAndVerifyClientCert\n",
        "needs client_ca_file",
    ),
    "authorities are a text": (
        TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: text.txt\n",
        "tls_server_config.client_ca_file: holds no certificate",
    ),
    "names without a policy": (
        TLS + "  client_allowed_sans: [a.example]\n",
        "client_allowed_sans needs",
    ),
    "invented cipher suite": (
        TLS + "  cipher_suites: [TLS_ECDHE_RSA_WITH_MAGIC]\n",
        "tls_server_config.cipher_suites[0]: none of Go's",
    ),
    "a cipher suite by OpenSSL's name": (
        TLS + "  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n",
        "tls_server_config.cipher_suites[0]: none of Go's",
    ),
    "invented curve": (
        TLS + "  curve_preferences: [CurveP257]\n",
        "tls_server_config.curve_preferences: must be of",
    ),
    "some curves": (
        TLS + "  curve_preferences: [CurveP256, CurveP384]\n",
        "tls_server_config.curve_preferences: one curve, or all of them",
    ),
    "another header": (
        "http_server_config:\n  headers:\n    X-Mine: 1\n",
        "http_server_config.headers: holds a header that cannot be set",
    ),
    "frame options": (
        "http_server_config:\n  headers:\n    X-Frame-Options: perhaps\n",
        "X-Frame-Options: must be deny or sameorigin",
    ),
    "content type options": (
        "http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n",
        "X-Content-Type-Options: must be nosniff",
    ),
    "header that splits the answer": (
        'http_server_config:\n  headers:\n    X-XSS-Protection: "1\\r\\nSet-Cookie: a"\n',
        "X-XSS-Protection: holds a character",
    ),
    "password in the clear": (
        "basic_auth_users:\n  alice: hunter2-hunter2\n",
        "line 2: basic_auth_users: not a bcrypt hash",
    ),
    "hash cut short": (f"basic_auth_users:\n  alice: {HASH[:-1]}\n", "not a bcrypt hash"),
    "user with a colon": (f'basic_auth_users:\n  "a:b": {HASH}\n', "holds no colon"),
    "users are a list": (f"basic_auth_users: [{HASH}]\n", "basic_auth_users: must be a mapping"),
    "open path with a pattern": (
        "auth_excluded_paths: [/-/*]\n",
        "auth_excluded_paths[0]: must be a path",
    ),
    "rate limit without a burst": ("rate_limit:\n  interval: 1s\n", "burst must be at least 1"),
    "rate limit backwards": ("rate_limit:\n  interval: -1.5s\n", "rate_limit.interval"),
    "rate limit in a list": ("rate_limit:\n  interval: [1s]\n", "rate_limit.interval"),
    "rate limit without a unit": ("rate_limit:\n  interval: 5\n", "rate_limit.interval"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_in_one_line_with_its_place(
    folder: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(folder, text)
    (line,) = raised.value.lines()
    assert line.startswith(str(folder / "web.yml"))
    assert sentence in line
    assert "hunter2" not in line
    assert HASH[:20] not in line


GO_CIPHERS = {
    "TLS_AES_128_GCM_SHA256": "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384": "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256": "TLS_CHACHA20_POLY1305_SHA256",
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
"""The suites that Go's crypto/tls names secure, and OpenSSL's names of them [ciphers(1)]."""


def test_each_of_gos_cipher_suites_is_openssls_of_another_name(folder: Path) -> None:
    tls = load(folder, TLS + f"  cipher_suites: [{', '.join(GO_CIPHERS)}]\n").tls_server_config
    assert tls is not None
    assert tls.cipher_suites == [*GO_CIPHERS.values()]
    offered = {cipher["name"] for cipher in tls.context().get_ciphers()}
    assert offered == set(GO_CIPHERS.values())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5s", 1.5),
        ("100us", 1e-4),
        ("100\u00b5s", 1e-4),
        ("100\u03bcs", 1e-4),
        ("5ns", 5e-9),
        ("30m1h", 5400.0),
        (".5h", 1800.0),
        ("1.m", 60.0),
        ("1d", 86400.0),
        ("0", 0.0),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert RateLimit.model_validate({"interval": text, "burst": 1}).interval == pytest.approx(
        seconds
    )


@pytest.mark.parametrize("text", ["", "-1s", "1", ".s", "1.5", "1s.", "1e3s", "1.5d", "\u0661s"])
def test_what_go_refuses_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a duration|has no unit"):
        RateLimit.model_validate({"interval": text, "burst": 1})


@pytest.mark.parametrize("text", ["2562048h", "9" * 5000 + "s"])
def test_a_duration_past_what_go_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too long a duration"):
        RateLimit.model_validate({"interval": text, "burst": 1})


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
    assert tls.context().verify_mode is ssl.CERT_REQUIRED
    assert "PRIVATE KEY" not in repr(tls)


def test_an_inline_certificate_goes_with_an_empty_name_of_a_file(folder: Path) -> None:
    certificate = (folder / "server.crt").read_text().replace("\n", "\n    ")
    text = f'tls_server_config:\n  cert_file: ""\n  cert: |\n    {certificate}\n'
    tls = load(folder, text + "  key_file: server.key\n").tls_server_config
    assert tls is not None
    assert tls.cert == (folder / "server.crt").read_text()


def test_settings_differ_where_one_of_their_files_does(folder: Path) -> None:
    text = TLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n"
    before = load(folder, text)
    assert load(folder, text) == before
    certificate = (folder / "ca.crt").read_text()
    (folder / "ca.crt").write_text(certificate + "\n")
    assert load(folder, text) != before


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
