"""Configurations that lead to a simulated cabinet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from vats_exporter.config.models import AccountSettings, CacheSettings, Config, HistorySettings

if TYPE_CHECKING:
    from vats_exporter.demo import SimulatedCabinet

Settings = TypeVar("Settings", bound=BaseModel)

FILE = Path("vats-exporter.yml")


def config_of(
    cabinet: SimulatedCabinet, cache: CacheSettings, history: Path | None = None
) -> Config:
    """A configuration of all accounts that a simulated cabinet has."""
    return Config(
        accounts=[
            AccountSettings(
                name=one.name, address=cabinet.url, login=one.login, password=one.password
            )
            for one in cabinet.accounts
        ],
        cache=cache,
        history=HistorySettings(file=history),
    ).with_origin(FILE)


def changed(settings: Settings, **changes: object) -> Settings:
    """The same settings, but for some of them."""
    return settings.model_copy(update=changes)
