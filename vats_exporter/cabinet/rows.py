"""What a row of the tab "Абоненты" says: from records to trunks.

Knows how a subscriber's row looks, as CABINET has it; how records are told apart in the stream of
tokens is :mod:`vats_exporter.cabinet.records`' affair.

A row stands in the answer, as the server writes it, as the reference and twelve values [user]::

    'CaXXXX',2,0,0,1,8,1,0,0,0,0,0,0
             1 2 3 4 5 6 7 8 9 …  12

Read the other way round, as GWT reads, this is seven primitives (12 to 6), a boxed flag (5 its
class, 4 its value), two primitives (3, 2) and a boxed ``java.lang.Long`` (1 its class, then the
reference). So it is eleven columns that stand together; what stands around them varies. It is
found by its shape, never by an offset or by the digits of an index.

The phone and the name are strings somewhere in the record. Which column is which is told from how
its values look over all pages: a phone by its digits, a name by being there, being different from
row to row and being written as names are. [assumed]
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.contents import BOOLEAN, LONG
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.records import read_records
from vats_exporter.cabinet.references import may_refer
from vats_exporter.gwt import LongError, decode_long
from vats_exporter.trunks import Flags, Trunk, normalise_phone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vats_exporter.cabinet.records import RecordPage
    from vats_exporter.cabinet.references import Cell, Token
    from vats_exporter.cabinet.settings import FlagPositions
    from vats_exporter.gwt import Response

VARYING: Final = (4, 6, 7, 9)
"""The positions that were seen to vary. [observed]"""

KNOWN_PATTERNS: Final = {
    "1100": "activated, not marked for deletion, has a working binding",
    "0011": "switched off, marked for deletion",
}
"""The known patterns, and what they mean. [user]"""

# How many columns before the reference's own each position stands, in reading order.
_COLUMNS_BEFORE: Final = {2: 1, 3: 2, 4: 3, 6: 4, 7: 5, 8: 6, 9: 7, 10: 8, 11: 9, 12: 10}
_BOXED: Final = 4
_SHORTEST_ROW: Final = 11
"""Tokens of a row before its reference, where the boxed flag is a back reference."""

_NAME_WORD: Final = re.compile(r"[^\W\d_][^\W\d_.'’\-]*(?:[.'’\-][^\W\d_.'’\-]*)*")


@dataclass(frozen=True, slots=True)
class Record:
    """One row.

    Attributes:
        ref: the subscriber's reference, e.g. ``CaLztv``.
        values: the row's values by position; ``None`` for a boxed flag that is null.
        texts: the strings of the record by column; ``None`` where a column holds none.
    """

    ref: str
    values: dict[int, int | None]
    texts: tuple[str | None, ...]

    @property
    def pattern(self) -> str:
        """The values of the varying positions, and any other that is not 0, as ``1100+8=1``."""
        digits = "".join(_digit(self.values[position]) for position in VARYING)
        others = (
            f"+{position}={value}"
            for position, value in self.values.items()
            if value and position not in VARYING
        )
        return digits + "".join(others)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of subscribers.

    Attributes:
        records: its rows, in the cabinet's order.
        text_columns: the columns that hold strings, or nothing, in every row.
        declared: the number of rows the page gives itself.
        total: the number of rows on all pages, as the answer seems to give it; ``None`` where it
            can't be told. [assumed]
    """

    records: tuple[Record, ...]
    text_columns: frozenset[int]
    declared: int
    total: int | None


