"""The value of a flag that is written as a reference to an earlier object.

An object that occurs again is written as ``-n``, its place among all objects in the order of
reading, counted from 1. [gwt] Without the classes it is not known which tokens begin an object, but
bounds are: the first use of a class's name does, a number that is no class does not. So each object
that may be meant has a least and a greatest number. A reference is believed if a single value is
possible.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate, product
from typing import Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import FLAG, Record
from vats_exporter.cabinet.tokens import COLLECTIONS, NUMBERS, Rows, Tokens

_BEGIN_WITH_A_VALUE: Final = (NUMBERS | COLLECTIONS) - {"java.util.Arrays$ArrayList"} | {
    *("java.lang.Long", "java.lang.String", "java.math.BigDecimal", "java.math.BigInteger"),
    *("java.util.Date", "java.sql.Date", "java.sql.Time"),
}
"""Classes after which comes a value or a length, and no object; arrays are others. [gwt]"""

_UNKNOWN: Final = -1
"""The value of a flag that may be anything."""

_SHARES: Final = 8
"""References after which a field whose values are spelled out once each is taken to share them."""

_FEW: Final = 4
"""Rows, the first ones, that may be known to be referred to."""


def resolve(tokens: Tokens, rows: Rows) -> list[Record]:
    """Give the rows, with the flags looked up that are references.

    Raises:
        UndecodableError: for one of them no value is possible, or more than one.
    """
    blocks, records = rows.blocks, rows.blocks.records
    flags = [record.values[FLAG] or 0 for record in records]
    referring = [(flag, at) for flag, at in zip(flags, blocks.starts, strict=True) if flag < 0]
    rest = tokens.all[blocks.ends[-1] :]
    behind = {token for token in rest if isinstance(token, int) and token < 0}
    if not (referring or behind):
        return records
    # Where rows may begin whose numbers can be certain: the first ones, and a longer list's first,
    # with how many objects begin there, the list among them.
    begins = [*zip(rows.begins, rows.begins_by, strict=True)]
    begun = [(first, last, 1) for first, last in begins[:_FEW] if behind]
    begun += [(place, place, 2) for place in rows.longer if behind]
    first = dict(reversed(referring))
    last = max([0, *first.values()])
    end = max([last, *(place + 1 for _, place, _ in begun)])
    near = bisect_left(blocks.starts, end)
    ids = [*zip(blocks.ends[:near], blocks.kinds, strict=False)]
    certain = {
        *({tokens.earliest[number] for number in tokens.names} & tokens.certain),
        *(place - 1 for place, _ in ids),
        *(place - 5 for place, kind in ids if kind),
        *(first for first, last in begins[: near + 1] if first == last),
        *(rows.headers if len(rows.headers) == 1 else ()),
    }
    maybe = _maybe(tokens, rows, certain, end)
    least = [0, *accumulate(place in certain for place in range(end))]
    most = [0, *accumulate(maybe)]
    # A list that has a row twice has one block less, in whose place another may stand.
    if any(least[at] == most[to] and -most[to] - more in behind for at, to, more in begun):
        raise UndecodableError("one of the rows may come twice")
    if not referring:
        return records
    values = {place: _value(tokens, rows, place) for place in range(last) if maybe[place]}
    # A field that shares its values spells each out once: nothing before is it.
    spelled = [*zip(flags, blocks.ends, blocks.kinds, strict=True)]
    own = {flag: place - 5 for flag, place, kind in spelled if kind}
    if len(own) < sum(map(bool, blocks.kinds)) or len(referring) < _SHARES:
        own = {}
    choices = [
        {
            value
            for place, value in values.items()
            if value is not None
            and own.get(value, 0) <= place < before
            and least[place] < -flag <= most[place] + 1
        }
        for flag, before in first.items()
    ]
    # There are two values, and each that is shared is one object.
    ways = product(*choices) if len(choices) <= 2 else ()
    meanings = {way for way in ways if len({*way}) == len(way)}
    if len(meanings) != 1 or _UNKNOWN in (meaning := meanings.pop()):
        raise UndecodableError("what the flag at 4 refers to is not certain")
    meant: Mapping[int | None, int] = dict(zip(first, meaning, strict=True))
    return [Record(ref, tuple(meant.get(one, one) for one in values)) for ref, values in records]


def _maybe(tokens: Tokens, rows: Rows, certain: set[int], end: int) -> list[bool]:
    """Whether an object may begin, at each place before ``end``."""
    # A 1 is the answer's own object, which is in no other, or a flag.
    maybe = [token != 1 and bool(tokens.class_at(at)) for at, token in enumerate(tokens.all[:end])]
    for first, last in zip(rows.blocks.starts, rows.blocks.ends, strict=True):
        if last < end:
            maybe[first : last + 1] = [False] * (last + 1 - first)
    for place in certain:
        if place < end:
            maybe[place] = True
            name = tokens.class_at(place)
            if name in _BEGIN_WITH_A_VALUE or name.startswith("["):
                maybe[place + 1 : place + 2] = [False] * (place + 1 < end)
    return maybe


def _value(tokens: Tokens, rows: Rows, place: int) -> int | None:
    """The value that an object is as a flag; ``None`` if it is none."""
    token, name = tokens.all[place], tokens.class_at(place)
    value: int | None = tokens.all[place + 1]
    kind = max(rows.blocks.kinds)
    if value not in (0, 1) or (kind and token != kind):
        return None
    if kind or name in NUMBERS:
        return value
    if name.startswith(("java.", "[")) or not place or token == rows.record:
        return None
    return _UNKNOWN
