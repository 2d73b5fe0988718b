"""The configuration in use as YAML, without secrets, for the exporter's pages."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from vats_exporter.config.models import Config
from vats_exporter.config.values import HIDDEN
from vats_exporter.metrics.privacy import Privacy
from vats_exporter.redaction import redact


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
            key: HIDDEN if key in fields and not fields[key].repr else _shown(of[key], one, privacy)
            for key, one in dumped.items()
        }
    if isinstance(dumped, list):
        return [_shown(*pair, privacy) for pair in zip(value, dumped, strict=True)]
    return privacy.text(dumped) if isinstance(dumped, str) else dumped
