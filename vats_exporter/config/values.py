"""The types of the values in configuration files: what text each may be written as.

Each is a type for the models' fields, with the checks that need nothing but the value itself. No
message quotes the value, which may be a password. Durations are written as in Prometheus'
configuration files, ``1h30m`` or ``500ms``, and sizes as ``512KB``, in powers of 1024.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from vats_exporter.config.yaml_file import Plain
from vats_exporter.expected_off import read_entry
from vats_exporter.metrics.table import METRICS

RESERVED_LABELS: Final = {label for metric in METRICS for label in metric.labels} | {"le"}
"""Labels of the exporter's own metrics, which a target's labels would push aside."""

_SWITCHES: Final = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}

_SECONDS: Final = {
    "y": 365 * 86400.0,
    "w": 7 * 86400.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_UNITS: Final = _SECONDS | {"us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ns": 1e-9}
_BYTES: Final = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}

DURATION_PATTERN: Final = "(?=[0-9])" + "".join(f"(?:([0-9]+){unit})?" for unit in _SECONDS)
SIZE_PATTERN: Final = "([0-9]+)([KMG]?B)"

_LONGEST: Final = 2**63 / 1e9  # Prometheus keeps durations as 64-bit nanoseconds: 292 years

# Bytes of files; what is longer is another file, or a device without an end.
_LONGEST_PASSWORD: Final = 4096
_LONGEST_PEM: Final = 4 * 1024 * 1024


def parse_duration(text: str, also: str = "0") -> float:
    """Read a duration such as ``1h30m``, in seconds; a ``ValueError`` says what was expected.

    It may also be written in another way, which is a pattern of numbers with units.
    """
    if not re.fullmatch(f"0|{DURATION_PATTERN}|{also}", text):
        if re.fullmatch("[0-9]+", text):
            raise ValueError(f"has no unit: write {text}s, {text}m or {text}ms")
        raise ValueError("must be a duration such as 15s, 1h30m or 500ms")
    pieces = re.findall("([0-9.]+)([^0-9.]+)", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in pieces)
    if seconds >= _LONGEST:
        raise ValueError("is too long a duration")
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration with the fewest units, to the millisecond: 5400.0 is ``1h30m``."""
    left = round(seconds * 1000)
    written = []
    for unit in ("d", "h", "m", "s", "ms"):  # years and weeks read worse than days
        count, left = divmod(left, round(_SECONDS[unit] * 1000))
        if count:
            written.append(f"{count}{unit}")
    return "".join(written) or "0s"


def parse_size(text: str) -> int:
    """Read a size such as ``64MB``, in bytes; a ``ValueError`` says what was expected."""
    match = re.fullmatch(SIZE_PATTERN, text)
    if match is None or len(match[1]) > 15:
        raise ValueError("must be a size such as 512KB, 64MB or 1GB")
    return int(match[1]) * _BYTES[match[2]]


def format_size(count: int) -> str:
    """Write a size with the greatest unit that leaves a whole number: 67108864 is ``64MB``."""
    unit = next(unit for unit, factor in reversed(_BYTES.items()) if count % factor == 0)
    return f"{count // _BYTES[unit]}{unit}"


def read_by(parse: Callable[[str], object]) -> BeforeValidator:
    """A text that a function reads; anything else stays as it is."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def refused_by(check: Callable[[Any], object]) -> AfterValidator:
    """A value that is kept as it is, unless a function raises ``ValueError`` for it."""

    def validate(value: object) -> object:
        check(value)
        return value

    return AfterValidator(validate)


def must(be_right: Callable[[Any], object], message: str) -> AfterValidator:
    """A value that a function takes for right."""

    def check(value: object) -> None:
        if not be_right(value):
            raise ValueError(message)

    return refused_by(check)


def written_as(pattern: str, message: str) -> AfterValidator:
    """A text of this form."""
    return must(lambda text: re.fullmatch(pattern, text, re.ASCII), message)


def read_number(value: object) -> object:
    """Read a whole number without quotes; leave anything else as it is."""
    if isinstance(value, Plain) and re.fullmatch("[-+]?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value


def switch(value: object) -> object:
    """Read ``true`` and ``false``, or YAML's other words for them; leave anything else as it is."""
    return _SWITCHES.get(value.lower(), value) if isinstance(value, Plain) else value


