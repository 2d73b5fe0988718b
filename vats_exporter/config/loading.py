"""From ``vats-exporter.yml`` to :class:`Config`, or to everything that is wrong with it; and back.

A warning is of what is valid, and most likely not meant as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vats_exporter.address import parse_address
from vats_exporter.config.models import AccountSettings, Config, SharedSettings
from vats_exporter.config.problems import VARIABLE, ConfigError, Keys, Problem, meant, problem_of
from vats_exporter.config.yaml_file import Document, Value
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.redaction import Privacy, redact, register_secrets

_PASSWORD_KEYS: Final = ("password", "password_file", "password_env")
"""An account has exactly one of these."""

_WITHOUT_DEFAULT: Final = ("name", "login", *_PASSWORD_KEYS)

_BELONGS: Final = {
    **dict.fromkeys(AccountSettings.model_fields, "belongs to an account"),
    **dict.fromkeys(SharedSettings.model_fields, "belongs to an account, or under defaults"),
    **dict.fromkeys(Config.model_fields, "belongs to the top of the file"),
}
"""What is said of keys at places that do not have them."""

_QUOTED: Final = re.compile("[“”„‟«‘‚].*[“”‟»’]", re.DOTALL)

_WITHOUT_QUOTES: Final = ("login", "password", "password_file", "password_env", "address")
"""Keys whose values have no typographic quotes, other than names."""

_HIDDEN: Final = "<secret>"  # as in Prometheus


def load(file: Path, *, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration, apply its defaults and resolve its paths.

    Relative paths start from its folder; ``password_env`` looks into the process's own environment
    unless another is given. Its passwords are kept out of the log from here on. A
    :class:`ConfigError` has all that is wrong.
    """
    document = Document(file, Config)
    problems, raw = document.problems, document.value
    if not isinstance(raw, dict):
        message = "is empty: it needs at least accounts, with one account"
        if raw is not None:
            message = "must be a mapping that starts with accounts:"
        raise ConfigError([*problems, Problem("", message)], file=file)
    errors: list[ErrorDetails] = []
    try:
        config = Config.model_validate(
            _with_defaults(raw), context={"folder": file.parent, "environment": environment}
        )
    except ValidationError as error:
        errors = error.errors(include_url=False)
    unknown = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    mistyped: set[Keys] = {(*keys[:-1], meant(keys, Config)) for keys in unknown}
    wrong = dict(_wrong_accounts(raw.get("accounts"), mistyped))
    problems += [document.problem(keys, message) for keys, message in wrong.items()]
    problems += [
        _misplaced(error, document) or problem_of(error, Config, document.line_of(error["loc"]))
        for error in _each_once(errors, document)
        if error["type"] != "missing" or error["loc"] not in mistyped
        if error["loc"][-1] not in _PASSWORD_KEYS or error["loc"][:-1] not in wrong
    ]
    if problems:
        raise ConfigError(problems, file=file)
    register_secrets(*(text for one in config.accounts for text in (one.password, one.proxy_url)))
    return config.with_origin(file, (*_strange_texts(document), *_suspicious(config, document)))


def _with_defaults(raw: dict[str, Value]) -> dict[str, Value]:
    """Give each account the keys that it does not have itself, in mappings key by key."""
    accounts, defaults = raw.get("accounts"), raw.get("defaults")
    if not isinstance(accounts, list):
        return raw
    shared: Value = {"flags": raw.get("flags")}
    if isinstance(defaults, dict):
        known = SharedSettings.model_fields
        shared = _over({key: value for key, value in defaults.items() if key in known}, shared)
    filled = [_over(one, shared) if isinstance(one, dict) else one for one in accounts]
    return {**raw, "accounts": filled}


def _over(own: Value, default: Value) -> Value:
    if own is None:
        return default
    if isinstance(own, dict) and isinstance(default, dict):
        return {**default, **{key: _over(value, default.get(key)) for key, value in own.items()}}
    return own


def _each_once(errors: list[ErrorDetails], document: Document) -> list[ErrorDetails]:
    """Leave out what is wrong with an account only because it is wrong with what it was given."""
    told = {(one["loc"][-1:], one["msg"]) for one in errors if one["loc"][:1] != ("accounts",)}
    return [
        one
        for one in errors
        if one["loc"][:1] != ("accounts",)
        or one["loc"] in document.lines
        or (one["loc"][-1:], one["msg"]) not in told
    ]


