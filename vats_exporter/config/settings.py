"""What the program works with once a configuration is valid: defaults applied, passwords read.

Plain, frozen values that compare equal exactly when nothing about them changed, and whose ``repr``
holds no password.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vats_exporter.history import DEFAULT_KEEP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vats_exporter.cabinet.settings import CabinetSettings

LogFormat = Literal["logfmt", "json"]
LogLevel = Literal["debug", "info", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Account:
    """One login into one cabinet.

    Attributes:
        name: what metrics and logs call it; no two accounts share one.
        cabinet: how its cabinet is reached and read.
        labels: what service discovery adds to its target.
        expected_off: the trunks that are off on purpose, by phone or reference.
        expected_off_file: more of them.
    """

    name: str
    cabinet: CabinetSettings
    labels: Mapping[str, str]
    expected_off: tuple[str, ...] = ()
    expected_off_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Cache:
    """When the cabinet is asked again.

    Attributes:
        ttl: seconds a snapshot is served before it is taken anew.
        stale: seconds after which the last good snapshot is no longer served.
    """

    ttl: float
    stale: float


@dataclass(frozen=True, slots=True)
class Details:
    """Whether, and how often, the trunks' details are read.

    Attributes:
        enabled: whether they are read at all.
        ttl: seconds after which a trunk's details are asked for again.
        concurrency: requests for them at the same time.
    """

    enabled: bool = False
    ttl: float = 3600.0
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of the trunks.

    Attributes:
        file: where; ``None`` for the process' memory alone.
        keep: seconds that events are kept.
    """

    file: Path | None = None
    keep: float = DEFAULT_KEEP


@dataclass(frozen=True, slots=True)
class Log:
    """How the log is written.

    Attributes:
        format: of a line.
        level: the least serious one that is written.
    """

    format: LogFormat
    level: LogLevel


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration.

    Attributes:
        file: where it was read from.
        accounts: at least one, in the file's order.
        cache: when the cabinet is asked again.
        log: how the log is written.
        details: whether, and how often, the trunks' details are read.
        history: where changes are remembered.
    """

    file: Path
    accounts: tuple[Account, ...]
    cache: Cache
    log: Log
    details: Details = Details()
    history: History = History()
