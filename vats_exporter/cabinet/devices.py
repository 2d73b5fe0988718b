"""A trunk's SIP device: what its form says of line, selector and phone; and moving selectors.

Two of the dispatcher's forms are known [observed]:

* **31**, the device form: a list of ``AbonentDeviceRecordGWTModel``, empty where the trunk has no
  SIP device. A record begins with the trunk (a boxed long), *enabled* (the selector, a primitive
  boolean) and the device (a boxed long, or null). Of its strings only their look is known: the SIP
  login ``sip_9161234567_ab1c``, right after it the SIP password, the line ``mobsip_9161234567``.
* **32**, which answers for trunks to which 31 does not apply. It holds the phone.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from vats_exporter.cabinet import errors
from vats_exporter.gwt import SIGNATURE, Response
from vats_exporter.trunks import normalise_phone

DEVICE_FORM: Final = 31
MOBILE_FORM: Final = 32

_RECORD: Final = re.compile(r"(?:[\w$]+\.)*AbonentDeviceRecordGWTModel/\d+", re.ASCII)
_LONG: Final = re.compile(r"java\.lang\.Long/\d+", re.ASCII)
_LOGIN: Final = re.compile(r"sip_(\d{10})_\w+", re.ASCII)
_LINE: Final = re.compile(r"mobsip_(\d{10})", re.ASCII)

# Failures of the whole cabinet, after which no other selector of it is moved: trying again for each
# trunk would lock a login that is refused.
_STOPPING: Final = (errors.LoginRefusedError, errors.UnreachableError, errors.CabinetTimeoutError)


@dataclass(frozen=True, slots=True)
class TrunkDetails:
    """What the forms say of one trunk; texts that they do not tell are empty."""

    phone: str = ""
    device: str = ""  # the SIP device's reference
    enabled: bool | None = None  # its selector; None without a device
    line: str = ""
    sip_login: str = field(default="", repr=False)
    sip_password: str = field(default="", repr=False)


def read_device_form(response: Response, trunk: str) -> TrunkDetails:
    """Read the answer to form 31; refuse a record that begins otherwise, or of another trunk."""
    strings = _strings(response)
    start = next((at for at, text in enumerate(strings, 1) if _RECORD.fullmatch(text)), None)
    if start is None:
        return TrunkDetails()
    tokens = response.tokens[::-1]
    found, at = _long(tokens, strings, start, "the record's trunk")
    if found != trunk:
        # Not quoted: in a broken record it may be any of the record's strings.
        whose = "another trunk" if found else "none"
        raise errors.UndecodableError(f"form {DEVICE_FORM} of {trunk}: the record is of {whose}")
    enabled = tokens[at] if at < len(tokens) else None
    if enabled not in (0, 1):
        raise errors.UndecodableError(
            f"the record's selector is neither 0 nor 1, token {at + 1} from the end"
        )
    device, at = _long(tokens, strings, at + 1, "the record's device")
    texts = [text for text in strings[at:] if text and not SIGNATURE.fullmatch(text)]
    line = next(filter(_LINE.fullmatch, texts), "")
    login = next(filter(_LOGIN.fullmatch, texts), "")
    password = next(iter(texts[texts.index(login) + 1 :]), "") if login else ""
    # 7 and the ten digits of the SIP login [observed], or those of the line.
    digits = _LOGIN.fullmatch(login) or _LINE.fullmatch(line)
    phone = f"7{digits[1]}" if digits else ""
    if not device:
        return TrunkDetails(phone)
    return TrunkDetails(phone, device, enabled == 1, line, login, password)


def read_mobile_form(response: Response) -> TrunkDetails:
    """Read the answer to form 32: the phone is the only string that looks like one."""
    texts = (text for text in _strings(response) if text and not SIGNATURE.fullmatch(text))
    phones = {phone for text in texts if (phone := normalise_phone(text))}
    return TrunkDetails(phones.pop() if len(phones) == 1 else "")


def _strings(response: Response) -> list[str]:
    """For each token in reading order the string that it refers to; empty where to none."""
    table = response.string_table
    return [
        table[token - 1] if isinstance(token, int) and 0 < token <= len(table) else ""
        for token in response.tokens[::-1]
    ]


def _long(tokens: Sequence[object], strings: Sequence[str], at: int, what: str) -> tuple[str, int]:
    """Read a boxed long, empty for null; and the position after it."""
    if tokens[at : at + 1] == [0]:
        return "", at + 1
    value = tokens[at + 1] if at + 1 < len(tokens) else None
    if not isinstance(value, str) or not _LONG.fullmatch(strings[at]):
        raise errors.UndecodableError(f"{what} is no java.lang.Long, token {at + 1} from the end")
    return value, at + 2


class _Cabinet(Protocol):
    """The part of a cabinet that moving a selector needs."""

    def read_details(self, ref: str) -> TrunkDetails: ...

    def move_selector(self, ref: str, *, enabled: bool) -> None: ...


class SwitchOutcome(enum.Enum):
    """What came of moving one trunk's selector."""

    PENDING = "not done"
    STARTED = "interrupted: check it in the cabinet"
    UNCHANGED = "already so"
    CHANGED = "changed"
    NO_DEVICE = "no SIP device"
    FAILED = "failed"
    UNCLEAR = "to be checked in the cabinet"


@dataclass(slots=True)
class TrunkSwitch:
    """Moving one trunk's selector, and what has come of it so far."""

    before: bool | None = None  # where the selector was, if that is known
    after: bool | None = None  # where it was read back to be
    outcome: SwitchOutcome = SwitchOutcome.PENDING
    error: str = ""  # why it failed or is unclear
    stops: bool = False  # whether no other selector of the cabinet is to be moved

    def carry_out(self, cabinet: _Cabinet, ref: str, *, enabled: bool) -> None:
        """Read the selector, move it if it is not where it should be, and read it back.

        What the cabinet shows afterwards decides, not its answer to the call.
        """
        answered = False
        try:
            self.before = cabinet.read_details(ref).enabled
            if self.before is None:
                self.outcome = SwitchOutcome.NO_DEVICE
            elif self.before is enabled:
                self.after, self.outcome = enabled, SwitchOutcome.UNCHANGED
            else:
                self.outcome = SwitchOutcome.STARTED
                cabinet.move_selector(ref, enabled=enabled)
                answered = True
                self.after = cabinet.read_details(ref).enabled
                self.outcome = SwitchOutcome.CHANGED
                if self.after is not enabled:
                    self.outcome = SwitchOutcome.FAILED
                    self.error = "the cabinet took the change but shows the selector where it was"
        except errors.CabinetError as error:
            # A call that was answered as without a session has moved nothing.
            unmoved = isinstance(error, errors.LoginRefusedError) and not answered
            begun = self.outcome is SwitchOutcome.STARTED and not unmoved
            self.outcome = SwitchOutcome.UNCLEAR if begun else SwitchOutcome.FAILED
            self.error, self.stops = str(error), isinstance(error, _STOPPING)

    @property
    def holds(self) -> bool:
        """Whether the selector was seen to be where it should."""
        return self.outcome in (SwitchOutcome.CHANGED, SwitchOutcome.UNCHANGED)
