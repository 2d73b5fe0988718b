"""pydantic's errors → problems in the words of someone who edits a YAML file.

pydantic's own messages may quote the value at fault, which may be a password: none gets through.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from vats_exporter.config.passwords import KEYS as PASSWORD_KEYS
from vats_exporter.config.problems import Problem, key_path
from vats_exporter.config.schema import AccountKeys, CommonKeys, FileKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_FIXED: Final = {
    "missing": "missing",
    "string_type": "must be a text",
    "string_sub_type": "must be a text",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "float_type": "must be a duration such as 15s, 1h30m or 500ms",
    "path_type": "must be the path of a file",
    "is_instance_of": "must be the path of a file",
    "model_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "list_type": 'must be a list, each entry starting with "- "',
    "too_short": "must not be empty",
}

_LIMITS: Final = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
}


def problems(
    error: ValidationError, model: type[BaseModel] = FileKeys
) -> Iterator[tuple[tuple[str | int, ...], Problem]]:
    """Translate everything that pydantic found.

    Args:
        error: from validating the model.
        model: of the whole file.

    Yields:
        where in the file, as keys and indices, and the problem.
    """
    for detail in error.errors(include_url=False, include_input=False):
        keys = tuple(key for key in detail["loc"] if key != "[key]")
        yield keys, Problem(key_path(keys), _message(detail, keys, model))


def _message(detail: ErrorDetails, keys: tuple[str | int, ...], model: type[BaseModel]) -> str:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(keys, model)
    if kind == "value_error":
        # Raised by the schema's own validators, which quote no value.
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", "")
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    if kind in _LIMITS:
        limit, words = _LIMITS[kind]
        return f"must be {words} {context[limit]}"
    return _FIXED.get(kind, "not a valid value")


def _unknown(keys: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    key = str(keys[-1])
    if model is FileKeys and (place := _misplaced(keys, key)):
        return place
    known = _known_beside(keys, model)
    if close := difflib.get_close_matches(key, known, n=1, cutoff=0.7):
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; known here: {', '.join(known)}"


def _misplaced(keys: tuple[str | int, ...], key: str) -> str:
    """Say where a key belongs that stands at the wrong place; empty if it belongs nowhere."""
    if keys[0] == "defaults" and key in {"name", "login", *PASSWORD_KEYS}:
        return "each account has its own; it cannot have a default"
    if len(keys) == 1 and key in CommonKeys.model_fields:
        return "belongs to an account, or under defaults"
    if len(keys) == 1 and key in AccountKeys.model_fields:
        return "belongs to an account"
    if key in FileKeys.model_fields:
        return "belongs to the top of the file"
    return ""


def _known_beside(keys: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """The keys that may stand where an unknown one stands."""
    for key in keys[:-1]:
        if isinstance(key, str):
            model = _model_of(model.model_fields, key)
    return list(model.model_fields)


def _model_of(fields: Mapping[str, object], key: str) -> type[BaseModel]:
    annotation = getattr(fields[key], "annotation", None)
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    raise TypeError(  # pragma: no cover - a mistake in the schema
        f"{key} holds no mapping with keys of its own"
    )