def read_page(response: Response) -> Page:
    """Find the rows in the answer to a list request.

    Args:
        response: a decoded ``//OK`` answer.

    Returns:
        the page; one without records where the answer holds an empty list.

    Raises:
        UndecodableError: there is no list in the answer, or none whose records hold a row as
            CABINET describes it.
    """
    empty: Page | None = None
    shapeless = 0
    strays = False
    for page in read_records(response):
        if sum(_count_rows(page, tokens) for tokens in page.outside) > (page.declared == 1):
            # Not this list, or not all of it: no row is left out.
            strays = True
            continue
        if page.declared == 0:
            empty = empty or Page((), frozenset(), 0, page.total)
            continue
        column = _reference_column(page.rows)
        if column is not None:
            return _read_page(page, column)
        shapeless = max(shapeless, page.declared)
    if strays:
        raise UndecodableError("there are rows in the answer outside of any list that can be read")
    if empty is not None and not shapeless:
        return empty
    if shapeless:
        raise UndecodableError(
            f"a list of {shapeless} records, but they hold no row as it is known: "
            "a reference and twelve values around a boxed flag"
        )
    raise UndecodableError("no list of records in the answer that could be read")


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
    records = [record for page in pages for record in page.records]
    filled = [page for page in pages if page.records]
    columns: list[int] = []
    if filled:
        columns = sorted(frozenset.intersection(*(page.text_columns for page in filled)))
    phone = _phone_column(records, columns)
    name = _name_column(records, [column for column in columns if column != phone], phone)
    trunks = tuple(_trunk(record, positions, phone, name) for record in records)
    return trunks, _warnings(trunks, phone)


def _reference_column(rows: tuple[tuple[Cell, ...], ...]) -> int | None:
    """The column of the references: a boxed long with a row's values before it.

    Every row must have the right kinds of fields there, and most rows flags in them. A few rows
    with other values stay trunks, of an unknown pattern. Where several columns would do, the one
    whose values are most like those of the known rows is taken.
    """
    best: tuple[int, int, int] | None = None
    for column in range(max(_COLUMNS_BEFORE.values()), len(rows[0])):
        if not all(_may_be_row(row, column) for row in rows):
            continue
        flags = sum(_holds_flags(row, column) for row in rows)
        if 2 * flags <= len(rows):
            continue
        still = [position for position in _COLUMNS_BEFORE if position not in VARYING]
        usual = sum(all(_value(row, column, position) == 0 for position in still) for row in rows)
        distinct = len({row[column].value for row in rows})
        best = max(best or (0, 0, 0), (usual, distinct, column))
    return best[2] if best else None


def _count_rows(page: RecordPage, tokens: Sequence[Token]) -> int:
    """How often the tokens of a row, as CABINET describes it, are among others."""
    count = 0
    for position in range(_SHORTEST_ROW, len(tokens)):
        if not isinstance(tokens[position], str) or page.class_of(tokens[position - 1]) != LONG:
            continue
        before = position - 1 - 2  # the reference's class, and two flags before it
        flag = tokens[before - 1]
        boxed = page.class_of(tokens[before - 2]) == BOOLEAN
        if not boxed and not may_refer(flag):
            continue
        before -= 2 if boxed else 1
        flags = [*tokens[position - 3 : position - 1], *tokens[max(0, before - 7) : before]]
        count += len(flags) == 9 and all(one in (0, 1) for one in flags)
    return count


def _value(row: tuple[Cell, ...], column: int, position: int) -> Token:
    return row[column - _COLUMNS_BEFORE[position]].value


def _holds_flags(row: tuple[Cell, ...], column: int) -> bool:
    return all(_value(row, column, position) in (0, 1) for position in _COLUMNS_BEFORE)


def _may_be_row(row: tuple[Cell, ...], column: int) -> bool:
    """Whether a row's cells before a column are of the kinds that hold its values."""
    reference = row[column]
    if reference.class_name != LONG or not isinstance(reference.value, str):
        return False
    for position, before in _COLUMNS_BEFORE.items():
        cell = row[column - before]
        if not isinstance(cell.value, int):
            return False
        # The boxed flag is an object, or null; the others are none.
        if cell.is_object != (position == _BOXED) and (cell.is_object or cell.value != 0):
            return False
    return True


