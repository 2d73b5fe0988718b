"""The schema of ``vats-exporter.yml``: every key, its type, its default and what it means.

The one place where the keys stand; the JSON schema and the reference are made from it. It says
what a file may hold. What it means for an account once the defaults are applied and the password
is read is :mod:`vats_exporter.config.settings`' affair.

Models are validated strictly, from what :mod:`vats_exporter.config.yaml_file` reads: texts. So
``login: +79161234567`` is the text it looks like, and ``page_size: "100"`` is no number.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from typing_extensions import Self

from vats_exporter.cabinet.settings import (
    DEFAULT_ADDRESS,
    DEFAULT_FILTER,
    DEFAULT_LIST_TAIL,
    DEFAULT_PAGE_SIZE,
    DEFAULT_SIGN_OUT,
    CabinetSettings,
    FlagPositions,
    Timeouts,
)
from vats_exporter.config import values
from vats_exporter.config.units import format_duration, format_size
from vats_exporter.history import DEFAULT_KEEP

_CABINET: Final = CabinetSettings()
_FLAGS: Final = FlagPositions()
_TIMEOUTS: Final = Timeouts()


def _duration_field(default: float, description: str) -> Any:
    """A field for a duration, with the default written as in the file."""
    return Field(
        default=default,
        description=description,
        json_schema_extra={"default": format_duration(default)},
    )


class Keys(BaseModel):
    """What all mappings of the file have in common: a key without a value is a key not given."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_keys_without_value(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {key: value for key, value in data.items() if value is not None or key not in known}


class TlsKeys(Keys):
    """How the cabinet's certificate is verified; it always is."""

    ca_file: values.ReadableFile | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust instead of the system's.",
    )
    security_level: values.Number | None = Field(
        default=None,
        ge=0,
        le=5,
        description="OpenSSL's security level. Cabinets with weak DH parameters need 1; without "
        "this key OpenSSL's own default applies.",
    )


class TimeoutKeys(Keys):
    """Time limits for one HTTP call to the cabinet."""

    connect: values.Duration = _duration_field(
        _TIMEOUTS.connect, "For the TCP connection and the TLS handshake."
    )
    read: values.Duration = _duration_field(_TIMEOUTS.read, "Between two pieces of a response.")
    call: values.Duration = _duration_field(
        _TIMEOUTS.call, "For the whole call, however steadily the response trickles in."
    )


class CommonKeys(Keys):
    """The keys of an account that ``defaults`` may set for all accounts."""

    address: values.Address = Field(
        default=DEFAULT_ADDRESS,
        description="The cabinet: host, https://host:port or http://host:port.",
    )
    allow_plain_http: values.Switch = Field(
        default=False,
        description="Allow an http:// address that is not this machine; passwords then cross the "
        "network unprotected.",
    )
    enterprise: values.Enterprise | None = Field(
        default=None,
        description="The enterprise's number, as in the cabinet's address after sign-in, or its "
        "reference as GWT writes it. Discovered after sign-in if not set.",
    )
    filter: values.Filter = Field(
        default=DEFAULT_FILTER,
        description="Filter of the list request, as the cabinet's own page sends it.",
    )
    page_size: values.Number = Field(
        default=DEFAULT_PAGE_SIZE, ge=1, le=10_000, description="Rows per list request."
    )
    list_tail: values.ListTail = Field(
        default=DEFAULT_LIST_TAIL,
        description="The end of the list request, with {filter}, {enterprise}, {page} and "
        "{page_size}.",
    )
    check_total: values.Switch = Field(
        default=True,
        description="Reject a list whose length differs from the total that the cabinet gives.",
    )
    permutation: values.Hash | None = Field(
        default=None,
        description="X-GWT-Permutation, 32 hexadecimal digits. Discovered if not set.",
    )
    services: dict[values.Text, values.Hash] = Field(
        default_factory=dict,
        description="Serialization policy hash by service, such as AbonentBrowserGwtService. "
        "Discovered if not set.",
    )
    signatures: values.Signatures = Field(
        default_factory=dict,
        description="Type signature by class, such as java.lang.Long: 4227064769. Discovered if "
        "not set.",
    )
    selector_method: values.MethodName | None = Field(
        default=None,
        description="Name of the service method that switches a trunk's selector; import-har finds "
        "it in a browser recording. Needed only for trunks enable and disable.",
    )
    sign_out_path: values.PathOrNothing = Field(
        default=DEFAULT_SIGN_OUT,
        description='Requested when the session is no longer needed; "" requests nothing and lets '
        "the session expire.",
    )
    max_response: values.Size = Field(
        default=_CABINET.max_response,
        ge=64 * 1024,
        description="Largest response accepted.",
        json_schema_extra={"default": format_size(_CABINET.max_response)},
    )
    tls: TlsKeys = Field(default_factory=TlsKeys, description="How certificates are verified.")
    timeouts: TimeoutKeys = Field(
        default_factory=TimeoutKeys, description="Time limits for one call to the cabinet."
    )
    labels: dict[values.LabelName, str] = Field(
        default_factory=dict,
        description="Labels that service discovery attaches to the account's target.",
    )


