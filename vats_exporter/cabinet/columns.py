"""Which texts of the rows are their phones and names, and what each row means.

Told from how the values of a column look over all pages: a phone by its digits, a name by being
there, being different from row to row and being written as names are. [assumed]
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice, repeat
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import KNOWN_PATTERNS
from vats_exporter.gwt import LongError, decode_long
from vats_exporter.trunks import Flags, Trunk, normalise_phone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vats_exporter.cabinet.page import Column, Page, Record
    from vats_exporter.cabinet.settings import FlagPositions

_CLEARLY: Final = 3
"""Rows more than another column's, at least, in which a column of phones must show one."""

_NAME_WORD: Final = re.compile(r"[^\W\d_][^\W\d_.'’\-]*(?:[.'’\-][^\W\d_.'’\-]*)*")


def read_trunks(
    pages: Sequence[Page], positions: FlagPositions
) -> tuple[tuple[Trunk, ...], tuple[str, ...]]:
    """Give the rows of all pages of one listing their meaning.

    Args:
        pages: in order.
        positions: which position is which flag.

    Returns:
        the trunks in order, and sentences on what could not be told, without personal data.

    Raises:
        UndecodableError: a reference is not a number GWT could have written.
    """
    told = _told(pages)
    trunks = tuple(
        _trunk(record, positions, *next(told)) for page in pages for record in page.records
    )
    return trunks, _warnings(trunks)


def _told(pages: Sequence[Page]) -> Iterator[tuple[str, str]]:
    """The phone and the name of each row, in order."""
    searched = [page for page in pages if len(page.told) < len(page.records)]
    count = sum(len(page.records) for page in searched)
    columns: dict[Column, list[str | None]] = {}
    start = 0
    for page in searched:
        end = start + len(page.records)
        for column, texts in page.texts.items():
            columns.setdefault(column, [None] * count)[start:end] = texts
        start = end
    shown = {column: phones for column, texts in columns.items() if any(phones := _phones(texts))}
    phone = _phone_column(shown)
    name = _name_column({column: texts for column, texts in columns.items() if column != phone})
    found = zip(
        shown[phone] if phone is not None else repeat(""),
        columns[name] if name is not None else repeat(""),
        strict=False,
    )
    for page in pages:
        yield from page.told or (
            (phone, name or "") for phone, name in islice(found, len(page.records))
        )


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
        shown = [phone for phone in phones if phone]
        ranked.append((len({*shown}) == len(shown), len(shown), column))
    ranked.sort(reverse=True)
    if not ranked:
        return None
    once, most, best = ranked[0]
    for also_once, fewer, other in ranked[1:]:
        clearly = once > also_once or most - fewer >= max(_CLEARLY, most // 10)
        if not clearly and columns[other] != columns[best]:
            return None
    return best


def _name_column(columns: Mapping[Column, Sequence[str | None]]) -> Column | None:
    """The column that looks most like the rows' names; ``None`` if none holds words at all.

    Names are there in every row, differ from row to row, and are written as two to four words
    with capitals. A department or a note fails in one of these.
    """
    best: tuple[float, Column] | None = None
    for column, texts in columns.items():
        there = [text for text in texts if text]
        if not any(map(has_letters, there)):
            continue
        score = (
            len(there) / len(texts)
            + len({*there}) / len(there)
            + 2 * sum(map(is_written_as_a_name, there)) / len(texts)
        )
        best = max(best or (0.0, column), (score, column))
    return best[1] if best else None


def has_letters(text: str) -> bool:
    """Whether a text has any letter."""
    return any(character.isalpha() for character in text)


def is_written_as_a_name(text: str) -> bool:
    """Whether a text is two to four words, each with a capital."""
    words = text.split()
    return 2 <= len(words) <= 4 and all(
        _NAME_WORD.fullmatch(word) and word[0].isupper() for word in words
    )


def _trunk(record: Record, positions: FlagPositions, phone: str, name: str) -> Trunk:
    try:
        number = decode_long(record.ref)
    except LongError as error:
        raise UndecodableError(f"a row's reference is not a number: {error}") from None
    pattern = record.pattern
    return Trunk(
        ref=record.ref,
        id=number,
        phone=phone,
        name=name,
        flags=Flags(*(bool(record.value(position)) for position in positions.in_order)),
        pattern=pattern,
        known=pattern in KNOWN_PATTERNS,
    )


def _warnings(trunks: Sequence[Trunk]) -> tuple[str, ...]:
    warnings = []
    missing = sum(not trunk.phone for trunk in trunks)
    if trunks and missing == len(trunks):
        warnings.append(
            f"no column of the list can be told to be the phone: {missing} trunks have none"
        )
    elif missing:
        warnings.append(f"{missing} of {len(trunks)} trunks show no phone")
    unknown = Counter(trunk.pattern for trunk in trunks if not trunk.known)
    if unknown:
        counts = ", ".join(f"{pattern} ({count})" for pattern, count in sorted(unknown.items()))
        warnings.append(f"unknown patterns: {counts}")
    return tuple(warnings)
