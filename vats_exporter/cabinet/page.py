"""One page of the tab "Абоненты", whichever reader read it, and the trunks that pages make up.

A row stands in the answer, as the server writes it, as the reference and twelve values [user]::

    'CaXXXX',2,0,0,1,8,1,0,0,0,0,0,0
             1 2 3 4 5 6 7 8 9 …  12

1 is the index of ``java.lang.Long``. What stands at 5, and whether it is one token with 4, depends
on the kind of the flag at 4, which is not known (CONTRACT, section 2). The others are flags.

Which of the other texts are phones and names is told from how the values of a column look over all
pages: a phone by its digits, a name by being there, being different from row to row and being
written as names are. [assumed]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt import LongError, decode_long
from vats_exporter.trunks import FLAG_POSITIONS, Flags, Trunk, normalise_phone

if TYPE_CHECKING:  # a saved answer is decoded without pydantic
    from vats_exporter.cabinet.settings import FlagPositions

VARYING: Final = (4, 6, 7, 9)
"""The positions that were seen to vary. [observed]"""

KNOWN_PATTERNS: Final = {
    "1100": "activated, not marked for deletion, has a working binding",
    "0011": "switched off, marked for deletion",
}
"""The known patterns, and what they mean. [user]"""

FLAG: Final = FLAG_POSITIONS.index(4)
"""Where the flag at 4 stands among a row's values."""

_CLEARLY: Final = 3
"""Rows more than another column's, at least, in which a column of phones must show one."""

_NAME_WORD: Final = re.compile(r"[^\W\d_][^\W\d_.'’\-]*(?:[.'’\-][^\W\d_.'’\-]*)*")

Column: TypeAlias = tuple[int, ...]
"""Where a text stands in its record; the reader says what the numbers count."""


class Record(NamedTuple):
    """One row.

    Attributes:
        ref: the subscriber's reference, e.g. ``CaLztv``.
        values: at the :data:`FLAG_POSITIONS`, in their order; ``None`` for a boxed flag that is
            null.
    """

    ref: str
    values: tuple[int | None, ...]

    @property
    def pattern(self) -> str:
        """The values of the varying positions, and any other that is not 0, as ``1100+8=1``."""
        return _pattern(self.values)

    def value(self, position: int) -> int | None:
        """The value at one of the :data:`FLAG_POSITIONS`."""
        return self.values[FLAG_POSITIONS.index(position)]


