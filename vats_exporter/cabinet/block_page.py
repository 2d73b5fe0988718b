"""A page of the list by its rows' blocks: the rows, and what can be told of the text around them.

A phone belongs to a row if its string's first use can only lie there: before the block, or between
it and the next record. All phones stand on the same side of their blocks, one a row; where two
columns of phones are possible, none is taken. After the last block follows the rest of its record
and then that of the answer: that a phone there is the record's is [assumed], and only where all
other rows have theirs after the block.

A name is looked for among the strings that stand at the same distance from the block in all rows.
[assumed]
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Literal, TypeAlias

from vats_exporter.cabinet.backrefs import resolve
from vats_exporter.cabinet.block import find_empty, find_list
from vats_exporter.cabinet.columns import has_letters, is_written_as_a_name
from vats_exporter.cabinet.page import FLAG, Page, Record, guess_total
from vats_exporter.cabinet.stream import Stream
from vats_exporter.trunks import normalise_phone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.cabinet.block import BlockList
    from vats_exporter.gwt import Response

_Side: TypeAlias = Literal["before", "after"]
_Spot: TypeAlias = tuple[int, _Side]


def read_by_block(response: Response, marks: str, *, texts: bool) -> Page:
    """Read a page of the list by its rows' blocks.

    Args:
        response: an ``//OK`` answer.
        marks: what :func:`vats_exporter.gwt.letters` makes of its tokens.
        texts: whether phones and names are wanted.

    Raises:
        UndecodableError: it holds no list of rows, or it is not certain how one is meant.
    """
    stream = Stream(response, marks)
    rows = find_list(stream)
    if rows is None:
        total = guess_total(_numbers(stream, find_empty(stream)), 0)
        return Page((), 0, total, answer_class=stream.strings[1])
    meant = resolve(stream, rows)
    records = []
    for block in rows.blocks:
        values = block.record.values
        flag = values[FLAG]
        if flag is not None and flag < 0:
            values = (*values[:FLAG], meant[flag], *values[FLAG + 1 :])
        records.append(Record(block.record.ref, values))
    end = rows.blocks[-1].end + 1 + _rest(stream, rows)
    return Page(
        records=tuple(records),
        declared=len(records),
        total=guess_total(_numbers(stream, end), len(records)),
        answer_class=stream.strings[1],
        references=tuple(_references(stream, rows.headers[0].place)),
        told=_told(stream, rows) if texts else (),
    )


def _told(stream: Stream, rows: BlockList) -> tuple[tuple[str, str], ...]:
    """The phone and the name of each row."""
    phones = _phones(stream, rows)
    names = _names(stream, rows, [place for place, _ in phones])
    return tuple((phone, name) for (_, phone), name in zip(phones, names, strict=True))


def _rest(stream: Stream, rows: BlockList) -> int:
    """Tokens that follow the block in every record; the last one's end is not known."""
    following = zip(rows.blocks, rows.starts[1:], strict=False)
    rests = [first - block.end - 1 for block, (first, _) in following]
    return min(*rests, len(stream.tokens) - rows.blocks[-1].end - 1) if rests else 0


def _numbers(stream: Stream, start: int) -> list[int]:
    return [token for token in stream.tokens[start:] if isinstance(token, int)]


def _references(stream: Stream, end: int) -> Iterator[str]:
    for place in range(end):
        if stream.tokens[place] == stream.long and isinstance(stream.tokens[place + 1], str):
            yield stream.tokens[place + 1]


def _names(stream: Stream, rows: BlockList, phones: Sequence[int]) -> Sequence[str]:
    """The name of each row; empty where it can't be told.

    Looked for among the strings at the same distance from the block in all rows. Where every text
    of such a column is written as a name, it is the names'. Where none is, but records are alike up
    to the block, it is the one text beside the phone that all rows have.
    """
    spans = zip(rows.blocks, rows.starts, strict=True)
    widths = {block.start - at for block, start in spans for at in start}
    distances = (*range(1 - min(widths), 0), *range(1, _rest(stream, rows) + 1))
    names = [names for at in distances if (names := _column(stream, rows, at, written=True))]
    if not names and len(widths) == 1:
        shown = {place - block.start for place, block in zip(phones, rows.blocks, strict=True)}
        beside = {at + step for at in shown for step in (-1, 1)}.intersection(distances)
        texts = [_column(stream, rows, at) for at in beside]
        names = [column for column in texts if all(column) and any(map(has_letters, column))]
        names = names if len(names) == len(shown) == 1 else []
    return max(names, key=lambda texts: len({*texts}), default=[""] * len(phones))


def _column(stream: Stream, rows: BlockList, distance: int, *, written: bool = False) -> list[str]:
    """The texts at one distance from the block, or those alone that are all written as names are.

    Returns:
        none where anything else stands there.
    """
    tokens = []
    places = []
    for block in rows.blocks:
        place = (block.start if distance < 0 else block.end) + distance
        token = stream.tokens[place]
        if token not in stream.texts or place < stream.earliest[token]:
            return []
        if token and written and not is_written_as_a_name(stream.strings[token]):
            return []
        places.append(place)
        tokens.append(token)
    # A column of strings brings new ones.
    new = len(stream.certain.intersection(places))
    return (
        [stream.strings[token] for token in tokens] if 2 * new >= len({*tokens} - {0}) > 0 else []
    )


def _phones(stream: Stream, rows: BlockList) -> list[tuple[int, str]]:
    """The place of the phone of each row, and the phone; 0 and empty where it can't be told."""
    nothing = [(0, "")] * len(rows.blocks)
    last = len(rows.blocks) - 1
    begins = [block.start for block in rows.blocks]
    found: list[tuple[tuple[_Spot, ...], tuple[int, str]]] = []
    tail: list[tuple[int, str]] = []
    sides: set[_Side] = set()
    for number, text in enumerate(stream.strings):
        if not (phone := normalise_phone(text)):
            continue
        places = stream.places(number)
        spots = _spots(rows, begins, places[0])
        for place in places[1:]:
            spots += _spots(rows, begins, place)
        if spots == ((last, "after"),):
            tail.append((places[0], phone))
        else:
            found.append((spots, (places[0], phone)))
            if len(spots) == 1 and spots[0][0] >= 0:
                sides.add(spots[0][1])
    if last == 0 and not found and len(tail) == 1:
        sides.add("after")
    if len(sides) != 1:
        return nothing
    (side,) = sides
    phones = [*nothing]
    for spots, phone_at in found:
        possible = {row for row, at in spots if at == side or row < 0}
        if len(possible) != 1 or (row := possible.pop()) < 0:
            continue
        if phones[row][0]:
            return nothing
        phones[row] = phone_at
    if side == "after" and len(tail) == 1 and all(place for place, _ in phones[:last]):
        phones[last] = tail[0]
    return phones


def _spots(rows: BlockList, begins: Sequence[int], place: int) -> tuple[_Spot, ...]:
    """In which rows a place may be, and on which side of their blocks; -1 is in none."""
    row = bisect_left(begins, place)  # the first block that begins behind it
    if row and place <= rows.blocks[row - 1].end:
        return ()  # in a block
    if row == len(begins):
        return ((row - 1, "after"),)
    first, last = rows.starts[row]
    if place >= last:
        return ((row, "before"),)
    return ((row - 1, "after"),) if place <= first else ((row - 1, "after"), (row, "before"))
