"""The rows of a list found by their block alone, where no class of the answer is known.

A row's reference and the twelve values after it [user] are all that is known of a record, so none
is parsed. A block is an id in quotes, the number of ``java.lang.Long``, and flags in their places.
What makes it safe to believe a set of blocks stands around it:

* what stands at 5 is the same in all rows that spell it out;
* all blocks of the answer are rows of one list, which says how many it has, and the class of its
  records stands between any two of them;
* nothing else in the answer looks like a row that was missed;
* an answer with anything like a row in it is no empty list.

A flag that is written as a reference to an object of before is looked up by
:mod:`vats_exporter.cabinet.backrefs`. Whatever is not certain refuses the page.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import pairwise
from math import inf
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import FLAG, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.cabinet.stream import Stream

_BLOCK: Final = re.compile(
    r"si(?=(?P<spelled>[01]{3}[in][01]{7})|(?P<short>[01]{2}[0-][01]{7})"
    r"|(?P<loose>[01in]{2}[01][in][01in]{7}))"
)
"""A block in letters: an id, its class, the values. The flag at 4 is spelled out, and something
stands at 5; or it is null or a reference, and nothing does; or other values are no flags."""

_SPELLED: Final = itemgetter(2, 3, 4, *range(6, 13))
_SHORT: Final = itemgetter(*range(2, 12))
"""Give a row's values, in the order of their positions, from the tokens of its block."""

_RUN: Final = re.compile(r"[^sf]{11,}")
"""Tokens among which there may be the values of a row that is no block."""

_MOST_CLASSES: Final = 4
"""That may be the records' own; there is one, and a number may look like another."""

_VALUES: Final = 10
_HARDLY_A_ROW: Final = 5
"""Of ten tokens so many are 0 or 1 by chance; in a row nine or ten are, and seldom under 7."""


class Block(NamedTuple):
    """A row's block.

    Attributes:
        start: the place of its first value, 12, in the order of reading.
        end: the place of its id.
        kind: what stands at 5; 0 where the flag is one token, null or a reference.
        record: the row; its flag is negative where it is a reference.
    """

    start: int
    end: int
    kind: int
    record: Record


class Header(NamedTuple):
    """Where a list of the application's objects may begin.

    Attributes:
        place: of its class.
        length: how many elements it has.
        known: how many of them come first that are null or references.
        record: the class of the next one; 0 if there is none.
    """

    place: int
    length: int
    known: int
    record: int


class BlockList(NamedTuple):
    """A list of rows.

    Attributes:
        blocks: in the order of reading.
        kind: what stands at 5 in them; 0 where no row spells its flag out.
        headers: what may be the list's; most often one.
        later: what may be lists behind the last block that hold references and null alone.
        starts: for each block, the first and the last place its record may begin at.
    """

    blocks: list[Block]
    kind: int
    headers: list[Header]
    starts: list[tuple[int, int]]
    later: list[Header]


def find_list(stream: Stream) -> BlockList | None:
    """Find the list of rows in an answer.

    Returns:
        the list; ``None`` where the answer has no block at all.

    Raises:
        UndecodableError: it is not certain which rows the list has.
    """
    blocks, kind = _find_blocks(stream)
    if not blocks:
        return None
    _check_nothing_missed(stream, blocks)
    headers = sorted(_headers(stream))
    between = [stream.tokens[a.end + 1 : b.start] for a, b in pairwise(blocks)]
    own = [
        header
        for header in headers
        if header.length == len(blocks) and not header.known and header.place < blocks[0].start - 2
    ]
    classes = {header.record for header in own if header.record}.intersection(*between)
    own = [header for header in own if header.record in classes]
    if not own or len(classes) > _MOST_CLASSES:
        raise UndecodableError(f"{len(blocks)} blocks, but no list of that length before them")
    starts = [(own[0].place + 2, own[-1].place + 2)]
    for block, tokens in zip(blocks, between, strict=False):
        first = min(map(tokens.index, classes))
        after = min(map(tokens[::-1].index, classes))
        starts.append((block.end + 1 + first, block.end + len(tokens) - after))
    later = [header for header in headers if header.place > blocks[-1].end and header.known]
    rows = BlockList(blocks, kind, own, starts, later)
    _check_null(rows)
    _check_all_there(stream, rows, headers)
    _check_alone(stream, rows, headers)
    return rows