@lru_cache(maxsize=4096)
def _pattern(values: tuple[int | None, ...]) -> str:
    by_position = dict(zip(FLAG_POSITIONS, values, strict=True))
    varying = ["-" if (value := by_position[at]) is None else str(value) for at in VARYING]
    others = [f"+{at}={value}" for at, value in by_position.items() if value and at not in VARYING]
    return "".join(varying + others)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of subscribers.

    Attributes:
        records: its rows, in the cabinet's order.
        total: the number of rows on all pages, as the answer seems to give it; ``None`` where it
            can't be told. [assumed]
        read_by: whether the compiled script's classes read it, or the rows' block alone.
        not_by_script: why the script did not; empty where it did.
        answer_class: the type signature of the answer's own object.
        references: the boxed longs outside of the rows, as written, in the order of reading.
        texts: the texts of all records, by column, among which phones and names are looked for.
    """

    records: tuple[Record, ...]
    total: int | None = None
    read_by: Literal["script", "block"] = "block"
    not_by_script: str = ""
    answer_class: str = ""
    references: tuple[str, ...] = ()
    texts: Mapping[Column, Sequence[str | None]] = field(default_factory=dict, repr=False)


def guess_total(numbers: Sequence[int], rows: int) -> int | None:
    """Guess which of the numbers around a list counts the rows of all pages.

    It is the only one that may, with no fewer than on this page; of several, the only one that is
    no flag. [assumed]
    """
    possible = [number for number in numbers if number >= rows]
    if len(possible) != 1:
        possible = [number for number in possible if number > 1]
    return possible[0] if len(possible) == 1 else None


def read_trunks(
    pages: Sequence[Page], positions: FlagPositions
) -> tuple[tuple[Trunk, ...], tuple[str, ...]]:
    """Turn the rows of all pages of one listing into trunks.

    Returns:
        the trunks in order, and sentences on what could not be told, without personal data.

    Raises:
        UndecodableError: a reference is not a number GWT could have written.
    """
    records = [record for page in pages for record in page.records]
    columns: dict[Column, list[str | None]] = {}
    start = 0
    for page in pages:
        end = start + len(page.records)
        for column, texts in page.texts.items():
            columns.setdefault(column, [None] * len(records))[start:end] = texts
        start = end
    nothing = [""] * len(records)
    shown = {column: phones for column, texts in columns.items() if any(phones := _phones(texts))}
    phone = _phone_column(shown)
    name = _name_column({column: texts for column, texts in columns.items() if column != phone})
    phones = nothing if phone is None else shown[phone]
    names = nothing if name is None else columns[name]
    meant: dict[tuple[int | None, ...], tuple[Flags, str]] = {}
    for record in records:
        if record.values not in meant:
            flags = Flags(*(bool(record.value(position)) for position in positions.in_order))
            meant[record.values] = flags, record.pattern
    trunks = tuple(
        _trunk(record, *meant[record.values], phone, name or "")
        for record, phone, name in zip(records, phones, names, strict=True)
    )
    return trunks, _warnings(trunks)


def _phones(texts: Sequence[str | None]) -> list[str]:
    """The phones of a column; none where most of its texts are something else."""
    phones = [normalise_phone(text) if text else "" for text in texts]
    mostly = 2 * sum(map(bool, phones)) > sum(map(bool, texts))
    return phones if mostly else [""] * len(phones)


def _phone_column(columns: Mapping[Column, Sequence[str]]) -> Column | None:
    """The column of the trunks' own phones; ``None`` if there is none, or no single one.

    No two trunks have the same phone, so it is a column that shows each once, and of several the
    one that shows clearly more: to take one of two alike would be to guess a trunk's number.
    """
    ranked = []
    for column, phones in columns.items():
        shown = [*filter(None, phones)]
        ranked.append((len({*shown}) == len(shown), len(shown), column))
    if not ranked:
        return None
    (once, most, best), *others = sorted(ranked, reverse=True)
    for also_once, fewer, other in others:
        clearly = once > also_once or most - fewer >= max(_CLEARLY, most // 10)
        if not clearly and columns[other] != columns[best]:
            return None
    return best


def _name_column(columns: Mapping[Column, Sequence[str | None]]) -> Column | None:
    """The column that looks most like the rows' names; ``None`` if none holds words at all.

    Names are there in every row, differ from row to row, and are written as two to four words
    with capitals. A department or a note fails in one of these.
    """
    scores: dict[Column, float] = {}
    for column, texts in columns.items():
        there = [*filter(None, texts)]
        if any(character.isalpha() for text in there for character in text):
            named = sum(map(is_written_as_a_name, there))
            scores[column] = (len(there) + 2 * named) / len(texts) + len({*there}) / len(there)
    return max(scores, key=lambda column: (scores[column], column), default=None)


@lru_cache(maxsize=1 << 15)
def is_written_as_a_name(text: str) -> bool:
    """Whether a text is two to four words, each with a capital."""
    words = text.split()
    return 2 <= len(words) <= 4 and all(
        _NAME_WORD.fullmatch(word) and word[0].isupper() for word in words
    )


def _trunk(record: Record, flags: Flags, pattern: str, phone: str, name: str) -> Trunk:
    try:
        number = decode_long(record.ref)
    except LongError as error:
        raise UndecodableError(f"a row's reference is not a number: {error}") from None
    return Trunk(record.ref, number, phone, name, flags, pattern, pattern in KNOWN_PATTERNS)


def _warnings(trunks: Sequence[Trunk]) -> tuple[str, ...]:
    warnings = []
    missing = sum(not trunk.phone for trunk in trunks)
    if trunks and missing == len(trunks):
        warnings.append(f"no column of the list is certainly the phone: {missing} trunks have none")
    elif missing:
        warnings.append(f"{missing} of {len(trunks)} trunks show no phone")
    unknown = Counter(trunk.pattern for trunk in trunks if not trunk.known)
    if unknown:
        counts = ", ".join(f"{pattern} ({count})" for pattern, count in sorted(unknown.items()))
        warnings.append(f"unknown patterns: {counts}")
    return tuple(warnings)
