"""A page of the list by its rows' blocks alone, where no class of the answer is known.

A row's reference and the twelve values before it [user] are all that is known of a record, so none
is parsed. A block is flags in their places, the number of ``java.lang.Long`` and an id in quotes.
What makes it safe to believe a set of blocks stands around it:

* what stands at 5 is the same in all rows that spell it out;
* all blocks of the answer are rows of one list, which says how many it has, and the class of its
  records stands between any two of them;
* no other list explains the blocks as well, and nothing else looks like a row that was missed;
* an answer with anything like a row in it is no empty list.

Whatever is not certain refuses the page; of phones and names it is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import FLAG, Page, Record, guess_total, is_written_as_a_name
from vats_exporter.cabinet.references import resolve
from vats_exporter.cabinet.tokens import Block, Header, Rows, Tokens
from vats_exporter.trunks import normalise_phone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.cabinet.page import Column
    from vats_exporter.gwt import Response

_BLOCK: Final = re.compile(
    r"is(?:(?<=(?P<spelled>[01in]{7}[in][01][01in]{2})is)|(?<=(?P<short>[01]{7}[0-][01]{2})is))"
)
"""A block in letters: the values, the id's class, the id. The flag at 4 is spelled out, and
something stands at 5; or it is null or a reference, and nothing does."""

_MOST_OTHERS: Final = 2
"""Values of a row that are more than flags; with more it is no row."""

_RUN: Final = re.compile(r"[^sf]{11,}")
"""Tokens among which there may be the values of a row that is no block."""

_VALUES: Final = 10
_HARDLY_A_ROW: Final = 5
"""Of ten tokens so many are 0 or 1 by chance; in a row nine or ten are, and seldom under 7."""

_LIKE_A_ROW: Final = "something in the answer is like a row, and is no block"


def read_by_block(response: Response, letters: str, *, texts: bool) -> Page:
    """Read a page of the list by its rows' blocks; with phones and names, if wanted.

    ``letters`` are those of the answer's tokens, in the order of reading.

    Raises:
        UndecodableError: it holds no list of rows, or it is not certain how one is meant.
    """
    tokens = Tokens(response, letters)
    rows = find_rows(tokens)
    if rows is None:
        end = _find_empty(tokens)
        return Page((), guess_total(_numbers(tokens, end), 0), answer_class=tokens.strings[1])
    records = resolve(tokens, rows)
    return Page(
        records=tuple(records),
        total=guess_total(_numbers(tokens, rows.blocks[-1].end + 1 + rows.rest), len(records)),
        answer_class=tokens.strings[1],
        references=tuple(
            after
            for token, after in pairwise(tokens.all[: rows.headers[0]])
            if token == tokens.long and isinstance(after, str)
        ),
        texts=_texts(tokens, rows) if texts else {},
    )


def find_rows(tokens: Tokens) -> Rows | None:
    """Find the list of rows in an answer; ``None`` where it has no block at all.

    Raises:
        UndecodableError: it is not certain which rows the list has.
    """
    blocks, kind = _find_blocks(tokens)
    if not blocks:
        return None
    _check_nothing_missed(tokens, blocks)
    between = [tokens.all[a.end + 1 : b.start] for a, b in pairwise(blocks)]
    classes = {*tokens.names}.intersection(*between)
    headers = sorted(tokens.headers())
    of_rows = [header for header in headers if header.record in classes]
    own = [
        header
        for header in of_rows
        if header.length == len(blocks) and not header.known and header.place < blocks[0].start - 2
    ]
    if not own:
        raise UndecodableError(f"{len(blocks)} blocks, but no list of that length before them")
    records = {header.record for header in own}
    lengths = {header.place + 1 for header in of_rows}
    if any(header.place in lengths for header in own):
        raise UndecodableError("the list's class may be the length of another")
    starts = [(own[0].place + 2, own[-1].place + 2)]
    for block, passed in zip(blocks, between, strict=False):
        first, after = min(map(passed.index, records)), min(map(passed[::-1].index, records))
        starts.append((block.end + 1 + first, block.end + len(passed) - after))
    longer = [
        header.place
        for header in of_rows
        if header.length > len(blocks) and header.place < blocks[0].start
    ]
    # The last record's end is not known.
    rests = [first - block.end - 1 for block, (first, _) in zip(blocks, starts[1:], strict=False)]
    rest = min(*rests, len(tokens.all) - blocks[-1].end - 1) if rests else 0
    places = [header.place for header in own]
    rows = Rows(blocks, kind, places, own[0].record, starts, longer, rest)
    _check_only_list(tokens, rows, headers, of_rows)
    _check_alike(tokens, rows)
    return rows


def _find_blocks(tokens: Tokens) -> tuple[list[Block], int]:
    """Find all blocks of an answer, and what stands at 5 in them."""
    blocks: list[Block] = []
    usual = unusual = short = 0
    kinds: set[int] = set()
    for match in _BLOCK.finditer(tokens.letters):
        place = match.start()
        if tokens.all[place] != tokens.long or place < tokens.earliest[tokens.long]:
            continue
        spelled = match.lastgroup == "spelled"
        kind, start = 0, place - 10 - spelled
        values = tokens.all[start:place][::-1]
        if spelled:
            kind = values.pop(3)
            others = _VALUES - match[1].count("0") - match[1].count("1")
            if others > _MOST_OTHERS:
                continue
            usual, unusual = usual + (not others), unusual + (others > 0)
            kinds.add(kind)
        else:
            short += 1
            values[FLAG] = values[FLAG] or None
        blocks.append(Block(start, place + 1, kind, Record(tokens.all[place + 1], tuple(values))))
    if len(kinds) > 1:
        raise UndecodableError("the answer has blocks of several kinds")
    kind = kinds.pop() if kinds else 0
    if unusual > usual:
        raise UndecodableError("most blocks hold other values than flags")
    if short and kind and kind not in tokens.names:
        raise UndecodableError("the flag at 4 is an object in some rows and a primitive in others")
    if short and not any(block.kind or block.record.values[FLAG] for block in blocks):
        raise UndecodableError("no row has a flag at 4")
    if (
        short
        and not kind
        and any({*tokens.letters[b.start - 3 : b.start]} <= {*"01"} for b in blocks)
    ):
        raise UndecodableError("a reference may be the flag at 4, or the id of a row without one")
    return blocks, kind


def _windows(letters: str) -> Iterator[tuple[int, int]]:
    """Behind which places ten tokens may be a row's values, and how many of them are 0 or 1."""
    flags = letters.replace("1", "0")
    for run in _RUN.finditer(flags):
        # Of six in ten, two stand side by side.
        if "00" in run[0]:
            for at in range(run.start() + _VALUES, run.end() + 1):
                yield at, flags.count("0", at - _VALUES, at)


