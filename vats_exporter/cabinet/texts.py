"""The phones and names around the rows' blocks, where no class of the answer is known.

What is not certain is left out: a row without a phone is better than one with another's.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import sub
from typing import Final

from vats_exporter.cabinet.by_block import Rows
from vats_exporter.gwt.tokens import Tokens
from vats_exporter.trunks import normalise_phone

_NAME_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|[.'’\-])*")


def read_texts(tokens: Tokens, rows: Rows) -> dict[tuple[int, ...], list[str]]:
    """The rows' phones, as column 0, and what may be their names, by the distance from the block.

    Those are texts at the same distance in all rows that are all written as names are, or that
    stand beside the phones and differ from row to row, if all records are alike. [assumed]
    """
    starts, ends, begins = rows.blocks.starts, rows.blocks.ends, (*rows.begins, *rows.begins_by)
    phones = _phones(tokens, rows)
    texts: dict[tuple[int, ...], list[str]] = (
        {(0,): [phone for _, phone in phones]} if phones else {}
    )
    widths = {*map(sub, (*starts, *starts), begins)}
    shown = {place - start for (place, _), start in zip(phones, starts, strict=False)}
    alike = len(widths) == len(shown) == 1
    for distance in (*range(1 - min(widths), 0), *range(1, rows.rest + 1)):
        column = tokens.texts_at(starts if distance < 0 else ends, distance)
        if not any(column):
            continue
        beside = alike and {distance - 1, distance + 1} & shown
        differ = all(column) and len({*column}) ** 2 >= len(column)
        if (beside and differ) or all(map(is_written_as_a_name, filter(None, column))):
            texts[(distance,)] = column
    return texts


def _phones(tokens: Tokens, rows: Rows) -> list[tuple[int, str]]:
    """The place and the phone of each row, empty where it can't be told.

    A phone belongs to a row if its string's first use can only lie there: before the block, or
    between it and the next record. All stand on the same side of their blocks. After the last
    block follows the rest of its record and then that of the answer: that a phone there is the
    record's is [assumed], and only where all other rows have theirs after the block. Where two
    columns are possible, there is none.
    """
    last = len(rows.blocks.ends) - 1
    tail, in_rows = [], []
    for place, phone, spots in _possible_phones(tokens, rows):
        if spots == {2 * last + 1}:
            tail.append((place, phone))
        else:
            in_rows.append((place, phone, spots))
    certain = chain.from_iterable(spots for _, _, spots in in_rows if len(spots) == 1)
    sides = {spot % 2 for spot in certain if spot >= 0}
    if not (last or in_rows) and len(tail) == 1:
        sides = {1}  # behind the block of the only row
    if len(sides) != 1:
        return []
    phones = [(0, "")] * (last + 1)
    (side,) = sides
    for place, phone, spots in in_rows:
        possible = [spot // 2 for spot in spots if spot % 2 == side or spot < 0]
        if len(possible) == 1 and (row := possible[0]) >= 0:
            if phones[row][0]:
                return []
            phones[row] = place, phone
    if side and len(tail) == 1 and all(place for place, _ in phones[:last]):
        phones[last] = tail[0]
    return phones


def _possible_phones(tokens: Tokens, rows: Rows) -> Iterator[tuple[int, str, set[int]]]:
    """The place and the text of each phone in the answer, and the spots at which it may be."""
    starts, ends = rows.blocks.starts, rows.blocks.ends
    edges = [*chain.from_iterable(zip(rows.begins, rows.begins_by, starts, ends, strict=True))]
    for number, phone in enumerate(map(normalise_phone, tokens.strings)):
        if phone:
            place, latest = tokens.earliest[number], tokens.latest[number]
            others = [at for at in range(place + 1, latest + 1) if tokens.all[at] == number]
            spots = {*chain.from_iterable(_spots(edges, at) for at in (place, *others))}
            yield place, phone, spots


def _spots(edges: Sequence[int], place: int) -> range:
    """In which rows a place may be, and on which side of their blocks.

    Twice the row's number is before its block, one more behind it; -1 is before all rows. In a
    block it is nowhere. ``edges`` are for each row the places at which it may begin, and those of
    its block.
    """
    row, passed = divmod(bisect_left(edges, place), 4)
    return range(2 * row - (passed < 2), 2 * row + (0 < passed < 3))


@lru_cache(maxsize=1 << 15)
def is_written_as_a_name(text: str) -> bool:
    """Whether a text is two to four words, each with a capital."""
    words = text.split()
    return 2 <= len(words) <= 4 and all(
        _NAME_WORD.fullmatch(word) and word[0].isupper() for word in words
    )
