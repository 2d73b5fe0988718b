"""The rows of a list by their blocks alone, where no class of the answer is known.

A row stands in the answer, as the server writes it, as the reference and twelve values [user]::

    'CaXXXX',2,0,0,1,8,1,0,0,0,0,0,0
             1 2 3 4 5 6 7 8 9 …  12

1 is the index of ``java.lang.Long``. What stands at 5, and whether it is one token with 4, depends
on the kind of the flag at 4, which is not known (CONTRACT, section 2). The others are flags.

This is all that is known of a record, so none is parsed. In the order of reading a block is flags
in their places, the number of ``java.lang.Long`` and an id in quotes. What makes it safe to believe
a set of blocks stands around it:

* what stands at 5 is the same in all rows that spell it out;
* all blocks of the answer are rows of one list, which says how many it has, and the class of its
  records stands between any two of them;
* no other list explains the blocks as well, and nothing else looks like a row that was missed;
* an answer with anything like a row in it is no empty list.

Whatever is not certain refuses the answer.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat
from operator import ge, sub
from typing import Final, NamedTuple

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt.tokens import Header, Tokens
from vats_exporter.trunks import FLAG_POSITIONS

VARYING: Final = (4, 6, 7, 9)  # the positions that were seen to vary [observed]
KNOWN_PATTERNS: Final = {  # and what they mean [user]
    "1100": "activated, not marked for deletion, has a working binding",
    "0011": "switched off, marked for deletion",
}
FLAG: Final = FLAG_POSITIONS.index(4)  # where the flag at 4 stands among a row's values
Headers = list[Header]  # of all lists in an answer, or those whose elements may be the rows

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
# How many of ten tokens are 0 or 1: of a row's values nine or ten, and seldom under 7; by chance 5.
_A_ROW: Final = 8
_HARDLY_A_ROW: Final = 6
# Tokens among which there may be the values of a row that is no block.
_RUN: Final = re.compile(r"[^sf]{11,}")

_UNLIKE: Final = "the records are not alike, and a block may be no row's"


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


class Blocks(NamedTuple):
    """The blocks of an answer, in order: the places of their first values, 12, and of their ids.

    ``kinds`` are what stands at 5; 0 where the flag at 4 is null or a reference.
    """

    starts: list[int]
    ends: list[int]
    kinds: list[int]
    records: list[Record]


class Rows(NamedTuple):
    """The list's rows: where the list and each record may begin, most often one place each.

    ``begins`` are the first such places, and ``begins_by`` the last. ``longer`` are those where a
    longer list may begin; ``rest`` tokens follow the block in every record, and the list ends
    before the place ``end``. ``refers_back`` is whether a flag may be a back reference, or one
    behind the rows may be to a row. Of an empty list only its end is told.
    """

    blocks: Blocks
    end: int
    refers_back: bool = False
    headers: Sequence[int] = ()
    record: int = 0
    begins: Sequence[int] = ()
    begins_by: Sequence[int] = ()
    longer: Sequence[int] = ()
    rest: int = 0


def find_rows(tokens: Tokens) -> Rows:
    """Find the list of rows in an answer; or refuse it."""
    blocks = _find_blocks(tokens)
    _check_nothing_missed(tokens, blocks)
    count = len(blocks.records)
    if not count:
        return Rows(blocks, _find_empty(tokens))
    first_block, last_id = blocks.starts[0], blocks.ends[-1]
    headers = tokens.headers()
    between = {
        record: _between(tokens.uses(record), blocks)
        for record in {header.record for header in headers} - {0}
    }
    of_rows = [header for header in headers if between.get(header.record)]
    own = [h for h in of_rows if h.length == count and not h.known and h.place < first_block - 2]
    if not own:
        raise UndecodableError(f"{count} blocks, but no list of that length before them")
    if {header.place + 1 for header in of_rows}.intersection(header.place for header in own):
        raise UndecodableError("the list's class may be the length of another")
    of_own = filter(None, map(between.get, {header.record for header in own}))
    first, last = zip(*of_own, strict=True)
    begins = [own[0].place + 2, *map(min, zip(*first, strict=True))]
    # The last record's end is not known.
    known = map(sub, begins[1:], blocks.ends)
    rest = min(*known, len(tokens.all) - last_id) - 1 if count > 1 else 0
    rows = Rows(
        blocks=blocks,
        end=last_id + 1 + rest,
        refers_back=0 in blocks.kinds or "-" in tokens.letters[last_id:],
        headers=[header.place for header in own],
        record=own[0].record,
        begins=begins,
        begins_by=[own[-1].place + 2, *map(max, zip(*last, strict=True))],
        longer=[h.place for h in of_rows if h.length > count and h.place < first_block],
        rest=rest,
    )
    if len(headers) > 1:
        _check_length(tokens, rows, headers, of_rows)
        _check_only_list(tokens, rows, headers, of_rows)
    _check_alike(tokens, rows)
    return rows


def _find_blocks(tokens: Tokens) -> Blocks:
    """Find all blocks of an answer; refuse them if some may be no row's."""
    all_tokens, long, earliest = tokens.all, tokens.long, tokens.earliest[tokens.long]
    starts, ends, kinds, records = [], [], [], []
    unusual = 0
    for match in _BLOCK.finditer(tokens.letters):
        place, is_short = match.start(), match.lastgroup == "short"
        if all_tokens[place] != long or place < earliest:
            continue
        if letters := match["unusual"]:
            if letters.count("0") + letters.count("1") < _VALUES - _MOST_OTHERS:
                continue
            unusual += 1
        start = place - _VALUES - (not is_short)
        values = all_tokens[start:place][::-1]
        if is_short:
            values[FLAG] = values[FLAG] or None
        kinds.append(0 if is_short else values.pop(FLAG + 1))
        starts.append(start)
        ends.append(place + 1)
        records.append(Record(all_tokens[place + 1], tuple(values)))
    blocks = Blocks(starts, ends, kinds, records)
    _check_of_one_list(tokens, blocks, unusual)
    return blocks


