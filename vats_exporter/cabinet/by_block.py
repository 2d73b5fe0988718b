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
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, pairwise, repeat
from operator import ge, sub
from typing import Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import FLAG, Column, Page, Record, guess_total, is_written_as_a_name
from vats_exporter.cabinet.references import Blocks, Rows, resolve
from vats_exporter.gwt import MalformedError, Response
from vats_exporter.gwt.tokens import Header, Tokens
from vats_exporter.trunks import normalise_phone

_BLOCK: Final = re.compile(
    "is(?:"
    "(?<=(?P<usual>[01]{7}[in][01]{3})is)|"
    "(?<=(?P<unusual>[01in]{7}[in][01][01in]{2})is)|"
    "(?<=(?P<short>[01]{7}[0-][01]{2})is))"
)
"""A block in letters: the values, the id's class, the id. The flag at 4 is spelled out, and
something stands at 5; or it is null or a reference, and nothing does."""

_VALUES: Final = 10
_MOST_OTHERS: Final = 2  # values of a row that are more than flags; with more it is no row
# Of ten tokens so many are 0 or 1 by chance; in a row nine or ten are, and seldom under 7.
_HARDLY_A_ROW: Final = 5
# Tokens among which there may be the values of a row that is no block.
_RUN: Final = re.compile(r"[^sf]{11,}")

_UNLIKE: Final = "the records are not alike, and a block may be no row's"
_LIKE_A_ROW: Final = "something in the answer is like a row, and is no block"


def read_by_block(response: Response, letters: str, *, texts: bool) -> Page:
    """Read a page of the list by its rows' blocks, with phones and names if wanted; or refuse it.

    ``letters`` are those of the answer's tokens, in the order of reading.
    """
    try:
        tokens = Tokens(response, letters)
    except MalformedError as error:
        raise UndecodableError(str(error)) from None
    rows = find_rows(tokens)
    if rows is None:
        end = _find_empty(tokens)
        return Page((), guess_total(_numbers(tokens, end), 0), answer_class=tokens.strings[1])
    records = resolve(tokens, rows)
    return Page(
        records=tuple(records),
        total=guess_total(_numbers(tokens, rows.blocks.ends[-1] + 1 + rows.rest), len(records)),
        answer_class=tokens.strings[1],
        references=tuple(
            after
            for token, after in pairwise(tokens.all[: rows.headers[0]])
            if token == tokens.long and isinstance(after, str)
        ),
        texts=_texts(tokens, rows) if texts else {},
    )


def find_rows(tokens: Tokens) -> Rows | None:
    """Find the list of rows in an answer, or refuse it; ``None`` where it has no block at all."""
    blocks = _find_blocks(tokens)
    count = len(blocks.records)
    if not count:
        return None
    _check_nothing_missed(tokens, blocks)
    first_block = blocks.starts[0]
    headers = tokens.headers()
    between = {0: None} | {
        record: _between(tokens.each(record), blocks)
        for record in {header.record for header in headers} - {0}
    }
    of_rows = [header for header in headers if between[header.record]]
    own = [h for h in of_rows if h.length == count and not h.known and h.place < first_block - 2]
    if not own:
        raise UndecodableError(f"{count} blocks, but no list of that length before them")
    if {header.place + 1 for header in of_rows}.intersection(header.place for header in own):
        raise UndecodableError("the list's class may be the length of another")
    of_own = filter(None, (between[one] for one in {header.record for header in own}))
    first, last = zip(*of_own, strict=True)
    begins = [own[0].place + 2, *map(min, zip(*first, strict=True))]
    # The last record's end is not known.
    known = map(sub, begins[1:], blocks.ends)
    rows = Rows(
        blocks=blocks,
        headers=[header.place for header in own],
        record=own[0].record,
        begins=begins,
        begins_by=[own[-1].place + 2, *map(max, zip(*last, strict=True))],
        longer=[h.place for h in of_rows if h.length > count and h.place < first_block],
        rest=min(*known, len(tokens.all) - blocks.ends[-1]) - 1 if count > 1 else 0,
    )
    _check_only_list(tokens, rows, headers, of_rows)
    _check_alike(tokens, rows)
    return rows


