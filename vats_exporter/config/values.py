"""The types of the values in configuration files: what text each may be written as.

Each is a type for the models' fields, with the checks that need nothing but the value itself. No
message quotes the value, which may be a password.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

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

from vats_exporter.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from vats_exporter.config.yaml_file import Plain
from vats_exporter.expected_off import read_entry
from vats_exporter.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVED_LABELS: Final = {label for metric in METRICS for label in metric.labels} | {"le"}
"""Labels of the exporter's own metrics, which a target's labels would push aside."""

_SWITCHES: Final = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}

HIDDEN: Final = "<secret>"
"""What is shown in place of a secret, as in Prometheus."""

_LONGEST_PASSWORD: Final = 4096
"""Bytes of a password file; what is longer is another file, or a device without an end."""


def written_as(pattern: str, message: str) -> AfterValidator:
    """A text of this form."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(message)
        return value

    return AfterValidator(check)


def read_number(value: object) -> object:
    """Read a whole number without quotes; leave anything else as it is."""
    if isinstance(value, Plain) and re.fullmatch("[-+]?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value


def switch(value: object) -> object:
    """Read ``true`` and ``false``, or YAML's other words for them; leave anything else as it is."""
    return _SWITCHES.get(value.lower(), value) if isinstance(value, Plain) else value


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


def _read(file: Path, most: int) -> bytes:
    if file.is_fifo():
        raise ValueError("cannot read the file: it is a pipe, and reading it may never end")
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the file: {getattr(error, 'strerror', error)}") from None


def _readable(file: Path) -> Path:
    _read(file, 1)
    return file


def _certificates(file: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise ValueError("the file holds no certificate in PEM form") from None
    return file


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


def _password_file(file: Path) -> Path:
    password_of_file(file)
    return file


def _password_variable(name: str, info: ValidationInfo) -> str:
    password_of_variable(name, (info.context or {}).get("environment"))
    return name


def _line_of_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if not value.isprintable():
        raise ValueError("holds a character that cannot be shown")
    return value


def _not_reserved(name: str) -> str:
    if name in RESERVED_LABELS:
        raise ValueError(f"{name} is a label of the exporter's own metrics; choose another name")
    return name


Text = Annotated[str, AfterValidator(_line_of_text)]
Number = Annotated[int, BeforeValidator(read_number)]
Switch = Annotated[bool, BeforeValidator(switch)]
DurationOrZero = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"}),
]
Duration = Annotated[DurationOrZero, AfterValidator(_positive_duration)]
Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{SIZE_PATTERN}$"}),
]
FilePath = Annotated[Path, BeforeValidator(_file)]
ReadableFile = Annotated[FilePath, AfterValidator(_readable)]
CertificateFile = Annotated[ReadableFile, AfterValidator(_certificates)]
PasswordFile = Annotated[FilePath, AfterValidator(_password_file)]
PasswordVariable = Annotated[
    str,
    written_as("[A-Z_][A-Z0-9_]*", "must be an environment variable's name, in capitals"),
    AfterValidator(_password_variable),
]
Password = Annotated[str, AfterValidator(_password)]
LabelName = Annotated[
    str,
    written_as("(?!__)[A-Za-z_][A-Za-z0-9_]*", "not a name for a Prometheus label"),
    AfterValidator(_not_reserved),
]
TrunkName = Annotated[Text, AfterValidator(read_entry)]
LogLevel = Annotated[
    Literal["debug", "info", "warn", "error"],
    BeforeValidator(lambda value: "warn" if value == "warning" else value),
]


class Section(BaseModel):
    """A mapping of the file; a key without a value is a key not given."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_keys_without_value(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {key: value for key, value in data.items() if value is not None or key not in known}