class AccountKeys(CommonKeys):
    """One login into one cabinet. Exactly one of the three password keys is needed."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["password"]},
                {"required": ["password_file"]},
                {"required": ["password_env"]},
            ]
        }
    )

    name: values.Text = Field(description="The account's name in metrics and logs.", max_length=200)
    login: values.Text = Field(description="The cabinet's login, such as +7-9161234567.")
    password: SecretStr | None = Field(default=None, description="The password itself.")
    password_file: values.Text | None = Field(
        default=None,
        description="File that holds the password; relative to the configuration file. One "
        "trailing line break is ignored.",
    )
    password_env: values.Text | None = Field(
        default=None, description="Environment variable that holds the password."
    )
    expected_off: list[values.TrunkName] = Field(
        default_factory=list,
        description="Trunks that are off on purpose, by phone or reference: marked by "
        "vats_trunk_expected_off, and left out of alerts.",
    )
    expected_off_file: values.ReadableFile | None = Field(
        default=None,
        description="File with more of them, one a line; # begins a comment. Read again when it "
        "changes, with the next refresh.",
    )


class CacheKeys(Keys):
    """When the cabinet is read again."""

    ttl: values.DurationOrZero = _duration_field(
        60.0,
        "How long a snapshot is served before the cabinet is read again; 0s reads it for every "
        "scrape.",
    )
    stale: values.Duration = _duration_field(
        900.0,
        "How old the last good snapshot may get while the cabinet fails; then the account's trunks "
        "leave the metrics.",
    )

    @model_validator(mode="after")
    def _stale_outlasts_ttl(self) -> Self:
        if self.stale < self.ttl:
            stale, ttl = format_duration(self.stale), format_duration(self.ttl)
            raise ValueError(f"stale ({stale}) must not be shorter than ttl ({ttl})")
        return self


class DetailsKeys(Keys):
    """The trunks' details, one request per trunk; ``details: on`` is short for the defaults."""

    enabled: values.OnOff = Field(
        default=True, description="Whether details are read: the selector, the SIP line."
    )
    ttl: values.Duration = _duration_field(
        3600.0,
        "After which a trunk's details are read again. Details older than this and cache.stale "
        "together are no longer served.",
    )
    concurrency: values.Number = Field(
        default=1,
        ge=1,
        le=8,
        description="Concurrent requests for details; each takes a connection.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        enabled = values.on_off(value)
        return {"enabled": enabled} if isinstance(enabled, bool) else value


class HistoryKeys(Keys):
    """Which flag changed and when, and which trunk appeared or disappeared."""

    file: values.FilePath | None = Field(
        default=None,
        description="SQLite file, created in an existing folder; relative to the configuration "
        "file. Without it, counters start at 0 with each start and there are no events to read.",
    )
    keep: values.Duration = _duration_field(
        DEFAULT_KEEP, "How long events are kept. Counters are not affected."
    )


class FlagKeys(Keys):
    """Which of the twelve values after a row's reference is which flag, counted from 1."""

    active: values.Position = Field(default=_FLAGS.active, description="The trunk is activated.")
    bound: values.Position = Field(default=_FLAGS.bound, description="It has a working binding.")
    marked_for_deletion: values.Position = Field(
        default=_FLAGS.marked_for_deletion, description="It is marked for deletion."
    )

    @model_validator(mode="after")
    def _positions_differ(self) -> Self:
        taken: dict[int, str] = {}
        for flag, position in self:
            other = taken.setdefault(position, flag)
            if other != flag:
                raise ValueError(f"{other} and {flag} are both at position {position}")
        return self


class LogKeys(Keys):
    """The log, on standard error. ``--log.format`` and ``--log.level`` take precedence."""

    format: Literal["logfmt", "json"] = Field(default="logfmt", description="Format of a line.")
    level: Literal["debug", "info", "warn", "error"] = Field(
        default="info", description="Lowest level that is written."
    )


class FileKeys(Keys):
    """The whole of ``vats-exporter.yml``."""

    accounts: list[AccountKeys] = Field(
        min_length=1, description="The logins whose trunks are exported."
    )
    defaults: CommonKeys = Field(
        default_factory=CommonKeys,
        description="Keys for all accounts; an account's own keys take precedence, also within "
        "mappings.",
    )
    cache: CacheKeys = Field(
        default_factory=CacheKeys, description="How long snapshots are served."
    )
    details: DetailsKeys = Field(
        default_factory=lambda: DetailsKeys(enabled=False),
        description="Whether, and how often, the trunks' details are read. Off if not given.",
    )
    history: HistoryKeys = Field(
        default_factory=HistoryKeys,
        description="Where changes of the trunks are kept, and for how long.",
    )
    flags: FlagKeys = Field(default_factory=FlagKeys, description="Which position is which flag.")
    log: LogKeys = Field(default_factory=LogKeys, description="Format and level of the log.")
