"""The schema of ``vats-exporter.yml``: every key, its type, its default and what it means.

The one place where the keys stand; the JSON schema and the reference are made from it. It says
what a file may hold. What it means for an account once the defaults are applied and the password
is read is :mod:`vats_exporter.config.settings`' affair.

Models are validated strictly, from what :mod:`vats_exporter.config.yaml_file` reads: texts. So
``login: +79161234567`` is the text it looks like, and ``page_size: "100"`` is no number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from vats_exporter.cabinet.address import parse_address
from vats_exporter.cabinet.contract import validate_list_tail
from vats_exporter.cabinet.rows import FLAG_POSITIONS
from vats_exporter.cabinet.settings import (
    DEFAULT_ADDRESS,
    DEFAULT_FILTER,
    DEFAULT_LIST_TAIL,
    DEFAULT_PAGE_SIZE,
    CabinetSettings,
    FlagPositions,
    Timeouts,
)
from vats_exporter.config.yaml_file import Plain
from vats_exporter.gwt import LongError, decode_long
from vats_exporter.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

RESERVED_LABELS: Final = frozenset(
    {
        "account",
        "call",
        "flag",
        "known",
        "le",
        "line",
        "name",
        "pattern",
        "phone",
        "python",
        "result",
        "status",
        "trunk",
        "version",
    }
)
"""Labels of the exporter's own metrics, which a target's labels would push aside."""

_SWITCHES: Final = {"true": True, "false": False}
_CABINET: Final = CabinetSettings()
_FLAGS: Final = FlagPositions()
_TIMEOUTS: Final = Timeouts()


def _number(value: object) -> object:
    if isinstance(value, Plain) and re.fullmatch("[-+]?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value


def _switch(value: object) -> object:
    return _SWITCHES.get(value, value) if isinstance(value, Plain) else value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _positive_duration(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0s")
    return value


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _file(value: object, info: ValidationInfo) -> object:
    """Resolve a file's path against the folder of the configuration file."""
    if not isinstance(value, str):
        return value
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / value


def _readable(file: Path) -> Path:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {file}: {getattr(error, 'strerror', error)}") from None
    return file


def _line_of_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if not value.isprintable():
        raise ValueError("holds a character that cannot be shown")
    return value


def _enterprise(value: str) -> str:
    if re.fullmatch("[0-9]{1,18}", value, re.ASCII):
        return value
    try:
        decode_long(value)
    except LongError:
        raise ValueError("must be the enterprise's number, such as 2613189773") from None
    return value


def _address(value: str) -> str:
    # Whether plain HTTP is allowed is another key's affair, and checked with it.
    parse_address(value, allow_plain_http=True)
    return value


def _list_tail(value: str) -> str:
    validate_list_tail(value)
    return value


def _hash(value: str) -> str:
    if not re.fullmatch("[0-9A-Fa-f]{32}", value):
        raise ValueError("must be 32 hexadecimal digits")
    return value.upper()


def _signatures(value: dict[str, str]) -> dict[str, str]:
    """Write signatures in full, such as ``java.lang.Long/4227064769``."""
    full = {}
    for name, signature in value.items():
        number = signature.removeprefix(f"{name}/")
        if not re.fullmatch("[0-9]{1,10}", number, re.ASCII):
            raise ValueError(f"{name}: must be a number such as 4227064769")
        full[name] = f"{name}/{number}"
    return full


def _method(value: str) -> str:
    if not re.fullmatch("[A-Za-z_$][A-Za-z0-9_$]*", value, re.ASCII):
        raise ValueError("must be the name of a Java method")
    return value


def _label_name(name: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) or name.startswith("__"):
        raise ValueError("not a name for a Prometheus label")
    if name in RESERVED_LABELS:
        raise ValueError("a label of the exporter's own metrics; choose another name")
    return name


def _position(value: int) -> int:
    if value not in FLAG_POSITIONS:
        raise ValueError(f"must be one of {', '.join(map(str, FLAG_POSITIONS))}")
    return value


Text = Annotated[str, AfterValidator(_line_of_text)]
Number = Annotated[int, BeforeValidator(_number)]
Switch = Annotated[bool, BeforeValidator(_switch)]
DurationOrZero = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"}),
]
Duration = Annotated[DurationOrZero, AfterValidator(_positive_duration)]
Size = Annotated[
    int, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": f"^{SIZE_PATTERN}$"})
]
ReadableFile = Annotated[Path, AfterValidator(_readable), BeforeValidator(_file)]
Hash = Annotated[str, AfterValidator(_hash)]
LabelName = Annotated[str, AfterValidator(_label_name)]
Position = Annotated[Number, AfterValidator(_position)]


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

    ca_file: ReadableFile | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust instead of the system's.",
    )
    security_level: Number | None = Field(
        default=None,
        ge=0,
        le=5,
        description="OpenSSL's security level. Cabinets with weak DH parameters need 1; without "
        "this key OpenSSL's own level holds.",
    )


class TimeoutKeys(Keys):
    """Bounds on one HTTP call to the cabinet."""

    connect: Duration = _duration_field(
        _TIMEOUTS.connect, "For the TCP connection and the TLS handshake."
    )
    read: Duration = _duration_field(_TIMEOUTS.read, "Between two pieces of an answer.")
    call: Duration = _duration_field(
        _TIMEOUTS.call, "For the whole call, however steadily its answer drips in."
    )