def _check_nothing_missed(tokens: Tokens, blocks: Sequence[Block]) -> None:
    """Refuse an answer with something like a row outside of its blocks.

    That is a row whose reference is null or points to an earlier object, or whose flag is an
    object of another kind.
    """
    outside, end = [], 0
    for block in blocks:
        outside += [tokens.letters[end : block.start], "s" * (block.end - block.start)]
        end = block.end
    letters = "".join([*outside, tokens.letters[end:]])
    for at, flags in _windows(letters):
        after = letters[at : at + 1]
        boxed = after == "i" and tokens.all[at] == tokens.long
        if (after in {"0", "-"} and flags >= 8) or (
            boxed and (flags >= 9 or (flags == 8 and letters[at - 3] == "-"))
        ):
            raise UndecodableError(_LIKE_A_ROW)


def _find_empty(tokens: Tokens) -> int:
    """Find the place behind an empty list in an answer without rows.

    Raises:
        UndecodableError: there is none, or something like a row.
    """
    if any(flags > _HARDLY_A_ROW for _, flags in _windows(tokens.letters)):
        raise UndecodableError(_LIKE_A_ROW)
    for place, (token, after) in enumerate(pairwise(tokens.all)):
        if after == 0 and token in tokens.collections and tokens.class_at(place):
            return place + 2
    for number, name in tokens.names.items():
        if name == "java.util.Collections$EmptyList":
            return tokens.earliest[number] + 1
    raise UndecodableError("no list of rows in the answer")


