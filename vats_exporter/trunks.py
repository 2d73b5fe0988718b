"""What the rest of the program talks about: trunks, their flags, and snapshots of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple


class Words(NamedTuple):
    """The same words in both languages."""

    en: str
    ru: str


@dataclass(frozen=True, eq=False)
class Flag:
    """A flag of a trunk, for everything that shows, counts or configures it."""

    key: str  # in the configuration, in JSON, in the history and as the label ``flag``
    # Which of the twelve values after a row's reference it is unless configured otherwise, from 1;
    # None if it is not in the row but in the trunk's details.
    position: int | None
    trouble: bool  # the value with which calls may not pass
    help: Words  # of the metric
    title: Words  # of a column
    on: Words  # said of a trunk that has it
    off: Words  # said of a trunk that does not have it
    only: tuple[str, str]  # the words that choose such trunks on the command line: on, off

    @cached_property
    def of(self) -> Callable[[Trunk], bool | None]:
        """Reads the flag of a trunk; ``None`` where it is not known."""
        return attrgetter(self.path)

    @property
    def path(self) -> str:
        """Where a trunk holds it."""
        return self.key if self.position is None else f"flags.{self.key}"

    @property
    def metric(self) -> str:
        """The name of its metric."""
        return f"vats_trunk_{self.key}"

    def troubles(self, trunk: Trunk) -> bool:
        """Whether calls may not pass because of it."""
        return self.of(trunk) is self.trouble

    @property
    def trouble_words(self) -> Words:
        """What is said of a trunk that it troubles."""
        return self.on if self.trouble else self.off


FLAGS: Final = (
    Flag(
        "active",
        position=4,  # this reading of the positions is the most likely one [assumed]
        trouble=False,
        help=Words("Whether the trunk is activated.", "1 — транк активирован."),
        title=Words("Active", "Включён"),
        on=Words("active", "включён"),
        off=Words("inactive", "отключён"),
        only=("active", "inactive"),
    ),
    Flag(
        "bound",
        position=6,
        trouble=False,
        help=Words(
            "Whether the trunk has a working binding.", "1 — у транка есть рабочая привязка."
        ),
        title=Words("Bound", "Привязан"),
        on=Words("bound", "привязан"),
        off=Words("unbound", "без привязки"),
        only=("bound", "unbound"),
    ),
    Flag(
        "marked_for_deletion",
        position=7,
        trouble=True,
        help=Words("Whether the trunk is marked for deletion.", "1 — транк помечен на удаление."),
        title=Words("Marked", "Помечен"),
        on=Words("marked for deletion", "помечен на удаление"),
        off=Words("not marked for deletion", "не помечен на удаление"),
        only=("marked", "unmarked"),
    ),
    Flag(
        "sip_device_enabled",
        position=None,
        trouble=False,
        help=Words(
            "Whether the selector of the trunk's SIP device is on; only with details, and with a "
            "device.",
            "1 — «ползунок» SIP-устройства включён. Только при `details: on` и если устройство "
            "есть.",
        ),
        title=Words("Selector", "«Ползунок»"),
        on=Words("selector on", "«ползунок» включён"),
        off=Words("selector off", "«ползунок» выключен"),
        only=("selector-on", "selector-off"),
    ),
)
"""Every flag. A new one is a line here and, if it is in the row, an attribute of :class:`Flags`."""

ROW_FLAGS: Final = tuple(flag for flag in FLAGS if flag.position is not None)
"""The flags that are in the list's rows, in the order of the attributes of :class:`Flags`."""

# Positions that may hold a flag: 1 and 5 are the indices of classes. [gwt]
FLAG_POSITIONS: Final = (2, 3, 4, 6, 7, 8, 9, 10, 11, 12)


class Flags(NamedTuple):
    """What the list shows of a trunk's state; :data:`ROW_FLAGS` has what each means."""

    active: bool
    bound: bool
    marked_for_deletion: bool


_PHONE: Final = re.compile(r"\s*\+?[0-9][0-9 ()\-]{8,20}\s*")
_BUT_DIGITS: Final = str.maketrans("", "", "+ ()-")
_BETWEEN_DIGITS: Final = {"Zs", "Cf", "Pd", "Ps", "Pe"}
"""Unicode's categories of blanks, invisible marks, dashes and brackets."""


