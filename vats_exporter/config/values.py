"""The types of the values in ``vats-exporter.yml``: what text each may be written as.

Each is a type for the schema's fields, with the checks that need nothing but the value itself. All
messages are for whoever edits the file, and none quotes the value, which may be a password.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from vats_exporter.cabinet.address import parse_address
from vats_exporter.cabinet.contract import validate_list_tail
from vats_exporter.config.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size
from vats_exporter.config.yaml_file import Plain
from vats_exporter.expected_off import read_entry
from vats_exporter.gwt import LongError, decode_long
from vats_exporter.trunks import FLAG_POSITIONS

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
_ON_OFF: Final = {**_SWITCHES, "on": True, "off": False}


def _number(value: object) -> object:
    if isinstance(value, Plain) and re.fullmatch("[-+]?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value


def _switch(value: object) -> object:
    return _SWITCHES.get(value, value) if isinstance(value, Plain) else value


def on_off(value: object) -> object:
    """Read ``on`` and ``off``, or ``true`` and ``false``; leave anything else as it is."""
    return _ON_OFF.get(value, value) if isinstance(value, Plain) else value


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


def _path_or_nothing(value: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?", value, re.ASCII):
        raise ValueError('must be a path such as /logout, or ""')
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
OnOff = Annotated[bool, BeforeValidator(on_off)]
FilePath = Annotated[Path, BeforeValidator(_file)]
ReadableFile = Annotated[Path, AfterValidator(_readable), BeforeValidator(_file)]
Hash = Annotated[str, AfterValidator(_hash)]
LabelName = Annotated[str, AfterValidator(_label_name)]
Position = Annotated[Number, AfterValidator(_position)]
Address = Annotated[str, AfterValidator(_address)]
Enterprise = Annotated[Text, AfterValidator(_enterprise)]
PathOrNothing = Annotated[str, AfterValidator(_path_or_nothing)]
Filter = Annotated[Literal[-2, -1, 0], BeforeValidator(_number)]
ListTail = Annotated[str, AfterValidator(_list_tail)]
TrunkName = Annotated[Text, AfterValidator(read_entry)]
Signatures = Annotated[dict[Text, Text], AfterValidator(_signatures)]
MethodName = Annotated[str, AfterValidator(_method)]