def _check_only_list(
    tokens: Tokens, rows: Rows, headers: Sequence[Header], of_rows: Sequence[Header]
) -> None:
    """Refuse rows that other lists explain as well.

    They may be a longer list's, whose others are null or references; or two lists', of which one
    may make up for the other's with null and references; or be referred to by another list.
    """
    blocks, count = rows.blocks, len(rows.blocks)
    start, ends = blocks[0].start, [block.end for block in blocks]
    records = {h.record for h in of_rows if h.place < start and h.length == count}
    behind = max(map(len, re.findall("[0-]+", tokens.letters[ends[-1] :])), default=0)
    for place, length, known, record in of_rows:
        if place > start or length < count:
            continue
        begun = known + sum(
            token == record and before not in tokens.counted
            for before, token in pairwise([0, *tokens.all[place + 2 : start]])
        )
        if length == count:
            # Or they are a shorter list's, of which some have a second block within them.
            shorter = any(h.place < start and h.length < count <= 2 * h.length for h in headers)
            if begun >= count > 1 and shorter:
                raise UndecodableError("the rows may be of a shorter list")
            continue
        # The class of a single row is not known for certain, nor that two records have begun.
        nearer = count == 1 and place > rows.headers[-1] and length - known - 1 <= behind
        if begun - (length in tokens.counted) < length or nearer:
            raise UndecodableError(f"the rows may be of a list of {length}")
    firsts = {(header.record, header.length) for header in headers if header.place < start}
    for place, length, known, record in headers:
        ended = bisect_left(ends, place)
        left = count - ended
        if not left and any(tokens.all[place + 2 : place + 2 + known]):
            raise UndecodableError("there may be another list of the same rows")
        if not ended or not 0 < left <= length:
            continue
        made_up = record in records and _may_be_made_up(tokens, rows, ended, place, length - known)
        if made_up or (record, ended) in firsts:
            raise UndecodableError("there may be two lists of such records")


def _check_alike(tokens: Tokens, rows: Rows) -> None:
    """Refuse rows whose records have other fields around their blocks: one may be no row's."""
    starts = [(block.start, *start) for block, start in zip(rows.blocks, rows.starts, strict=True)]
    none = 1 in {end - first for end, first, _ in starts}
    some = max([end - last for end, _, last in starts]) > 1
    before = [(first, end) for end, first, last in starts if first == last]
    behind = [(b.end, b.end + 1 + rows.rest) for b in rows.blocks] if rows.rest else []
    if (none and some) or not (tokens.may_be_alike(before) and tokens.may_be_alike(behind)):
        raise UndecodableError("the records are not alike, and a block may be no row's")


def _may_be_made_up(tokens: Tokens, rows: Rows, ended: int, place: int, length: int) -> bool:
    """Whether null and references may be a list's last rows, and follow in another."""
    records = {tokens.all[place + 2] for place in rows.headers}
    skipped = [
        max(_skipped(tokens, at) for at in range(first, last + 1) if tokens.all[at] in records)
        for first, last in rows.starts
    ]
    left = len(rows.blocks) - ended
    missing = sum(skipped[1:ended]) + _count_nothing(
        tokens.letters[rows.blocks[ended - 1].end : place]
    )
    more = sum(skipped[ended:]) + _count_nothing(tokens.letters[rows.blocks[-1].end :])
    return left <= missing and length <= left + more


def _count_nothing(letters: str) -> int:
    """How many tokens may be null or references."""
    return letters.count("0") + letters.count("-")


def _skipped(tokens: Tokens, place: int) -> int:
    """How many tokens right before a record may be others that are null or references."""
    before = place
    while tokens.letters[before - 1] in "0-":
        before -= 1
    return place - before


def _numbers(tokens: Tokens, start: int) -> list[int]:
    return [token for token in tokens.all[start:] if isinstance(token, int)]


# -- phones and names


