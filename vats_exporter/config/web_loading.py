"""From ``--web.config.file`` to :class:`WebSettings`, or to everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr, ValidationError

from vats_exporter.config import messages
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.config.web_schema import CIPHERS, CURVES, TlsServerKeys, WebFileKeys
from vats_exporter.config.yaml_file import YamlError, read_yaml
from vats_exporter.web.settings import Pem, RateLimit, TlsServerSettings, WebSettings
from vats_exporter.web.tls import TlsError, make_context

if TYPE_CHECKING:
    from pathlib import Path


def load_web_config(file: Path) -> WebSettings:
    """Read and check a web configuration, with the certificates it names.

    Args:
        file: where it is. Relative paths in it start from its folder.

    Raises:
        ConfigError: with all that is wrong with it.
    """
    try:
        raw, problems = read_yaml(file)
    except YamlError as error:
        raise ConfigError([error.problem], file=file) from None
    if raw is not None and not isinstance(raw, dict):
        raise ConfigError([*problems, Problem("", "must be a mapping of keys")], file=file)
    try:
        keys = WebFileKeys.model_validate(raw or {}, context={"folder": file.parent})
    except ValidationError as error:
        found = [problem for _, problem in messages.problems(error, WebFileKeys)]
        raise ConfigError([*problems, *found], file=file) from None
    tls = None if keys.tls_server_config is None else _tls(keys.tls_server_config)
    if tls is not None:
        problems += _tls_problems(tls)
    if problems:
        raise ConfigError(problems, file=file)
    pems = () if tls is None else (tls.cert, tls.key, tls.client_ca)
    return WebSettings(
        tls=tls,
        users={user: hashed.get_secret_value() for user, hashed in keys.basic_auth_users.items()},
        open_paths=frozenset(keys.auth_excluded_paths),
        headers=tuple(
            (name, text) for name, text in keys.http_server_config.headers.items() if text
        ),
        rate_limit=RateLimit(keys.rate_limit.interval, keys.rate_limit.burst),
        files=(file, *(pem.file for pem in pems if pem is not None and pem.file is not None)),
    )


def _tls(keys: TlsServerKeys) -> TlsServerSettings:
    has_authorities = keys.client_ca is not None or keys.client_ca_file is not None
    curves = keys.curve_preferences
    return TlsServerSettings(
        cert=_pem(keys.cert, keys.cert_file),
        key=_pem(keys.key, keys.key_file),
        client_auth=keys.client_auth_type,  # type: ignore[arg-type]  # checked by the schema
        client_ca=_pem(keys.client_ca, keys.client_ca_file) if has_authorities else None,
        client_sans=tuple(keys.client_allowed_sans),
        min_version=keys.min_version,
        max_version=keys.max_version,
        ciphers=tuple(CIPHERS[name] for name in keys.cipher_suites if CIPHERS[name]),
        prefer_server_ciphers=keys.prefer_server_cipher_suites,
        curve=CURVES[curves[0]] if len(curves) == 1 else "",
    )


def _pem(text: str | SecretStr | None, file: Path | None) -> Pem:
    shown = text.get_secret_value() if isinstance(text, SecretStr) else text
    return Pem(file, shown or "")


def _tls_problems(tls: TlsServerSettings) -> list[Problem]:
    try:
        make_context(tls)
    except TlsError as error:
        pem = {"cert": tls.cert, "key": tls.key, "client_ca": tls.client_ca}.get(error.key)
        suffix = "_file" if pem is not None and pem.file is not None else ""
        return [Problem(f"tls_server_config.{error.key}{suffix}", str(error))]
    return []