def _read_page(page: RecordPage, column: int) -> Page:
    text_columns = frozenset(
        number
        for number in range(len(page.rows[0]))
        if all(_is_text(page, row[number]) for row in page.rows)
    )
    records = []
    for row in page.rows:
        values: dict[int, int | None] = {}
        for position, before in _COLUMNS_BEFORE.items():
            cell = row[column - before]
            # What may be a row holds integers in these columns.
            values[position] = int(cell.value)
            if position == _BOXED and not cell.is_object:
                values[position] = None
        texts = tuple(
            page.text(cell.value) if number in text_columns else None
            for number, cell in enumerate(row)
        )
        records.append(Record(str(row[column].value), values, texts))
    return Page(tuple(records), text_columns, page.declared, page.total)


def _is_text(page: RecordPage, cell: Cell) -> bool:
    if cell.is_object and cell.class_name != "java.lang.String":
        return False
    return cell.value == 0 or page.text(cell.value) is not None


def _phone_column(records: Sequence[Record], columns: Iterable[int]) -> int | None:
    """The column that shows phones in most rows; ``None`` if there is none, or no single one."""
    ranked = []
    for column in columns:
        phones = [normalise_phone(record.texts[column] or "") for record in records]
        shown = sum(map(bool, phones))
        if 2 * shown > len(records):
            ranked.append((shown, len(set(phones)), column, phones))
    ranked.sort(key=lambda entry: entry[:2], reverse=True)
    if not ranked:
        return None
    rivals = [entry for entry in ranked[1:] if entry[:2] == ranked[0][:2]]
    # Two columns alike in all but their phones: to take one would be to guess a trunk's number.
    if any(entry[3] != ranked[0][3] for entry in rivals):
        return None
    return ranked[0][2]


def _name_column(
    records: Sequence[Record], columns: Iterable[int], phone: int | None
) -> int | None:
    """The column that looks most like the rows' names; ``None`` if none holds words at all.

    Names are there in every row, differ from row to row, and are written as two to four words
    with capitals. A department or a note fails in one of these. Of equals, the one that stands
    nearest the phone is taken.
    """
    best: tuple[float, int, int] | None = None
    for column in columns:
        texts = [text for record in records if (text := record.texts[column])]
        if not texts or all(_is_number(text) for text in texts):
            continue
        there = len(texts) / len(records)
        different = len(set(texts)) / len(texts)
        written = sum(map(_is_written_as_a_name, texts)) / len(records)
        distance = abs(column - phone) if phone is not None else 0
        best = max(best or (0.0, 0, 0), (there + different + 2 * written, -distance, -column))
    return -best[2] if best else None


def _is_number(text: str) -> bool:
    return not any(character.isalpha() for character in text)


def _is_written_as_a_name(text: str) -> bool:
    words = text.split()
    return 2 <= len(words) <= 4 and all(
        _NAME_WORD.fullmatch(word) and word[0].isupper() for word in words
    )


def _trunk(record: Record, positions: FlagPositions, phone: int | None, name: int | None) -> Trunk:
    try:
        number = decode_long(record.ref)
    except LongError as error:
        raise UndecodableError(f"a row's reference is not a number: {error}") from None
    pattern = record.pattern
    return Trunk(
        ref=record.ref,
        id=number,
        phone=normalise_phone(record.texts[phone] or "") if phone is not None else "",
        name=(record.texts[name] or "") if name is not None else "",
        flags=Flags(*(bool(record.values[position]) for position in positions.in_order)),
        pattern=pattern,
        known=pattern in KNOWN_PATTERNS,
    )


def _digit(value: int | None) -> str:
    return "-" if value is None else str(value)


def _warnings(trunks: Sequence[Trunk], phone: int | None) -> tuple[str, ...]:
    warnings = []
    if trunks and phone is None:
        warnings.append(
            f"no column of the list can be told to be the phone: {len(trunks)} trunks have none"
        )
    elif missing := sum(not trunk.phone for trunk in trunks):
        warnings.append(f"{missing} of {len(trunks)} trunks show no phone")
    unknown = Counter(trunk.pattern for trunk in trunks if not trunk.known)
    if unknown:
        counts = ", ".join(f"{pattern} ({count})" for pattern, count in sorted(unknown.items()))
        warnings.append(f"unknown patterns: {counts}")
    return tuple(warnings)