def _texts(tokens: Tokens, rows: Rows) -> dict[Column, list[str]]:
    """The rows' phones, as column 0, and what may be their names, by the distance from the block.

    Those are texts at the same distance in all rows that are all written as names are, or that
    stand beside the phones and differ from row to row, if all records are alike. [assumed]
    """
    phones = _phones(tokens, rows)
    texts: dict[Column, list[str]] = {(0,): [phone for _, phone in phones]} if phones else {}
    widths = {
        b.start - at for b, start in zip(rows.blocks, rows.starts, strict=True) for at in start
    }
    shown = {place - block.start for (place, _), block in zip(phones, rows.blocks, strict=False)}
    alike = len(widths) == len(shown) == 1
    for distance in (*range(1 - min(widths), 0), *range(1, rows.rest + 1)):
        column = _column(tokens, rows, distance)
        beside = alike and {distance - 1, distance + 1} & shown
        differ = all(column) and len({*column}) ** 2 >= len(column)
        if column and (
            (beside and differ) or all(is_written_as_a_name(text) for text in column if text)
        ):
            texts[(distance,)] = column
    return texts


def _column(tokens: Tokens, rows: Rows, distance: int) -> list[str]:
    """The texts at one distance from the block; none where anything else stands there."""
    places = [(b.start if distance < 0 else b.end) + distance for b in rows.blocks]
    numbers = [tokens.all[place] for place in places]
    if not tokens.texts.issuperset(numbers) or any(
        place < tokens.earliest[number] for number, place in zip(numbers, places, strict=True)
    ):
        return []
    # A column of strings brings new ones.
    new = len(tokens.certain.intersection(places))
    strings = [tokens.strings[number] for number in numbers]
    return strings if 2 * new >= len({*numbers} - {0}) > 0 else []


def _phones(tokens: Tokens, rows: Rows) -> list[tuple[int, str]]:
    """The place and the phone of each row, empty where it can't be told.

    A phone belongs to a row if its string's first use can only lie there: before the block, or
    between it and the next record. All stand on the same side of their blocks. After the last
    block follows the rest of its record and then that of the answer: that a phone there is the
    record's is [assumed], and only where all other rows have theirs after the block.

    Returns:
        nothing at all where two columns are possible.
    """
    last = len(rows.blocks) - 1
    begins = [block.start for block in rows.blocks]
    found: dict[tuple[int, str], set[tuple[int, str]]] = {}
    for number, text in enumerate(tokens.strings):
        if phone := normalise_phone(text):
            place, latest = tokens.earliest[number], tokens.latest[number]
            spots = _spots(rows, begins, place)
            for at in range(place + 1, latest + 1):
                if tokens.all[at] == number:
                    spots |= _spots(rows, begins, at)
            found[place, phone] = spots
    tail = [one for one, spots in found.items() if spots == {(last, "after")}]
    sides = {
        side
        for one, spots in found.items()
        if len(spots) == 1 and one not in tail
        for row, side in spots
        if row >= 0
    }
    if not last and len(found) == len(tail) == 1:
        sides = {"after"}
    if len(sides) != 1:
        return []
    phones = [(0, "")] * len(rows.blocks)
    for one, spots in found.items():
        possible = {row for row, side in spots if side in sides or row < 0}
        if len(possible) != 1 or (row := possible.pop()) < 0 or one in tail:
            continue
        if phones[row][0]:
            return []
        phones[row] = one
    if "after" in sides and len(tail) == 1 and all(place for place, _ in phones[:last]):
        phones[last] = tail[0]
    return phones


def _spots(rows: Rows, begins: Sequence[int], place: int) -> set[tuple[int, str]]:
    """In which rows a place may be, and on which side of their blocks; -1 is in none."""
    row = bisect_left(begins, place)  # the first block that begins behind it
    if row and place <= rows.blocks[row - 1].end:
        return set()  # in a block
    if row == len(begins):
        return {(row - 1, "after")}
    first, last = rows.starts[row]
    if place >= last:
        return {(row, "before")}
    return {(row - 1, "after"), (row, "before")} if place > first else {(row - 1, "after")}
