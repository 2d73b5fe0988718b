"""The configuration in use as YAML, for whoever may look at the exporter: without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from vats_exporter.config.models import Config
    from vats_exporter.metrics.privacy import Privacy


def display(config: Config, privacy: Privacy) -> str:
    """Write what a configuration file would hold, less what has its default value.

    Passwords are hidden, and of phone numbers what the labels hold back as well.
    """
    shown = _discreet(config.model_dump(mode="json", exclude_defaults=True), privacy)
    for account in shown["accounts"]:
        if {"password_file", "password_env"} & account.keys():
            account.pop("password", None)  # it was read there
    return redact(yaml.safe_dump(shown, allow_unicode=True, sort_keys=False, width=120))


def _discreet(value: Any, privacy: Privacy) -> Any:
    if isinstance(value, dict):
        return {key: _discreet(one, privacy) for key, one in value.items()}
    if isinstance(value, list):
        return [_discreet(one, privacy) for one in value]
    return privacy.text(value) if isinstance(value, str) else value
