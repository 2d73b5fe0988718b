"""What is wrong with a configuration: one problem a line, each with the path of its key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: the key at fault, e.g. ``accounts[1].password_file``; a place such as ``line 3`` where
            the text could not be read as YAML; empty where the whole file is at fault.
        message: what is wrong with it. Never holds a password.
    """

    path: str
    message: str

    def __str__(self) -> str:
        """The path and the message, as they stand after the file's name."""
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(Exception):
    """A configuration that cannot be used.

    Attributes:
        problems: everything that is wrong with it, never empty, account by account.
        file: the configuration file.
    """

    def __init__(self, problems: Sequence[Problem], *, file: Path) -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a problem, each starting with the file's name."""
        return [f"{self.file}: {problem}" for problem in self.problems]


def key_path(keys: Iterable[str | int]) -> str:
    """Write a path of keys and indices as ``accounts[1].tls.ca_file``.

    Args:
        keys: from the top of the file downwards.

    Returns:
        the path; keys that are no plain words stand in ``["…"]``.
    """
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        elif re.fullmatch(r"[^\W\d]\w*", key):
            path += f".{key}" if path else key
        else:
            quoted = key.encode("unicode_escape").decode("ascii") if not key.isprintable() else key
            path += f'["{quoted}"]'
    return path
