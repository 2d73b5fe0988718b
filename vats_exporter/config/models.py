"""The settings: every key of ``vats-exporter.yml``, its type, its default and what it means.

The models are what the program works with. The JSON schema and the reference are made from them and
from the texts under their keys. An account's keys that are its cabinet's are in
:mod:`vats_exporter.cabinet.settings`.

Models are strict, and read what :mod:`vats_exporter.config.yaml_file` gives: texts. So
``login: +79161234567`` is the text it looks like, and ``page_size: "100"`` is no number. Programs
give the values themselves: ``Timeouts(read=30.0)``.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, model_validator
from typing_extensions import Self

from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions, ReadingSettings
from vats_exporter.config import values
from vats_exporter.config.problems import Problem
from vats_exporter.config.values import format_duration


class SharedSettings(ReadingSettings):
    """The keys of an account that ``defaults`` may set for all accounts."""

    labels: dict[values.LabelName, str] = Field(default={})
    """Labels that service discovery attaches to the account's target."""


class AccountSettings(SharedSettings, CabinetSettings):
    """One login into one cabinet. Exactly one of the three password keys is needed."""

    name: values.Text = Field(max_length=200)
    """The account's name in metrics and logs."""
    login: values.Text
    """The cabinet's login, such as +7-9161234567."""
    expected_off: list[values.TrunkName] = Field(default=[])
    """Trunks that are off on purpose, by phone or reference: marked by vats_trunk_expected_off, and
    left out of alerts."""
    expected_off_file: values.ReadableFile | None = None
    """File with more of them, one per line; # begins a comment. Read again when it changes, with
    the next refresh."""

    def reads_like(self, other: Self) -> bool:
        """Whether the cabinet is reached and read in the same way."""
        rest: dict[str, object] = {"labels": {}, "expected_off": [], "expected_off_file": None}
        return self.model_copy(update=rest) == other.model_copy(update=rest)


class CacheSettings(values.Section):
    """When the cabinet is read again."""

    ttl: values.DurationOrZero = 60.0
    """How long a snapshot is served before the cabinet is read again; 0s reads it for every
    scrape."""
    stale: values.Duration = 900.0
    """How old the last good snapshot may get while the cabinet fails; then the account's trunks
    leave the metrics."""

    @model_validator(mode="after")
    def _stale_outlasts_ttl(self) -> Self:
        if self.stale < self.ttl:
            stale, ttl = format_duration(self.stale), format_duration(self.ttl)
            raise ValueError(f"stale ({stale}) must not be shorter than ttl ({ttl})")
        return self


class DetailsSettings(values.Section):
    """The trunks' details, one request per trunk; ``details: on`` is short for the defaults."""

    enabled: values.Switch = True
    """Whether details are read: the selector, the SIP line."""
    ttl: values.Duration = 3600.0
    """After which a trunk's details are read again. Details older than this and cache.stale
    together are no longer served."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        match values.switch(value):
            case bool(enabled):
                return {"enabled": enabled}
            case str():
                raise ValueError("must be on, off or a mapping of keys")
        return value


class HistorySettings(values.Section):
    """Which flag changed and when, and which trunk appeared or disappeared."""

    file: values.FilePath | None = None
    """SQLite file, created in an existing folder; relative to the configuration file. Without it,
    counters start at 0 with each start and there are no events to read."""
    keep: values.Duration = 90 * 86400.0
    """How long events are kept. Counters are not affected."""


class LogSettings(values.Section):
    """The log, on standard error. ``--log.format`` and ``--log.level`` take precedence."""

    format: Literal["logfmt", "json"] = "logfmt"
    """Format of a line."""
    level: values.LogLevel = "info"
    """Lowest level that is written."""


class Config(values.Section):
    """The whole of ``vats-exporter.yml``."""

    accounts: list[AccountSettings] = Field(min_length=1)
    """The logins whose trunks are exported."""
    defaults: SharedSettings = SharedSettings()
    """Keys for all accounts; an account's own keys take precedence, also within mappings."""
    cache: CacheSettings = CacheSettings()
    """How long snapshots are served."""
    details: DetailsSettings = DetailsSettings(enabled=False)
    """Whether, and how often, the trunks' details are read. Off if not given."""
    history: HistorySettings = HistorySettings()
    """Where changes of the trunks are kept, and for how long."""
    flags: FlagPositions = FlagPositions()
    """Which position is which flag."""
    log: LogSettings = LogSettings()
    """Format and level of the log."""

    _file: Path = PrivateAttr(Path())
    _warnings: tuple[Problem, ...] = PrivateAttr(())

    @property
    def file(self) -> Path:
        """Where it was read from; empty for one that a program made."""
        return self._file

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is most likely not meant as it is written."""
        return self._warnings

    def with_origin(self, file: Path, warnings: tuple[Problem, ...] = ()) -> Self:
        """Note where it was read from, and what is to be warned of."""
        self._file, self._warnings = file, warnings
        return self
