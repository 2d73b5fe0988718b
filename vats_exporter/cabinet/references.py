"""The value of a flag that is written as a reference to an earlier object.

An object that occurs again is written as ``-n``, its place among all objects in the order of
reading, counted from 1. [gwt] Without the classes it is not known which tokens begin an object, but
bounds are: the first use of a class's name does, a number that is no class does not. So each object
that may be meant has a least and a greatest number. A reference is believed if a single value is
possible.
"""

from __future__ import annotations

from itertools import accumulate, product
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import FLAG, Record
from vats_exporter.cabinet.tokens import COLLECTIONS, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.cabinet.tokens import Rows, Tokens

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
    records = [block.record for block in rows.blocks]
    referring = [
        (flag, block.start) for block in rows.blocks if (flag := block.record.values[FLAG] or 0) < 0
    ]
    rest = tokens.all[rows.blocks[-1].end :]
    behind = {token for token in rest if isinstance(token, int) and token < 0}
    if not (referring or behind):
        return records
    # Where rows may begin whose numbers can be certain: the first ones, and a longer list's first,
    # with how many objects begin there, the list among them.
    begun = [(first, last, 1) for first, last in rows.starts[:_FEW] if behind]
    begun += [(place, place, 2) for place in rows.longer if behind]
    first = dict(reversed(referring))
    last = max([0, *first.values()])
    end = max([last, *(place + 1 for _, place, _ in begun)])
    certain = _certain(tokens, rows)
    maybe = _maybe(tokens, rows, certain, end)
    least = [0, *accumulate(place in certain for place in range(end))]
    most = [0, *accumulate(maybe)]
    # A list that has a row twice has one block less, in whose place another may stand.
    if any(least[at] == most[to] and -most[to] - more in behind for at, to, more in begun):
        raise UndecodableError("one of the rows may come twice")
    if not referring:
        return records
    values = {place: _value(tokens, rows, place) for place in range(last) if maybe[place]}
    own = _own(rows, len(referring))
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


def _own(rows: Rows, references: int) -> Mapping[int | None, int]:
    """Where each value is spelled out, in a field that shares its values: nothing before is it."""
    spelled = {block.record.values[FLAG]: block.end - 5 for block in rows.blocks if block.kind}
    once = len(spelled) == sum(block.kind > 0 for block in rows.blocks)
    return spelled if once and references >= _SHARES else {}


def _certain(tokens: Tokens, rows: Rows) -> set[int]:
    """Where objects begin for certain."""
    certain = {tokens.earliest[number] for number in tokens.names} & tokens.certain
    certain.update(block.end - 1 for block in rows.blocks)
    certain.update(block.end - 5 for block in rows.blocks if block.kind)
    certain.update(first for first, last in rows.starts if first == last)
    if len(rows.headers) == 1:
        certain.add(rows.headers[0])
    return certain


def _maybe(tokens: Tokens, rows: Rows, certain: set[int], end: int) -> list[bool]:
    """Whether an object may begin, at each place before ``end``."""
    # A 1 is the answer's own object, which is in no other, or a flag.
    maybe = [token != 1 and bool(tokens.class_at(at)) for at, token in enumerate(tokens.all[:end])]
    for block in rows.blocks:
        if block.end < end:
            maybe[block.start : block.end + 1] = [False] * (block.end + 1 - block.start)
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
    if value not in (0, 1) or (rows.kind and token != rows.kind):
        return None
    if rows.kind or name in NUMBERS:
        return value
    if name.startswith(("java.", "[")) or not place or token == rows.record:
        return None
    return _UNKNOWN