class CommonKeys(Keys):
    """What an account may have and ``defaults`` may give to all accounts."""

    address: Annotated[str, AfterValidator(_address)] = Field(
        default=DEFAULT_ADDRESS,
        description="The cabinet: host, https://host:port or http://host:port.",
    )
    allow_plain_http: Switch = Field(
        default=False,
        description="Allow an http:// address that is not this machine; passwords then cross the "
        "network unprotected.",
    )
    enterprise: Annotated[Text, AfterValidator(_enterprise)] | None = Field(
        default=None,
        description="The enterprise's number, as in the cabinet's address after sign-in, or its "
        "reference as GWT writes it. Found after sign-in if not given.",
    )
    filter: Annotated[Literal[-2, -1, 0], BeforeValidator(_number)] = Field(
        default=DEFAULT_FILTER,
        description="The list request's filter, as the cabinet's own page sends it.",
    )
    page_size: Number = Field(
        default=DEFAULT_PAGE_SIZE, ge=1, le=10_000, description="Rows asked for with one request."
    )
    list_tail: Annotated[str, AfterValidator(_list_tail)] = Field(
        default=DEFAULT_LIST_TAIL,
        description="The end of the list request, with {filter}, {enterprise}, {page} and "
        "{page_size}.",
    )
    check_total: Switch = Field(
        default=True,
        description="Refuse a list whose length is not the total that the cabinet gives.",
    )
    permutation: Hash | None = Field(
        default=None,
        description="X-GWT-Permutation, 32 hexadecimal digits. Found by itself if not given.",
    )
    services: dict[Text, Hash] = Field(
        default_factory=dict,
        description="Serialization policy hash by service, such as AbonentBrowserGwtService. Found "
        "by itself if not given.",
    )
    signatures: Annotated[dict[Text, Text], AfterValidator(_signatures)] = Field(
        default_factory=dict,
        description="Type signature by class, such as java.lang.Long: 4227064769. Found by itself "
        "if not given.",
    )
    selector_method: Annotated[str, AfterValidator(_method)] | None = Field(
        default=None,
        description="Name of the service method that moves a trunk's selector; import-har finds it "
        "in a browser's recording. Needed only to switch trunks on and off.",
    )
    max_response: Size = Field(
        default=_CABINET.max_response,
        ge=64 * 1024,
        description="Size of an answer past which it is refused.",
        json_schema_extra={"default": format_size(_CABINET.max_response)},
    )
    tls: TlsKeys = Field(default_factory=TlsKeys, description="How certificates are verified.")
    timeouts: TimeoutKeys = Field(
        default_factory=TimeoutKeys, description="Bounds on one call to the cabinet."
    )
    labels: dict[LabelName, str] = Field(
        default_factory=dict,
        description="Labels that service discovery gives to the account's target.",
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

    name: Text = Field(description="What metrics and logs call the account.", max_length=200)
    login: Text = Field(description="The cabinet's login, such as +7-9161234567.")
    password: SecretStr | None = Field(default=None, description="The password itself.")
    password_file: Text | None = Field(
        default=None,
        description="File that holds the password; relative to the configuration file. One line "
        "break at its end does not count.",
    )
    password_env: Text | None = Field(
        default=None, description="Environment variable that holds the password."
    )


class CacheKeys(Keys):
    """When the cabinet is asked again."""

    ttl: DurationOrZero = _duration_field(
        60.0, "How long a snapshot is served before it is taken anew; 0s asks for every scrape."
    )
    stale: Duration = _duration_field(
        900.0,
        "How old the last good snapshot may get, while the cabinet fails, before the account's "
        "trunks leave the metrics.",
    )

    @model_validator(mode="after")
    def _stale_outlasts_ttl(self) -> CacheKeys:
        if self.stale < self.ttl:
            stale, ttl = format_duration(self.stale), format_duration(self.ttl)
            raise ValueError(f"stale ({stale}) must not be shorter than ttl ({ttl})")
        return self


class FlagKeys(Keys):
    """Which of the twelve values after a row's reference is which flag, counted from 1."""

    active: Position = Field(default=_FLAGS.active, description="The trunk is activated.")
    bound: Position = Field(default=_FLAGS.bound, description="It has a working binding.")
    marked_for_deletion: Position = Field(
        default=_FLAGS.marked_for_deletion, description="It is marked for deletion."
    )

    @model_validator(mode="after")
    def _positions_differ(self) -> FlagKeys:
        taken: dict[int, str] = {}
        for flag, position in self:
            other = taken.setdefault(position, flag)
            if other != flag:
                raise ValueError(f"{other} and {flag} are both at position {position}")
        return self


class LogKeys(Keys):
    """The log, on standard error. The flags ``--log.format`` and ``--log.level`` go before it."""

    format: Literal["logfmt", "json"] = Field(
        default="logfmt", description="How a line is written."
    )
    level: Literal["debug", "info", "warn", "error"] = Field(
        default="info", description="The least serious level that is written."
    )


class FileKeys(Keys):
    """The whole of ``vats-exporter.yml``."""

    accounts: list[AccountKeys] = Field(
        min_length=1, description="The logins whose trunks are exported."
    )
    defaults: CommonKeys = Field(
        default_factory=CommonKeys,
        description="Keys for all accounts; an account's own go before them, key by key in "
        "mappings.",
    )
    cache: CacheKeys = Field(
        default_factory=CacheKeys, description="How long snapshots are served."
    )
    flags: FlagKeys = Field(default_factory=FlagKeys, description="Which position is which flag.")
    log: LogKeys = Field(default_factory=LogKeys, description="How the log is written.")
