"""What a device form says: a trunk's SIP line, its selector, and its phone.

Two of the dispatcher's forms are known [observed]:

* **31**, the device form. It holds a list of ``AbonentDeviceRecordGWTModel``, empty where the trunk
  has no SIP device. A record begins with the trunk (a boxed long), *enabled* (the selector, a
  primitive boolean) and the device (a boxed long, or null). Its strings hold the SIP login
  ``sip_9161234567_ab1c``, right after it the SIP password, and the line ``mobsip_9161234567``.
* **32**, which answers for trunks to which 31 does not apply. It holds the phone.

Fields are read by type and order. Of the strings only their look is known, so a string is a login
or a line if it is written as one, and the password is the string that follows the login.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.trunks import normalise_phone

if TYPE_CHECKING:
    from vats_exporter.gwt import Response

DEVICE_FORM: Final = 31
"""The form with the SIP device. [observed]"""

MOBILE_FORM: Final = 32
"""The form that may answer where the device form does not apply. [observed]"""

_RECORD: Final = re.compile(r"(?:[\w$]+\.)*AbonentDeviceRecordGWTModel/\d+", re.ASCII)
_LONG: Final = re.compile(r"java\.lang\.Long/\d+", re.ASCII)
_CLASS: Final = re.compile(r"\[*[A-Za-z_$][\w$.]*;?/\d{1,10}", re.ASCII)
_LOGIN: Final = re.compile(r"sip_(\d{10})_\w+", re.ASCII)
_LINE: Final = re.compile(r"mobsip_(\d{10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Device:
    """A trunk's SIP device; texts that the form does not show are empty.

    Attributes:
        ref: its reference.
        enabled: the selector.
        line: the SIP line, ``mobsip_9161234567``.
        sip_login: ``sip_9161234567_ab1c``, a credential.
        sip_password: a credential as well.
    """

    ref: str
    enabled: bool
    line: str
    sip_login: str = field(repr=False)
    sip_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrunkDetails:
    """What the forms say of one trunk, by its reference; the phone is empty if none tells it."""

    trunk: str
    phone: str
    device: Device | None

    @property
    def line(self) -> str:
        """The SIP line; empty without a device."""
        return self.device.line if self.device else ""


def read_device_form(response: Response, trunk: str) -> TrunkDetails:
    """Read the answer to form 31, of a trunk by its reference.

    Raises:
        UndecodableError: the record does not begin as it should, or is another trunk's.
    """
    reader = _FormReader(response)
    start = reader.find(_RECORD)
    if start is None:
        return TrunkDetails(trunk, "", None)
    position = start + 1
    found, position = reader.long(position, "the record's trunk")
    if found != trunk:
        # What stands in the place of a reference is not quoted: in a broken record it may be any
        # of the record's strings.
        whose = "another trunk" if found else "none"
        raise UndecodableError(f"form {DEVICE_FORM} of {trunk}: the record is of {whose}")
    enabled, position = reader.flag(position, "the record's selector")
    device, position = reader.long(position, "the record's device")
    strings = reader.texts(position)
    line = next((text for text in strings if _LINE.fullmatch(text)), "")
    at = next((index for index, text in enumerate(strings) if _LOGIN.fullmatch(text)), None)
    login = strings[at] if at is not None else ""
    password = strings[at + 1] if at is not None and at + 1 < len(strings) else ""
    if not device:
        return TrunkDetails(trunk, _phone(login, line), None)
    return TrunkDetails(trunk, _phone(login, line), Device(device, enabled, line, login, password))


def read_mobile_form(response: Response, trunk: str) -> TrunkDetails:
    """Read the answer to form 32: the phone is the only string that looks like one."""
    phones = {phone for text in _FormReader(response).texts(0) if (phone := normalise_phone(text))}
    return TrunkDetails(trunk, phones.pop() if len(phones) == 1 else "", None)


def _phone(login: str, line: str) -> str:
    """7 and the ten digits of the SIP login [observed], or those of the line."""
    match = _LOGIN.fullmatch(login) or _LINE.fullmatch(line)
    return f"7{match[1]}" if match else ""


class _FormReader:
    """An answer's tokens in reading order."""

    def __init__(self, response: Response) -> None:
        self.stream = response.tokens[::-1]
        self.table = response.string_table

    def string(self, position: int) -> str:
        """The string that the token at a position refers to; empty where it refers to none."""
        token = self.stream[position] if position < len(self.stream) else 0
        return (
            self.table[token - 1] if isinstance(token, int) and 0 < token <= len(self.table) else ""
        )

    def find(self, pattern: re.Pattern[str]) -> int | None:
        """The first position whose string matches."""
        return next(
            (at for at in range(len(self.stream)) if pattern.fullmatch(self.string(at))), None
        )

    def long(self, position: int, what: str) -> tuple[str, int]:
        """Read a boxed long: its reference, or an empty string for null; and what follows."""
        token = self.stream[position] if position < len(self.stream) else None
        if token == 0:
            return "", position + 1
        content = self.stream[position + 1 : position + 2]
        if not _LONG.fullmatch(self.string(position)) or not isinstance(
            content[0] if content else 0, str
        ):
            raise UndecodableError(
                f"{what} is no java.lang.Long, token {position + 1} from the end"
            )
        return str(content[0]), position + 2

    def flag(self, position: int, what: str) -> tuple[bool, int]:
        """Read a primitive boolean, and what follows."""
        token = self.stream[position] if position < len(self.stream) else None
        if token not in (0, 1):
            raise UndecodableError(f"{what} is neither 0 nor 1, token {position + 1} from the end")
        return token == 1, position + 1

    def texts(self, position: int) -> list[str]:
        """The strings that the tokens from a position on refer to, class names left out."""
        strings = [self.string(at) for at in range(position, len(self.stream))]
        return [text for text in strings if text and not _CLASS.fullmatch(text)]
