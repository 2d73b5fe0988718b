"""An account's password: from the file itself, from a file of its own or from the environment.

Works on what the file holds, not on validated keys, so that a missing password file is told along
with whatever else is wrong with the account. No message holds a password, nor what stands in a
place where people put one by mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vats_exporter.config.problems import Problem, key_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEYS: Final = ("password", "password_file", "password_env")
"""An account has exactly one of these."""

_LONGEST: Final = 4096
"""Bytes of a password file; what is longer is another file, or a device without an end."""


class PasswordError(Exception):
    """There is no password to be had.

    Attributes:
        problems: why.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read_password(
    account: Mapping[str, object],
    path: tuple[str | int, ...],
    *,
    folder: Path,
    environment: Mapping[str, str],
) -> str:
    """Find an account's password.

    Args:
        account: the account's keys as the file has them, of whatever types.
        path: where the account stands in the file.
        folder: what relative paths start from.
        environment: the environment variables.

    Returns:
        the password, not empty; an empty text where the key's value is no text at all, which the
        schema reports.

    Raises:
        PasswordError: none of the keys, more than one, or one that leads to no password.
    """
    given = [key for key in KEYS if account.get(key) is not None]
    if not given:
        message = "no password: one of password, password_file and password_env is needed"
        raise PasswordError([Problem(key_path(path), message)])
    if len(given) > 1:
        names = " and ".join([", ".join(given[:-1]), given[-1]])
        message = f"{names} exclude each other: keep one"
        raise PasswordError([Problem(key_path(path), message)])
    key = given[0]
    value = account[key]
    if not isinstance(value, str):
        return ""
    try:
        if key == "password_file":
            password = _from_file(folder / value)
        elif key == "password_env":
            password = _from_environment(value, environment)
        else:
            password = value
        _check(password)
    except ValueError as error:
        raise PasswordError([Problem(key_path((*path, key)), str(error))]) from None
    return password


def _check(password: str) -> None:
    if not password:
        raise ValueError("the password is empty")
    if any(character in password for character in "\n\r\0"):
        raise ValueError("the password holds a line break or a NUL")


def _from_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_LONGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from None
    if len(data) > _LONGEST:
        raise ValueError(f"{file} is longer than {_LONGEST} bytes: not a password")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{file} is empty")
    if "\n" in text or "\r" in text:
        raise ValueError(f"{file} holds more than one line")
    return text


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if not re.fullmatch("[A-Z_][A-Z0-9_]*", name, re.ASCII):
        raise ValueError("must be an environment variable's name, in capitals")
    if name not in environment:
        raise ValueError(f"the environment variable {name} is not set")
    if not environment[name]:
        raise ValueError(f"the environment variable {name} is empty")
    return environment[name]
