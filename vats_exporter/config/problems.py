"""What is wrong with a configuration: one line for each problem, with its line and its key.

Problems quote no value, and no key but those that the exporter has: what stands where something is
wrong may be a password.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic_core import ErrorDetails

Keys = tuple[str | int, ...]
"""Where something stands in a file, from its top down: keys and indices."""

VARIABLE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
"""What other programs replace by an environment variable's value."""

_MESSAGES: Final = {
    "value_error": "{error}",  # raised by the models' own validators, which quote no value
    "literal_error": "must be {expected}",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "missing": "missing",
    **dict.fromkeys(("string_type", "string_sub_type"), "must be a text"),
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "float_type": "must be a duration such as 15s, 1h30m or 500ms",
    **dict.fromkeys(("path_type", "is_instance_of"), "must be the path of a file"),
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type"), "must be a mapping of keys"
    ),
    "list_type": 'must be a list, each entry starting with "- "',
    "too_short": "must not be empty",
}
"""What is said of pydantic's errors."""


class Problem(NamedTuple):
    """One thing that is wrong, or that is warned of."""

    path: str  # the key, e.g. accounts[1].password_file; empty for the whole file
    message: str
    line: int = 0  # from 1; 0 for the whole file
    column: int = 0  # from 1; 0 for the whole line

    def __str__(self) -> str:
        """The place and the message, as they stand after the file's name."""
        place = f"line {self.line}" if self.line else ""
        if self.column:
            place += f", column {self.column}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem], *, file: Path) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        self.file = file
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line for each problem, starting with the file's name."""
        return [f"{self.file}: {problem}" for problem in self.problems]


def known_path(keys: Keys, model: type[BaseModel]) -> tuple[str, type[BaseModel] | None]:
    """Write a place as ``accounts[1].tls.ca_file``, as far as its keys are the model's.

    The model of what stands there comes with it, unless it has no keys of its own.
    """
    path = ""
    here: type[BaseModel] | None = model
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
            continue
        if here is None or key not in here.model_fields:
            break
        path += f".{key}" if path else key
        here = _model_in(here.model_fields[key].annotation)
    return path, here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = map(_model_in, getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)


def meant(keys: Keys, model: type[BaseModel]) -> str:
    """Return the known key that the last of some keys most likely stands for; empty for none."""
    _, here = known_path(keys, model)
    known = list(here.model_fields) if here else []
    key, colon, _ = str(keys[-1]).partition(":")
    if colon and key in known:
        return key
    # What has a colon or a comma in it is a key and a value, which may be a password.
    if colon or not re.fullmatch("[A-Za-z_-]+", key):
        return ""
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.7)), "")


def problem_of(detail: ErrorDetails, model: type[BaseModel], line: int) -> Problem:
    """Describe what pydantic found in terms of the YAML file."""
    path, here = known_path(detail["loc"], model)
    if detail["type"] != "extra_forbidden":
        message = _MESSAGES.get(detail["type"], "not a valid value")
        message = message.format(**detail.get("ctx", {}))
        if detail["type"] == "literal_error":
            message = message.replace("'", "")
        if isinstance(detail["input"], str) and VARIABLE.search(detail["input"]):
            message += " (${…} is not replaced by a variable's value)"
        return Problem(path, message, line)
    key, close = str(detail["loc"][-1]), meant(detail["loc"], model)
    if close and ":" in key:
        message = f"a blank is missing after {close}:"
    elif close:
        path = f"{path}.{key}" if path else key
        message = f"unknown key; did you mean {close}?"
    elif detail["input"] is None:
        message = "unknown key without a value; put quotes around a text with a comma"
    else:
        message = f"unknown key; known here: {', '.join(here.model_fields if here else ())}"
    return Problem(path, message, line)