def _find_blocks(stream: Stream) -> tuple[list[Block], int]:
    """Find all blocks of an answer, in the order of reading, and what stands at 5 in them."""
    wire, last = stream.wire, len(stream.wire) - 1
    found: dict[str | None, list[Block]] = {name: [] for name in _BLOCK.groupindex}
    for match in _BLOCK.finditer(stream.marks):
        at = match.start()
        if wire[at + 1] != stream.long or last - at - 1 < stream.earliest[stream.long]:
            continue
        form = match.lastgroup
        if form == "short":
            length, values, kind = 11, _SHORT(wire[at : at + 12]), 0
        else:
            length, values, kind = 12, _SPELLED(wire[at : at + 13]), wire[at + 5]
        end = last - at
        found[form].append(Block(end - length, end, kind, Record(wire[at], values)))
    spelled, short, loose = found.values()
    kinds = {block.kind for block in spelled}
    if len(kinds) > 1:
        raise UndecodableError("the answer has blocks of several kinds")
    kind = kinds.pop() if kinds else 0
    # A few rows with other values are rows all the same.
    others = [block for block in loose if block.kind == kind]
    if any(
        block.kind != kind and sum(value not in (0, 1) for value in block.record.values) == 1
        for block in loose
    ):
        raise UndecodableError("something in the answer is like a row, and is no block")
    if len(others) > len(spelled):
        raise UndecodableError("most blocks hold other values than flags")
    if short:
        _check_boxed(stream, short, kind)
    blocks = spelled + [_with_null(block) for block in short] + others
    return sorted(blocks, key=attrgetter("start")), kind


def _check_boxed(stream: Stream, short: list[Block], kind: int) -> None:
    """Refuse blocks without anything at 5 where the flag can't be an object."""
    if kind and not (kind < len(stream.names) and stream.names[kind]):
        raise UndecodableError("the flag at 4 is an object in some rows and a primitive in others")
    if not kind and not any(block.record.values[FLAG] for block in short):
        raise UndecodableError("no row has a flag at 4")


def _with_null(block: Block) -> Block:
    """Tell a flag that is null, where nothing stands at 5, from one that is 0."""
    values = block.record.values
    if values[FLAG]:
        return block
    nulled = (*values[:FLAG], None, *values[FLAG + 1 :])
    return block._replace(record=Record(block.record.ref, nulled))


