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
from vats_exporter.trunks import FLAG_POSITIONS, ROW_FLAGS, Flags, Trunk, normalise_phone

if TYPE_CHECKING:  # a saved answer is decoded without pydantic
    from vats_exporter.cabinet.settings import FlagPositions

VARYING: Final = (4, 6, 7, 9)  # the positions that were seen to vary [observed]
KNOWN_PATTERNS: Final = {  # and what they mean [user]
    "1100": "activated, not marked for deletion, has a working binding",
    "0011": "switched off, marked for deletion",
}
FLAG: Final = FLAG_POSITIONS.index(4)  # where the flag at 4 stands among a row's values
# Rows more than another column's, at least, in which a column of phones must show one.
_CLEARLY: Final = 3
_NAME_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|[.'’\-])*")

Column: TypeAlias = tuple[int, ...]
"""Where a text stands in its record; the reader says what the numbers count."""


class Record(NamedTuple):
    """A row: its reference, e.g. ``CaLztv``, and its values at the :data:`FLAG_POSITIONS`.

    A boxed flag that is null is ``None``.
    """

    ref: str
    values: tuple[int | None, ...]

    @property
    def pattern(self) -> str:
        """The values of the varying positions, and any other that is not 0, as ``1100+8=1``."""
        values = dict(zip(FLAG_POSITIONS, self.values, strict=True))
        varying = ["-" if values[at] is None else str(values[at]) for at in VARYING]
        others = [f"+{at}={value}" for at, value in values.items() if value and at not in VARYING]
        return "".join(varying + others)

    def value(self, position: int) -> int | None:
        """The value at one of the :data:`FLAG_POSITIONS`."""
        return self.values[FLAG_POSITIONS.index(position)]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of subscribers."""

    records: tuple[Record, ...]  # its rows, in the cabinet's order
    total: int | None = None  # the rows on all pages, where the answer seems to say it [assumed]
    read_by: Literal["script", "block"] = "block"
    not_by_script: str = ""  # why not
    answer_class: str = ""  # the type signature of the answer's own object
    references: tuple[str, ...] = ()  # the boxed longs outside of the rows, in order
    # Of all records, by column; among them phones and names are looked for.
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
    """Turn the rows of all pages into trunks; also say what could not be told of them.

    An ``UndecodableError`` is for a reference that is no number GWT could have written.
    """
    records = [record for page in pages for record in page.records]
    columns: dict[Column, list[str | None]] = {
        column: [
            text for page in pages for text in page.texts.get(column, [None] * len(page.records))
        ]
        for column in dict.fromkeys(column for page in pages for column in page.texts)
    }
    shown = {column: phones for column, texts in columns.items() if any(phones := _phones(texts))}
    nothing = [""] * len(records)
    phone = _phone_column(shown)
    phones = shown.get(phone, nothing)
    columns.pop(phone, None)
    names = columns.get(_name_column(columns), nothing)
    placed = [getattr(positions, flag.key) for flag in ROW_FLAGS]
    meant: dict[tuple[int | None, ...], tuple[Flags, str, bool]] = {}
    for record in records:
        if record.values not in meant:
            flags = Flags(*(bool(record.value(position)) for position in placed))
            pattern = record.pattern
            meant[record.values] = flags, pattern, pattern in KNOWN_PATTERNS
    try:
        trunks = tuple(
            Trunk(ref, _number(ref), phone, name or "", *meant[values])
            for (ref, values), phone, name in zip(records, phones, names, strict=True)
        )
    except LongError as error:
        raise UndecodableError(f"a row's reference is not a number: {error}") from None
    return trunks, _warnings(trunks)


_number = lru_cache(maxsize=1 << 15)(decode_long)  # each refresh shows the same references again


def _phones(texts: Sequence[str | None]) -> list[str]:
    """The phones of a column; none where most of its texts are something else."""
    phones = [normalise_phone(text) if text else "" for text in texts]
    mostly = 2 * sum(map(bool, phones)) > sum(map(bool, texts))
    return phones if mostly else []


def _phone_column(columns: Mapping[Column, Sequence[str]]) -> Column:
    """The column of the trunks' own phones; ``()`` if there is none, or no single one.

    No two trunks have the same phone, so it is a column that shows each once, and of several the
    one that shows clearly more: to take one of two alike would be to guess a trunk's number.
    """
    ranked = []
    for column, phones in columns.items():
        shown = [*filter(None, phones)]
        ranked.append((len({*shown}) == len(shown), len(shown), column))
    if not ranked:
        return ()
    (once, most, best), *others = sorted(ranked, reverse=True)
    for also_once, fewer, other in others:
        clearly = once > also_once or most - fewer >= max(_CLEARLY, most // 10)
        if not clearly and columns[other] != columns[best]:
            return ()
    return best


def _name_column(columns: Mapping[Column, Sequence[str | None]]) -> Column:
    """The column that looks most like the rows' names; ``()`` if none holds words at all.

    Names are there in every row, differ from row to row, and are written as two to four words
    with capitals. A department or a note fails in one of these.
    """
    scores: list[tuple[float, Column]] = []
    for column, texts in columns.items():
        there = [*filter(None, texts)]
        if any(character.isalpha() for text in there for character in text):
            named = sum(map(is_written_as_a_name, there))
            score = (len(there) + 2 * named) / len(texts) + len({*there}) / len(there)
            scores.append((score, column))
    return max(scores, default=(0, ()))[1]


@lru_cache(maxsize=1 << 15)
def is_written_as_a_name(text: str) -> bool:
    """Whether a text is two to four words, each with a capital."""
    words = text.split()
    return 2 <= len(words) <= 4 and all(
        _NAME_WORD.fullmatch(word) and word[0].isupper() for word in words
    )


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
