"""Configurations that lead to a simulated cabinet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.config import Account, Cache, Config, History, Log

if TYPE_CHECKING:
    from vats_exporter.demo import SimulatedCabinet

FILE = Path("vats-exporter.yml")


def config_of(cabinet: SimulatedCabinet, cache: Cache, history: Path | None = None) -> Config:
    """A configuration of all accounts that a simulated cabinet has."""
    return Config(
        file=FILE,
        accounts=tuple(
            Account(
                one.name,
                CabinetSettings(address=cabinet.url, login=one.login, password=one.password),
                {},
            )
            for one in cabinet.accounts
        ),
        cache=cache,
        log=Log(format="logfmt", level="info"),
        history=History(file=history),
    )
