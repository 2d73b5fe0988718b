"""The value of a flag that is written as a back reference: to an earlier object.

An object that occurs again is written as ``-n``, its place among all objects in the order of
reading, counted from 1. [gwt] Without the classes it is not known which tokens begin an object, but
bounds are: the first use of a class's name does, a number that is no class does not. So each object
that may be meant has a least and a greatest number. A reference is believed if a single value is
possible.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, product, repeat
from typing import Final

from vats_exporter.cabinet.by_block import FLAG, Record, Rows
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt.tokens import JAVA, NUMBERS, Tokens

_UNKNOWN: Final = -1  # the value of a flag that may be anything
# References after which a field whose values are spelled out once each is taken to share them.
_SHARES: Final = 8
_FEW: Final = 4  # rows, the first ones, that may be known to be referred to


def resolve(tokens: Tokens, rows: Rows) -> list[Record]:
    """Give the rows, their flags looked up that are back references; refuse what is not certain."""
    blocks, records = rows.blocks, rows.blocks.records
    flags = [record.values[FLAG] or 0 for record in records]
    referring = [(flag, at) for flag, at in zip(flags, blocks.starts, strict=True) if flag < 0]
    first = dict(reversed(referring))  # where the first row begins that has each of them
    rest = tokens.all[blocks.ends[-1] :]
    behind = {token for token in rest if isinstance(token, int) and token < 0}
    # Where rows may begin whose numbers can be certain: the first ones, and a longer list's first,
    # with how many objects begin there, the list among them.
    begun = [*zip(rows.begins[:_FEW], rows.begins_by, repeat(1))] if behind else []
    begun += [(place, place, 2) for place in rows.longer if behind]
    last = max([0, *first.values()])
    least, most = _count_objects(tokens, rows, max([last, *(by + 1 for _, by, _ in begun)]))
    # A list that has a row twice has one block less, in whose place another may stand.
    if any(least[at] == most[by] and -most[by] - more in behind for at, by, more in begun):
        raise UndecodableError("one of the rows may come twice")
    if not first:
        return records
    meant = _look_up(tokens, rows, first, least, most)
    return [Record(ref, tuple(meant.get(one, one) for one in values)) for ref, values in records]


def _look_up(
    tokens: Tokens, rows: Rows, first: Mapping[int, int], least: Sequence[int], most: Sequence[int]
) -> Mapping[int | None, int]:
    """The values that back references mean, by where each comes first and how objects count."""
    blocks = rows.blocks
    flags = [record.values[FLAG] or 0 for record in blocks.records]
    # A field that shares its values spells each out once: nothing before is it.
    spelled = [*zip(flags, blocks.ends, blocks.kinds, strict=True)]
    own = {flag: end - 5 for flag, end, kind in spelled if kind}
    if len(own) < len(flags) - blocks.kinds.count(0) or sum(one < 0 for one in flags) < _SHARES:
        own = {}
    objects = [place for place in range(max(first.values())) if most[place] < most[place + 1]]
    values = [*_values(tokens, rows, objects)]
    choices = [
        {
            value
            for place, value in values
            if own.get(value, 0) <= place < before and least[place] < -flag <= most[place + 1]
        }
        for flag, before in first.items()
    ]
    # There are two values, and each that is shared is one object.
    ways = product(*choices) if len(choices) <= 2 else ()
    meanings = {way for way in ways if len({*way}) == len(way)}
    if len(meanings) != 1 or _UNKNOWN in (meaning := meanings.pop()):
        raise UndecodableError("what the flag at 4 refers to is not certain")
    return dict(zip(first, meaning, strict=True))


def _count_objects(tokens: Tokens, rows: Rows, end: int) -> tuple[list[int], list[int]]:
    """How many objects begin before each place up to ``end``: at least, and at most."""
    starts, ends, kinds, _ = rows.blocks
    near = bisect_left(starts, end)
    begins = zip(rows.begins[: near + 1], rows.begins_by, strict=False)
    certain = {
        *({tokens.earliest[number] for number in tokens.names} & tokens.certain),
        *(place - 1 for place in ends[:near]),
        *(place - 5 for place, kind in zip(ends[:near], kinds, strict=False) if kind),
        *(first for first, last in begins if first == last),
        *(rows.headers if len(rows.headers) == 1 else ()),
    }
    values = {
        *chain.from_iterable(map(range, starts[:near], ends[:near])),
        *(place + 1 for place in certain if tokens.all[place] in tokens.valued),
    }
    # A 1 is the answer's own object, which is in no other, or a flag.
    maybe = (
        place in certain
        or (place not in values and tokens.all[place] != 1 and bool(tokens.class_at(place)))
        for place in range(end)
    )
    least = [0, *accumulate(place in certain for place in range(end))]
    return least, [0, *accumulate(maybe)]


def _values(tokens: Tokens, rows: Rows, objects: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The objects that may be a flag, and the value that each is then."""
    kind = max(rows.blocks.kinds)
    for place in objects:
        token, value = tokens.all[place : place + 2]
        if value in (0, 1) and token == (kind or token):
            name = tokens.class_at(place)
            if kind or name in NUMBERS:
                yield place, value
            elif place and token != rows.record and not name.startswith(JAVA):
                yield place, _UNKNOWN
