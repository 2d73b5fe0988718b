"""From ``vats-exporter.yml`` to :class:`Config`, or to everything that is wrong with it at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from vats_exporter.cabinet.address import parse_address
from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions, Timeouts, TlsSettings
from vats_exporter.config import messages
from vats_exporter.config.passwords import PasswordError, read_password
from vats_exporter.config.problems import ConfigError, Problem, key_path
from vats_exporter.config.schema import AccountKeys, CommonKeys, FileKeys, FlagKeys
from vats_exporter.config.settings import Account, Cache, Config, Details, History, Log
from vats_exporter.config.yaml_file import YamlError, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.config.yaml_file import Value

    Located = tuple[tuple[str | int, ...], Problem]

AnyKeys = TypeVar("AnyKeys", bound=BaseModel)

_SECTIONS: Final = tuple(FileKeys.model_fields)


def load(file: Path, *, environment: Mapping[str, str] | None = None) -> Config:
    """Read, check and resolve a configuration.

    Args:
        file: where it is. Relative paths in it start from its folder.
        environment: what ``password_env`` looks into; the process' own if not given.

    Returns:
        the configuration, with the defaults applied and the passwords read.

    Raises:
        ConfigError: with all that is wrong with it.
    """
    try:
        raw, problems = read_yaml(file)
    except YamlError as error:
        raise ConfigError([error.problem], file=file) from None
    if raw is None:
        message = "is empty: it needs at least accounts, with one account"
        raise ConfigError([*problems, Problem("", message)], file=file)
    if not isinstance(raw, dict):
        message = "must be a mapping that starts with accounts:"
        raise ConfigError([*problems, Problem("", message)], file=file)
    keys, found = _validate(raw, file.parent)
    passwords, missing = _passwords(
        raw, file.parent, os.environ if environment is None else environment
    )
    found += missing
    found += _equal_names(raw)
    found += _plain_http(raw)
    if keys is None or found or problems:
        found.sort(key=_order)
        raise ConfigError([*problems, *(problem for _, problem in found)], file=file)
    return Config(
        file=file,
        accounts=tuple(
            _account(_over(account, keys.defaults), password, keys.flags)
            for account, password in zip(keys.accounts, passwords, strict=True)
        ),
        cache=Cache(ttl=keys.cache.ttl, stale=keys.cache.stale),
        details=Details(
            enabled=keys.details.enabled,
            ttl=keys.details.ttl,
            concurrency=keys.details.concurrency,
        ),
        history=History(file=keys.history.file, keep=keys.history.keep),
        log=Log(format=keys.log.format, level=keys.log.level),
    )


def _validate(raw: dict[str, Value], folder: Path) -> tuple[FileKeys | None, list[Located]]:
    try:
        return FileKeys.model_validate(raw, context={"folder": folder}), []
    except ValidationError as error:
        return None, list(messages.problems(error))


def _raw_accounts(raw: dict[str, Value]) -> list[tuple[int, dict[str, Value]]]:
    accounts = raw.get("accounts")
    if not isinstance(accounts, list):
        return []
    return [(index, one) for index, one in enumerate(accounts) if isinstance(one, dict)]


def _passwords(
    raw: dict[str, Value], folder: Path, environment: Mapping[str, str]
) -> tuple[list[str], list[Located]]:
    passwords: list[str] = []
    found: list[Located] = []
    for index, account in _raw_accounts(raw):
        path = ("accounts", index)
        try:
            passwords.append(read_password(account, path, folder=folder, environment=environment))
        except PasswordError as error:
            found += [(path, problem) for problem in error.problems]
    return passwords, found


def _equal_names(raw: dict[str, Value]) -> list[Located]:
    found: list[Located] = []
    first: dict[str, int] = {}
    for index, account in _raw_accounts(raw):
        name = account.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            path = ("accounts", index, "name")
            message = f"the same name as accounts[{first[name]}]"
            found.append((path, Problem(key_path(path), message)))
    return found


def _plain_http(raw: dict[str, Value]) -> list[Located]:
    """Addresses that would send a password in the clear; an account's or the defaults'."""
    found: list[Located] = []
    defaults = raw.get("defaults")
    shared = defaults if isinstance(defaults, dict) else {}
    for index, account in _raw_accounts(raw):
        address = account.get("address") or shared.get("address")
        allowed = account.get("allow_plain_http") or shared.get("allow_plain_http")
        # Where the text is no address at all, the schema says so.
        if not isinstance(address, str) or allowed == "true" or not _is_address(address):
            continue
        try:
            parse_address(address)
        except ValueError as error:
            path = ("accounts", index, "address")
            found.append((path, Problem(key_path(path), str(error))))
    return found


def _is_address(text: str) -> bool:
    try:
        parse_address(text, allow_plain_http=True)
    except ValueError:
        return False
    return True


def _order(located: Located) -> tuple[int, int]:
    """Sections in the schema's order, accounts in the file's; what is unknown comes last."""
    keys = located[0]
    section = _SECTIONS.index(str(keys[0])) if keys and keys[0] in _SECTIONS else len(_SECTIONS)
    index = keys[1] if len(keys) > 1 and isinstance(keys[1], int) else -1
    return section, index


def _over(keys: AnyKeys, defaults: BaseModel) -> AnyKeys:
    """Fill the keys that are not given with the defaults', in mappings key by key."""
    filled: dict[str, Any] = {}
    for name in type(defaults).model_fields:
        own, default = getattr(keys, name), getattr(defaults, name)
        if name not in keys.model_fields_set:
            filled[name] = default
        elif isinstance(own, BaseModel):
            filled[name] = _over(own, default)
        elif isinstance(own, Mapping):
            filled[name] = {**default, **own}
    return keys.model_copy(update=filled)


def _account(keys: AccountKeys, password: str, flags: FlagKeys) -> Account:
    return Account(
        name=keys.name,
        labels=keys.labels,
        cabinet=_cabinet(keys, keys.login, password, flags),
        expected_off=tuple(keys.expected_off),
        expected_off_file=keys.expected_off_file,
    )


def _cabinet(keys: CommonKeys, login: str, password: str, flags: FlagKeys) -> CabinetSettings:
    return CabinetSettings(
        address=keys.address,
        login=login,
        password=password,
        allow_plain_http=keys.allow_plain_http,
        enterprise=keys.enterprise,
        filter=keys.filter,
        page_size=keys.page_size,
        list_tail=keys.list_tail,
        check_total=keys.check_total,
        permutation=keys.permutation,
        services=keys.services,
        signatures=keys.signatures,
        flags=FlagPositions(**flags.model_dump()),
        tls=TlsSettings(**keys.tls.model_dump()),
        timeouts=Timeouts(**keys.timeouts.model_dump()),
        selector_method=keys.selector_method,
        sign_out_path=keys.sign_out_path,
        max_response=keys.max_response,
    )
