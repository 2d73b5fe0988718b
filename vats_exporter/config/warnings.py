"""What is most likely not meant as it is written, though it is no error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vats_exporter.address import parse_address
from vats_exporter.config.models import Config
from vats_exporter.config.problems import VARIABLE, Problem, known_path
from vats_exporter.expected_off import ExpectedOff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.config.yaml_file import Document

_QUOTED: Final = re.compile("[“”„‟«‘‚].*[“”‟»’]", re.DOTALL)

_WITHOUT_QUOTES: Final = ("login", "password", "password_file", "password_env", "address")
"""Keys whose values have no typographic quotes, other than names."""


def find_warnings(config: Config, document: Document) -> tuple[Problem, ...]:
    """Look for what is valid and most likely wrong.

    Args:
        config: as loaded.
        document: what it was loaded from.
    """
    return (
        *_strange_texts(document),
        *_equal_logins(config, document),
        *_wrong_lists(config, document),
    )


def _strange_texts(document: Document) -> Iterator[Problem]:
    for keys, text in document.texts():
        if VARIABLE.search(text):
            message = "${…} is not replaced by a variable's value; for a password, use password_env"
        elif keys[-1] in _WITHOUT_QUOTES and _QUOTED.fullmatch(text):
            message = "the typographic quotes are part of the value; YAML's quotes are \" and '"
        else:
            continue
        yield Problem(known_path(keys, Config)[0], message, document.line_of(keys))


def _equal_logins(config: Config, document: Document) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for index, account in enumerate(config.accounts):
        address = parse_address(account.address, allow_plain_http=True)
        other = first.setdefault((address, account.login), index)
        if other != index:
            keys = ("accounts", index, "login")
            message = f"the same login as accounts[{other}]; two sessions may end each other"
            yield Problem(known_path(keys, Config)[0], message, document.line_of(keys))


def _wrong_lists(config: Config, document: Document) -> Iterator[Problem]:
    for index, account in enumerate(config.accounts):
        for fault in ExpectedOff(file=account.expected_off_file).faults():
            key, message = fault.split(": ", 1)
            line = document.line_of(("accounts", index, key))
            yield Problem(f"accounts[{index}].{key}", message, line)


def readable_passwords(config: Config) -> Iterator[Problem]:
    """Look for passwords in files that every user of the machine can read."""
    for index, account in enumerate(config.accounts):
        if account.password_env is not None:
            continue
        key = "password" if account.password_file is None else "password_file"
        place = account.password_file or config.file
        try:
            mode = 0 if place is None else place.stat().st_mode & 0o777
        except OSError:  # gone since it was read
            continue
        if mode & 0o007:
            message = f"every user of this machine can read it: the file's mode is {mode:04o}"
            yield Problem(f"accounts[{index}].{key}", message)