def _find_blocks(tokens: Tokens) -> Blocks:
    """Find all blocks of an answer."""
    wire, long, earliest = tokens.all, tokens.long, tokens.earliest[tokens.long]
    starts, ends, kinds, records = [], [], [], []
    unusual = 0
    for match in _BLOCK.finditer(tokens.letters):
        place, short = match.start(), match.lastgroup == "short"
        if wire[place] != long or place < earliest:
            continue
        if letters := match["unusual"]:
            if letters.count("0") + letters.count("1") < _VALUES - _MOST_OTHERS:
                continue
            unusual += 1
        start = place - _VALUES - (not short)
        values = wire[start:place]
        values.reverse()
        if short:
            values[FLAG] = values[FLAG] or None
        kinds.append(0 if short else values.pop(FLAG + 1))
        starts.append(start)
        ends.append(place + 1)
        records.append(Record(wire[place + 1], tuple(values)))
    blocks = Blocks(starts, ends, kinds, records)
    _check_blocks(tokens, blocks, unusual)
    return blocks


def _check_blocks(tokens: Tokens, blocks: Blocks, unusual: int) -> None:
    """Refuse blocks of which some may be no row's."""
    kinds = {*blocks.kinds} - {0}
    short = blocks.kinds.count(0)
    if len(kinds) > 1:
        raise UndecodableError("the answer has blocks of several kinds")
    if 2 * unusual > len(blocks.kinds) - short:
        raise UndecodableError("most blocks hold other values than flags")
    if short and not kinds.issubset(tokens.names):
        raise UndecodableError("the flag at 4 is an object in some rows and a primitive in others")
    if short and not kinds and not any(record.values[FLAG] for record in blocks.records):
        raise UndecodableError("no row has a flag at 4")
    before = (tokens.letters[start - 3 : start] for start in blocks.starts)
    if short and not kinds and any({*letters} <= {*"01"} for letters in before):
        raise UndecodableError("a reference may be the flag at 4, or the id of a row without one")


def _between(places: list[int], blocks: Blocks) -> tuple[list[int], list[int]] | None:
    """The first and the last of some places between two blocks each; ``None`` if one has none."""
    after = [*map(bisect_left, repeat(places), blocks.ends[:-1])]
    before = [*map(bisect_left, repeat(places), blocks.starts[1:])]
    if any(map(ge, after, before)):
        return None
    return [places[at] for at in after], [places[at - 1] for at in before]