def _file(value: object, info: ValidationInfo) -> object:
    """Resolve a file's path against the folder of the configuration file."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / value if isinstance(value, str) else value


def _read(file: Path, most: int) -> bytes:
    if file.is_fifo():
        raise ValueError("cannot read the file: it is a pipe, and reading it may never end")
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the file: {getattr(error, 'strerror', error)}") from None


def _pem(file: object) -> object:
    """Read a file of PEM. What stands between its parts may be in any encoding."""
    return _read(file, _LONGEST_PEM).decode("ascii", "ignore") if isinstance(file, Path) else file


@lru_cache(maxsize=8)  # most accounts have the same
def _certificates(pem: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError):
        raise ValueError("holds no certificate in PEM form") from None


def _password(password: str) -> str:
    if not password:
        raise ValueError("the password is empty")
    if any(character in password for character in "\n\r\0"):
        raise ValueError("the password holds a line break or a NUL")
    return password


def password_of_file(file: Path) -> str:
    """Read a password file, which has one line; a ``ValueError`` if it holds no password."""
    data = _read(file, _LONGEST_PASSWORD + 1)
    if len(data) > _LONGEST_PASSWORD:
        raise ValueError(f"the file is longer than {_LONGEST_PASSWORD} bytes: not a password")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("the file is empty")
    if "\n" in text or "\r" in text:
        raise ValueError("the file holds more than one line")
    return _password(text)


def password_of_variable(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Read an environment variable; a ``ValueError`` if it holds no password."""
    password = (os.environ if environment is None else environment).get(name)
    if password is None:
        raise ValueError("this environment variable is not set")
    if not password:
        raise ValueError("this environment variable is empty")
    return _password(password)


def _password_variable(name: str, info: ValidationInfo) -> str:
    password_of_variable(name, (info.context or {}).get("environment"))
    return name


def _not_reserved(name: str) -> None:
    if name in RESERVED_LABELS:
        raise ValueError(f"{name} is a label of the exporter's own metrics; choose another name")


Text = Annotated[
    str,
    must(str.strip, "must not be empty"),
    must(str.isprintable, "holds a character that cannot be shown"),
]
Number = Annotated[int, BeforeValidator(read_number)]
Switch = Annotated[bool, BeforeValidator(switch)]
DurationOrZero = Annotated[
    float,
    read_by(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"}),
]
Duration = Annotated[DurationOrZero, must(lambda seconds: seconds > 0, "must be longer than 0s")]
Size = Annotated[
    int,
    read_by(parse_size),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{SIZE_PATTERN}$"}),
]
FilePath = Annotated[Path, BeforeValidator(_file)]
ReadableFile = Annotated[FilePath, refused_by(lambda file: _read(file, 1))]
Certificates = Annotated[str, refused_by(_certificates)]
CertificateFile = Annotated[FilePath, refused_by(lambda file: _certificates(_pem(file)))]
PemFile = Annotated[
    str,
    BeforeValidator(lambda file, info: _pem(_file(file, info))),
    WithJsonSchema({"type": "string", "format": "path"}),
]
CertificatesOfFile = Annotated[PemFile, refused_by(_certificates)]
PasswordFile = Annotated[FilePath, refused_by(password_of_file)]
PasswordVariable = Annotated[
    str,
    written_as("[A-Z_][A-Z0-9_]*", "must be an environment variable's name, in capitals"),
    AfterValidator(_password_variable),
]
Password = Annotated[str, refused_by(_password)]
LabelName = Annotated[
    str,
    written_as("(?!__)[A-Za-z_][A-Za-z0-9_]*", "not a name for a Prometheus label"),
    refused_by(_not_reserved),
]
TrunkName = Annotated[Text, AfterValidator(read_entry)]
LogLevel = Annotated[
    Literal["debug", "info", "warn", "error"],
    BeforeValidator(lambda value: "warn" if value == "warning" else value),
]


class Section(BaseModel):
    """A mapping of the file; a key without a value is a key not given."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # most are only parts of others; building each took 15 ms of the start
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_keys_without_value(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {key: value for key, value in data.items() if value is not None or key not in known}