def _misplaced(error: ErrorDetails, document: Document) -> Problem | None:
    """Say where a key belongs that is right, and stands at the wrong place."""
    *parents, key = error["loc"]
    message = _BELONGS.get(str(key)) if error["type"] == "extra_forbidden" else None
    if message is None:
        return None
    if parents == ["defaults"] and key in _WITHOUT_DEFAULT:
        message = "each account has its own; it cannot have a default"
    where = document.problem(tuple(parents), message, document.line_of(error["loc"]))
    return where._replace(path=f"{where.path}.{key}" if where.path else str(key))


def _wrong_accounts(accounts: Value, mistyped: set[Keys]) -> Iterator[tuple[Keys, str]]:
    """Find accounts of the same name, and those that do not have exactly one password."""
    names: dict[str, int] = {}
    for index, account in enumerate(accounts if isinstance(accounts, list) else ()):
        if not isinstance(account, dict):
            continue
        keys: Keys = ("accounts", index)
        name = account.get("name")
        if isinstance(name, str) and names.setdefault(name, index) != index:
            yield (*keys, "name"), f"the same name as accounts[{names[name]}]"
        given = [key for key in _PASSWORD_KEYS if account.get(key) is not None]
        if len(given) > 1:
            both = " and ".join([", ".join(given[:-1]), given[-1]])
            yield keys, f"{both} exclude each other: keep one"
        elif not given and not any((*keys, key) in mistyped for key in _PASSWORD_KEYS):
            yield keys, "no password: one of password, password_file and password_env is needed"


def _strange_texts(document: Document) -> Iterator[Problem]:
    for keys, text in document.texts:
        if VARIABLE.search(text):
            message = "${…} is not replaced by a variable's value; for a password, use password_env"
            yield document.problem(keys, message)
        elif keys[-1] in _WITHOUT_QUOTES and _QUOTED.fullmatch(text):
            message = "the typographic quotes are part of the value; YAML's quotes are \" and '"
            yield document.problem(keys, message)


def _suspicious(config: Config, document: Document) -> Iterator[Problem]:
    """Find logins that are given twice, and lists of trunks that cannot be used."""
    logins: dict[tuple[str, str], int] = {}
    for index, account in enumerate(config.accounts):
        address = parse_address(account.address, allow_plain_http=True)
        other = logins.setdefault((address, account.login), index)
        if other != index:
            message = f"the same login as accounts[{other}]; two sessions may end each other"
            yield document.problem(("accounts", index, "login"), message)
        for fault in ExpectedOff(file=account.expected_off_file).faults():
            key, message = fault.split(": ", 1)
            yield document.problem(("accounts", index, key), message)


def readable_passwords(config: Config) -> Iterator[Problem]:
    """Look for passwords in files that every user of the machine can read."""
    for index, account in enumerate(config.accounts):
        if account.password_env is not None:
            continue
        key = "password" if account.password_file is None else "password_file"
        try:
            mode = (account.password_file or config.file).stat().st_mode & 0o777
        except OSError:  # gone since it was read
            continue
        if mode & 0o007:
            message = f"every user of this machine can read it: the file's mode is {mode:04o}"
            yield Problem(f"accounts[{index}].{key}", message)


def display(config: Config, privacy: Privacy) -> str:
    """Write what a configuration file would hold, less what has its default value.

    What a model's ``repr`` leaves out is hidden, and of phone numbers what the labels hold back.
    """
    shown = _shown(config, config.model_dump(mode="json", exclude_defaults=True), privacy)
    for account in shown["accounts"]:
        if {"password_file", "password_env"} & account.keys():
            account.pop("password", None)  # it was read there
    return redact(yaml.safe_dump(shown, allow_unicode=True, sort_keys=False, width=120))


def _shown(value: Any, dumped: Any, privacy: Privacy) -> Any:
    """Hold back the secrets of a value, and its phone numbers, in what was made of it."""
    if isinstance(dumped, dict):
        fields = type(value).model_fields if isinstance(value, BaseModel) else {}
        of = dict(value)
        return {
            key: _HIDDEN
            if key in fields and not fields[key].repr
            else _shown(of[key], one, privacy)
            for key, one in dumped.items()
        }
    if isinstance(dumped, list):
        return [_shown(*pair, privacy) for pair in zip(value, dumped, strict=True)]
    return privacy.text(dumped) if isinstance(dumped, str) else dumped