@lru_cache(maxsize=1 << 15)  # each refresh shows the same texts again
def normalise_phone(text: str) -> str:
    """Write a phone that the cabinet shows as eleven digits, ``79161234567``.

    It may have ``+``, blanks, hyphens and brackets; what is no Russian phone gives an empty string.
    """
    # Most texts of a list are shorter than any phone, or begin with a letter.
    if len(text) < 10 or text[0].isalpha() or _PHONE.fullmatch(text) is None:
        return ""
    digits = text if text.isdecimal() else text.strip().translate(_BUT_DIGITS)
    if len(digits) == 11 and digits[0] in "78":
        return "7" + digits[1:]
    return "7" + digits if len(digits) == 10 and digits[0] == "9" else ""


def phone_digits(text: str) -> str:
    """Return the digits of what a person typed or pasted for a phone, or for a part of one.

    It may have ``tel:``, blanks, hyphens and brackets of any kind, and the marks of writing
    direction that telephones copy with a number; what has anything else gives an empty string.
    """
    plain = unicodedata.normalize("NFKC", text.strip())
    if plain[:4].casefold() == "tel:":
        plain = plain[4:].partition(";")[0]
    digits = "".join(
        one
        for one in plain
        if one not in "+.~\t" and unicodedata.category(one) not in _BETWEEN_DIGITS
    )
    return digits if digits.isascii() and digits.isdecimal() else ""


def read_phone(text: str) -> str:
    """Write a phone that a person typed, as :func:`phone_digits`, like :func:`normalise_phone`.

    It may also be dialled from abroad, with ``00`` or ``8~10``.
    """
    digits = phone_digits(text)
    for prefix in ("00", "810"):
        if digits.startswith(f"{prefix}7") and len(digits) == len(prefix) + 11:
            digits = digits.removeprefix(prefix)
    return normalise_phone(digits)


class Trunk(NamedTuple):
    """One SIM card or SIP line of an enterprise: a row of the cabinet's tab "Абоненты"."""

    ref: str  # its id as GWT writes a long, e.g. ``CaLztv``; stable, and the ``trunk`` label
    id: int  # the same id as a number
    phone: str  # eleven digits, e.g. ``79161234567``; empty where the cabinet does not tell
    name: str  # the person's or the place's; empty where the cabinet does not tell
    flags: Flags  # read by the configured positions
    pattern: str  # the values of the row's varying positions, e.g. ``1100``
    known: bool  # whether this pattern is one of the known ones
    line: str = ""  # of SIP, ``mobsip_9161234567``; empty where details are off or not known yet
    sip_device_enabled: bool | None = None  # the selector; None without a device, or if not read
    details_at: float | None = None  # when these two were read, since the epoch; None if not read
    expected_off: bool = False  # the configuration says that it is off on purpose

    @property
    def troubles(self) -> tuple[Flag, ...]:
        """The flags because of which calls may not pass."""
        return tuple(flag for flag in FLAGS if flag.troubles(self))


TRUNK_FIELDS: Final[dict[str, Callable[[Trunk], Any]]] = {
    "phone": attrgetter("phone"),
    "name": attrgetter("name"),
    **{flag.key: flag.of for flag in ROW_FLAGS},
    "pattern": attrgetter("pattern"),
    "known": attrgetter("known"),
    "trunk": attrgetter("ref"),
    "id": attrgetter("id"),
}
"""What JSON and CSV show of a trunk, by its key."""


class Listing(NamedTuple):
    """The trunks of one enterprise as one reading gave them: all of them, unless it says so."""

    trunks: tuple[Trunk, ...]  # in the cabinet's order; each reference once
    warnings: tuple[str, ...] = ()  # sentences on what could not be told, without personal data
    pages: int = 1  # how many were read, the empty one at the end counted
    read_by: str = ""  # "script" or "block", by which the answers were read


class Snapshot(NamedTuple):
    """Every trunk of one account, as read at one time. There are no partial snapshots."""

    trunks: tuple[Trunk, ...]  # as in the listing, like warnings and read_by
    taken_at: float  # when reading it ended, in seconds since the epoch
    warnings: tuple[str, ...] = ()
    read_by: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AccountState:
    """What is known of an account at one moment. Compared by identity: a change makes a new one."""

    account: str
    snapshot: Snapshot | None = None  # the one to serve, unless there is none, or it became stale
    result: str | None = None  # of the latest refresh; None before the first one ended
    error: str = ""  # of the latest refresh
    duration: float | None = None  # of the latest refresh, in seconds
    login_retry_at: float | None = None  # when a refused login is tried again, since the epoch
    up: bool = False  # whether the latest refresh succeeded, and its snapshot did not become stale