def _windows(stream: Stream, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where in a part of the wire ten tokens may be a row's values, and how many are 0 or 1."""
    for run in _RUN.finditer(stream.marks, start, end):
        for at in range(run.start(), run.end() - _VALUES + 1):
            values = stream.marks[at : at + _VALUES]
            yield at, values.count("0") + values.count("1")


def _check_nothing_missed(stream: Stream, blocks: list[Block]) -> None:
    """Refuse an answer with something like a row outside of its blocks.

    That is a row whose reference is null or points to an object of before, or whose flag is an
    object of another kind.
    """
    last = len(stream.wire)
    ends = [last - block.start for block in reversed(blocks)]
    begins = [last - 1 - block.end for block in reversed(blocks)]
    outside = [*zip([0, *ends], [*begins, last], strict=True)]
    if not _RUN.search("s".join([stream.marks[start:end] for start, end in outside])):
        return
    for start, end in outside:
        for at, flags in _windows(stream, start, end):
            before = stream.marks[at - 1] if at else ""
            boxed = before == "i" and stream.wire[at - 1] == stream.long
            if (before in "0-" and flags >= 8) or (
                boxed and (flags >= 9 or (flags == 8 and stream.marks[at + 2] == "-"))
            ):
                raise UndecodableError("something in the answer is like a row, and is no block")


def find_empty(stream: Stream) -> int:
    """Find an empty list in an answer without rows.

    Returns:
        the place behind it.

    Raises:
        UndecodableError: there is none, or something like a row.
    """
    if any(flags > _HARDLY_A_ROW for _, flags in _windows(stream, 0, len(stream.wire))):
        raise UndecodableError("something in the answer is like a row, and is no block")
    for place, (token, after) in enumerate(pairwise(stream.tokens)):
        if after == 0 and token in stream.collections and stream.class_at(place):
            return place + 2
    number = stream.classes.get("java.util.Collections$EmptyList", 0)
    if not number:
        raise UndecodableError("no list of rows in the answer")
    return stream.earliest[number] + 1


def _headers(stream: Stream) -> Iterator[Header]:
    """What may be the beginning of a list of objects of the application."""
    tokens = [*stream.tokens, None, None, None]
    for number in stream.collections:
        place = stream.earliest[number] - 1
        for _ in range(tokens[place + 1 :].count(number)):
            place = tokens.index(number, place + 1)
            length = tokens[place + 1]
            if not isinstance(length, int) or length < 1 or place + 1 in stream.certain:
                continue
            first = place + 2
            end = first + length
            while first < end and isinstance(tokens[first], int) and tokens[first] <= 0:
                first += 1
            record = stream.class_at(first) if first < min(end, len(stream.tokens)) else ""
            if first == end:
                yield Header(place, length, length, 0)
            elif record and not record.startswith(("java.", "[")) and tokens[first] != 1:
                yield Header(place, length, first - place - 2, tokens[first])


def _check_all_there(stream: Stream, rows: BlockList, headers: list[Header]) -> None:
    """Refuse rows if they may be those of a longer list, whose others are null or references."""
    start, length = rows.blocks[0].start, len(rows.blocks)
    for header in headers:
        if header.length <= length or header.place > start:
            continue
        of = [at for at, token in enumerate(stream.tokens) if token == header.record]
        begun = header.known + _count(of, header.place, start)
        most = begun + _count(of, start, inf) + _count_nothing(stream, start)
        if begun < header.length <= most and all(
            _count(of, block.end, after.start) for block, after in pairwise(rows.blocks)
        ):
            raise UndecodableError(f"the rows may be of a list of {header.length}")


def _check_alone(stream: Stream, rows: BlockList, headers: list[Header]) -> None:
    """Refuse rows if some of them may be another list's.

    They can be only if null and references make up for them in theirs, and follow in the other.
    """
    ends = [block.end for block in rows.blocks]
    for header in headers:
        ended = bisect_left(ends, header.place)
        left = len(ends) - ended
        if not left or not ended or header.record != rows.headers[0].record:
            continue
        skipped = [_skipped(stream, last) for _, last in rows.starts]
        missing = sum(skipped[1:ended]) + _count_nothing(stream, ends[ended - 1], header.place)
        most = left + header.known + sum(skipped[ended:]) + _count_nothing(stream, ends[-1])
        if missing >= left and left <= header.length <= most:
            raise UndecodableError("there may be two lists of such records")


def _skipped(stream: Stream, place: int) -> int:
    """How many tokens right before a record may be others that are null or references."""
    marks = stream.marks[len(stream.marks) - place :]
    return len(marks) - len(marks.lstrip("0-"))


def _count(places: list[int], start: int, end: float) -> int:
    """How many of some places are in a part of the answer."""
    return bisect_left(places, end) - bisect_left(places, start)


def _count_nothing(stream: Stream, start: int, end: int | None = None) -> int:
    """How many tokens in a part of the answer may be null or references."""
    last = len(stream.marks)
    marks = stream.marks[last - end if end else 0 : last - start]
    return marks.count("0") + marks.count("-")


def _check_null(rows: BlockList) -> None:
    """Refuse rows whose flag is null unless they are like others: little tells them apart."""
    short = [block for block in rows.blocks if not block.kind]
    if not any(block.record.values[FLAG] is None for block in short):
        return
    spans: dict[bool, set[int]] = {False: set(), True: set()}
    for block, start in zip(rows.blocks, rows.starts, strict=True):
        spans[block.record.values[FLAG] is None].update(block.start - at for at in start)
    if not spans[True] <= spans[False]:
        raise UndecodableError("rows whose flag at 4 is null are unlike others")
