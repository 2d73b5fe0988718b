"""The configuration in use as YAML, without secrets, for the exporter's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel

from vats_exporter.config.values import HIDDEN
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from vats_exporter.config.models import Config
    from vats_exporter.privacy import Privacy


def display(config: Config, privacy: Privacy) -> str:
    """Write what a configuration file would hold, less what has its default value.

    What a model's ``repr`` leaves out is hidden, and of phone numbers what the labels hold back.
    """
    dumped = config.model_dump(mode="json", exclude_defaults=True)
    shown = _discreet(_hidden(config, dumped), privacy)
    for account in shown["accounts"]:
        if {"password_file", "password_env"} & account.keys():
            account.pop("password", None)  # it was read there
    return redact(yaml.safe_dump(shown, allow_unicode=True, sort_keys=False, width=120))


def _hidden(value: Any, dumped: Any) -> Any:
    """Hide the secrets of a model in what was made of it."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            key: _hidden(getattr(value, key), one) if fields[key].repr else HIDDEN
            for key, one in dumped.items()
        }
    if isinstance(value, list):
        return [_hidden(*pair) for pair in zip(value, dumped, strict=True)]
    return dumped


def _discreet(value: Any, privacy: Privacy) -> Any:
    if isinstance(value, dict):
        return {key: _discreet(one, privacy) for key, one in value.items()}
    if isinstance(value, list):
        return [_discreet(one, privacy) for one in value]
    return privacy.text(value) if isinstance(value, str) else value