def _check_of_one_list(tokens: Tokens, blocks: Blocks, unusual: int) -> None:
    """Refuse blocks that rows of one class cannot be; ``unusual`` of them hold more than flags."""
    spelled_out, short = {*blocks.kinds} - {0}, blocks.kinds.count(0)
    if len(spelled_out) > 1:
        raise UndecodableError("the answer has blocks of several kinds")
    if 2 * unusual > len(blocks.kinds) - short:
        raise UndecodableError("most blocks hold other values than flags")
    if short and not spelled_out.issubset(tokens.names):
        raise UndecodableError("the flag at 4 is an object in some rows and a primitive in others")
    if short and not spelled_out:
        if not any(record.values[FLAG] for record in blocks.records):
            raise UndecodableError("no row has a flag at 4")
        if any({*tokens.letters[start - 3 : start]} <= {*"01"} for start in blocks.starts):
            raise UndecodableError(
                "a reference may be the flag at 4, or the id of a row without one"
            )


def _check_nothing_missed(tokens: Tokens, blocks: Blocks) -> None:
    """Refuse an answer with something like a row outside of its blocks.

    Its reference is null or points to an earlier object, or its flag is an object of another kind.
    Where there is no block, most of a row's values are enough.
    """
    gaps = zip([0, *blocks.ends], blocks.starts, blocks.ends, strict=False)
    outside = [tokens.letters[end:start] + "s" * (after - start) for end, start, after in gaps]
    letters = "".join([*outside, tokens.letters[[0, *blocks.ends][-1] :]])
    for at, count in _windows(letters, _A_ROW if outside else _HARDLY_A_ROW):
        after = letters[at : at + 1]
        boxed = after == "i" and tokens.all[at] == tokens.long
        is_row = after in {"0", "-"} or (boxed and (count > _A_ROW or letters[at - 3] == "-"))
        if is_row or not outside:
            raise UndecodableError("something in the answer is like a row, and is no block")


def _windows(letters: str, least: int) -> Iterator[tuple[int, int]]:
    """Behind which places so many of ten tokens, or more, are 0 or 1, as a row's are; how many."""
    flags = letters.replace("1", "0")
    # The others part them into stretches, of which one has so many at least.
    stretch = "0" * -(-least // (_VALUES - least + 1))
    for run in _RUN.finditer(flags):
        if stretch in run[0]:
            for at in range(run.start() + _VALUES, run.end() + 1):
                if (count := flags.count("0", at - _VALUES, at)) >= least:
                    yield at, count


def _find_empty(tokens: Tokens) -> int:
    """Find the place behind an empty list in an answer without rows."""
    for place, (token, after) in enumerate(pairwise(tokens.all)):
        if after == 0 and token in tokens.collections and tokens.class_at(place):
            return place + 2
    for number, name in tokens.names.items():
        if name == "java.util.Collections$EmptyList":
            return tokens.earliest[number] + 1
    raise UndecodableError("no list of rows in the answer")


def _between(places: list[int], blocks: Blocks) -> tuple[list[int], list[int]] | None:
    """The first and the last of some places between two blocks each; ``None`` if one has none."""
    after = [*map(bisect_left, repeat(places), blocks.ends[:-1])]
    before = [*map(bisect_left, repeat(places), blocks.starts[1:])]
    if any(map(ge, after, before)):
        return None
    return [places[at] for at in after], [places[at - 1] for at in before]


def _check_length(tokens: Tokens, rows: Rows, headers: Headers, of_rows: Headers) -> None:
    """Refuse rows that may be a longer list's, whose others are no rows, or a shorter list's."""
    start, ends = rows.blocks.starts[0], rows.blocks.ends
    count = len(ends)
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
        behind = _most_without_rows(tokens.letters[ends[-1] :])
        nearer = count == 1 and place > rows.headers[-1] and length - known - 1 <= behind
        if begun - (length in tokens.valued) < length or nearer:
            raise UndecodableError(f"the rows may be of a list of {length}")


def _check_only_list(tokens: Tokens, rows: Rows, headers: Headers, of_rows: Headers) -> None:
    """Refuse rows that may be two lists', or be referred to by another list.

    Of two, one may make up for the other's rows with null and references.
    """
    start, ends = rows.blocks.starts[0], rows.blocks.ends
    count = len(ends)
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
    missing = sum(before[1:ended]) + _most_without_rows(letters[ends[ended - 1] : place])
    more = sum(before[ended:]) + _most_without_rows(letters[ends[-1] :])
    return left <= missing and length <= left + more


def _most_without_rows(letters: str) -> int:
    """How many successive tokens may be elements that are no rows: null and references."""
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