def _windows(letters: str, least: int) -> Iterator[tuple[int, int]]:
    """Behind which places so many of ten tokens, or more, are 0 or 1, as a row's values are."""
    flags = letters.replace("1", "0")
    # The others part them into stretches, of which one has so many at least.
    stretch = "0" * -(-least // (_VALUES - least + 1))
    for run in _RUN.finditer(flags):
        if stretch in run[0]:
            for at in range(run.start() + _VALUES, run.end() + 1):
                if (count := flags.count("0", at - _VALUES, at)) >= least:
                    yield at, count


def _check_nothing_missed(tokens: Tokens, blocks: Blocks) -> None:
    """Refuse an answer with something like a row outside of its blocks.

    Its reference is null or points to an earlier object, or its flag is an object of another kind.
    """
    gaps = zip([0, *blocks.ends], blocks.starts, blocks.ends, strict=False)
    outside = [tokens.letters[end:start] + "s" * (after - start) for end, start, after in gaps]
    letters = "".join([*outside, tokens.letters[blocks.ends[-1] :]])
    for at, flags in _windows(letters, 8):
        after = letters[at : at + 1]
        boxed = after == "i" and tokens.all[at] == tokens.long
        if after in {"0", "-"} or (boxed and (flags > 8 or letters[at - 3] == "-")):
            raise UndecodableError(_LIKE_A_ROW)


def _find_empty(tokens: Tokens) -> int:
    """Find the place behind an empty list in an answer without rows, or anything like one."""
    if any(_windows(tokens.letters, _HARDLY_A_ROW + 1)):
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
    letters, starts, ends = tokens.letters, rows.blocks.starts, rows.blocks.ends
    start, count = starts[0], len(ends)
    for place, length, known, record in of_rows:
        if place > start or length < count:
            continue
        begun = known + sum(
            token == record and before not in tokens.valued
            for before, token in pairwise([0, *tokens.all[place + 2 : start]])
        )
        if length == count:
            # Or they are a shorter list's, of which some have a second block within them.
            shorter = any(h.place < start and h.length < count <= 2 * h.length for h in headers)
            if begun >= count > 1 and shorter:
                raise UndecodableError("the rows may be of a shorter list")
            continue
        # The class of a single row is not known for certain, nor that two records have begun.
        behind = _most_nothing(letters[ends[-1] :])
        nearer = count == 1 and place > rows.headers[-1] and length - known - 1 <= behind
        if begun - (length in tokens.valued) < length or nearer:
            raise UndecodableError(f"the rows may be of a list of {length}")
    records = {h.record for h in of_rows if h.place < start and h.length == count}
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


def _may_be_made_up(tokens: Tokens, rows: Rows, ended: int, place: int, length: int) -> bool:
    """Whether null and references may be a list's last rows, and follow in another."""
    letters, ends = tokens.letters, rows.blocks.ends
    records = {tokens.all[header + 2] for header in rows.headers}
    gaps = zip([0, *ends], rows.begins, rows.begins_by, strict=False)
    # How many may stand before a record.
    before = [
        max(
            at - end - len(letters[end:at].rstrip("0-"))
            for at in range(first, last + 1)
            if tokens.all[at] in records
        )
        for end, first, last in gaps
    ]
    left = len(ends) - ended
    missing = sum(before[1:ended]) + _most_nothing(letters[ends[ended - 1] : place])
    more = sum(before[ended:]) + _most_nothing(letters[ends[-1] :])
    return left <= missing and length <= left + more


def _most_nothing(letters: str) -> int:
    """How many tokens in a row may be elements that are null or references."""
    return max(map(len, re.findall("[0-]+", letters)), default=0)


def _check_alike(tokens: Tokens, rows: Rows) -> None:
    """Refuse rows whose records have other fields around their blocks: one may be no row's.

    They are compared up to the first that may be an object, which may be any number of tokens.
    """
    of_rows = zip(rows.begins, rows.begins_by, rows.blocks.starts, strict=True)
    widths = {begin: start - begin for begin, by, start in of_rows if begin == by}
    for places, ends in (([*widths], {*widths.values()}), (rows.blocks.ends, {rows.rest + 1})):
        for distance in range(1, min(ends, default=1)):
            field = tokens.field_at(places, distance)
            if field == "object":
                break
            if field == "none":
                raise UndecodableError(_UNLIKE)
        else:
            if len(ends) > 1:
                raise UndecodableError(_UNLIKE)


def _numbers(tokens: Tokens, start: int) -> list[int]:
    return [token for token in tokens.all[start:] if isinstance(token, int)]


# -- phones and names


def _texts(tokens: Tokens, rows: Rows) -> dict[Column, list[str]]:
    """The rows' phones, as column 0, and what may be their names, by the distance from the block.

    Those are texts at the same distance in all rows that are all written as names are, or that
    stand beside the phones and differ from row to row, if all records are alike. [assumed]
    """
    starts, ends, begins = rows.blocks.starts, rows.blocks.ends, (*rows.begins, *rows.begins_by)
    phones = _phones(tokens, rows)
    texts: dict[Column, list[str]] = {(0,): [phone for _, phone in phones]} if phones else {}
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
    blocks = rows.blocks
    last = len(blocks.ends) - 1
    of_rows = zip(rows.begins, rows.begins_by, blocks.starts, blocks.ends, strict=True)
    edges = [*chain.from_iterable(of_rows)]
    sides, tail, in_rows = set(), [], []
    told = zip(map(normalise_phone, tokens.strings), tokens.earliest, tokens.latest, strict=True)
    for number, (phone, place, latest) in enumerate(told):
        if phone:
            spots: Collection[int] = _spots(edges, place)
            if latest > place:
                others = [at for at in range(place + 1, latest + 1) if tokens.all[at] == number]
                spots = {*spots, *chain.from_iterable(_spots(edges, at) for at in others)}
            certain = max(spots) if len(spots) == 1 else -1
            if certain == 2 * last + 1:
                tail.append((place, phone))
                continue
            if certain >= 0:
                sides.add(certain % 2)
            in_rows.append((place, phone, spots))
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


def _spots(edges: Sequence[int], place: int) -> range:
    """In which rows a place may be, and on which side of their blocks.

    Twice the row's number is before its block, one more behind it; -1 is before all rows. In a
    block it is nowhere. ``edges`` are for each row the places at which it may begin, and those of
    its block.
    """
    row, passed = divmod(bisect_left(edges, place), 4)
    return range(2 * row - (passed < 2), 2 * row + (0 < passed < 3))
