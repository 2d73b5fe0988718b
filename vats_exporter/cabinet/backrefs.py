"""What a row's flag means that is written as a reference to an object of before.

An object that occurs again is written as ``-n``, its place among all objects in the order of
reading, counted from 1. [gwt] Without the classes it is not known which tokens begin an object, but
bounds are: the first use of a class's name does, a number that is no class does not. So each object
that may be meant has a least and a greatest number, and any two a least and a greatest distance. A
reference is believed if a single value is possible.
"""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, pairwise, product
from math import prod
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import FLAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vats_exporter.cabinet.block import BlockList
    from vats_exporter.cabinet.stream import Stream

_CONTENT: Final = {
    "java.lang.Boolean": "01",
    **dict.fromkeys(("java.lang.Long", "java.util.Date", "java.sql.Date", "java.sql.Time"), "s"),
    **dict.fromkeys(
        (f"java.lang.{name}" for name in ("Byte", "Short", "Character", "Integer")), "01in-"
    ),
    **dict.fromkeys(("java.lang.Double", "java.lang.Float"), "01in-fs"),
    **dict.fromkeys(("java.lang.String", "java.math.BigDecimal", "java.math.BigInteger"), "01i"),
}
"""Classes whose content is one token, and the letters it may have. [gwt]"""

_SHARES: Final = 8
"""References after which a field whose values are spelled out once each is taken to share them."""

_MOST_WAYS: Final = 250_000
"""In which references can be tried; past it they are given up."""


def resolve(stream: Stream, rows: BlockList) -> Mapping[int, int]:
    """Look up the flags that are references.

    Returns:
        the value of each, by the negative number that it is written as.

    Raises:
        UndecodableError: for one of them no value is possible, or more than one.
    """
    first: dict[int, int] = {}
    referring = [b for b in rows.blocks if not b.kind and b.record.values[FLAG]]
    for block in reversed(referring):
        first[-(block.record.values[FLAG] or 0)] = block.start
    if not first and not rows.later:
        return {}
    spelled = Counter(block.record.values[FLAG] for block in rows.blocks if block.kind)
    shares = len(referring) >= _SHARES and max(spelled.values(), default=0) < 2
    objects = _Objects(stream, rows)
    for header in rows.later:
        place = header.place + 2
        elements = stream.tokens[place : place + header.known]
        if any(elements) and all(map(objects.may_be_row, elements)):
            raise UndecodableError("there may be another list of the same rows")
    numbers = sorted(first)
    possible = [objects.meant(number, first[number], shares=shares) for number in numbers]
    meanings = set()
    if len(numbers) <= 2 and prod(map(len, possible)) <= _MOST_WAYS:
        for places in product(*possible):
            values = tuple(objects.values[place] for place in places)
            # Each value that is shared is one object.
            if len({*values}) == len(values) and objects.may_be(places, numbers):
                meanings.add(values)
    if len(meanings) != 1 or "?" in (values := meanings.pop()):
        raise UndecodableError("what the flag at 4 refers to is not certain")
    return {-number: int(value) for number, value in zip(numbers, values, strict=True)}


class _Objects:
    """Where objects may begin in an answer, and what numbers they may have.

    Attributes:
        values: by place, the flag's value that an object there would be, as a digit.
    """

    def __init__(self, stream: Stream, rows: BlockList) -> None:
        self._stream = stream
        self._rows = rows
        self._letters = stream.marks[::-1] + " "
        certain = _certain(stream, rows)
        maybe = [self._may_begin(place) for place in range(len(stream.tokens))]
        for block in rows.blocks:
            maybe[block.start : block.end + 1] = [False] * (block.end + 1 - block.start)
            maybe[block.end - 5] = bool(stream.class_at(block.end - 5)) and block.kind > 0
        for place in sorted(certain):
            maybe[place] = True
            # What an object holds is no object itself, as far as it is known.
            for inner in range(place + 1, min(place + 1 + self._held(place), len(maybe))):
                maybe[inner] = False
        self._least = [0, *accumulate(place in certain for place in range(len(maybe)))]
        self._most = [0, *accumulate(maybe)]
        # Of two tokens one after the other, both of which may begin an object, only one does if
        # the first one's object is one token.
        self._greatest = [0]
        begun, held = 0, -1
        for place, may in enumerate(maybe):
            takes = may and self._held(place) > 0
            after = max(held, begun if not may or place not in certain else -1)
            if may and not takes:
                after = max(after, begun + 1)
            begun, held = after, begun + 1 if takes else -1
            self._greatest.append(max(begun, held))
        self.values = {
            place: value for place, may in enumerate(maybe) if may and (value := self._value(place))
        }

    def _value(self, place: int) -> str:
        """The value that an object is as a flag; ``?`` if not known, empty if it is none."""
        token, name = self._stream.tokens[place], self._stream.class_at(place)
        value = self._letters[place + 1]
        if value not in "01":
            return ""
        if self._rows.kind:
            return value if token == self._rows.kind else ""
        if not name.startswith("java.") and not name.startswith("["):
            return "?" if place and token != self._rows.headers[0].record else ""
        return value if "01in" in _CONTENT.get(name, "") or name == "java.lang.Boolean" else ""

    def may_be_row(self, reference: int) -> bool:
        """Whether a reference in a list may be to one of the rows; null may be anything."""
        return not reference or any(
            self._least[first] < -reference <= self._greatest[last] + 1
            for first, last in self._rows.starts
        )

    def meant(self, number: int, before: int, *, shares: bool) -> list[int]:
        """The places of the objects before another place that may have a number.

        Args:
            number: counted from 1.
            before: where it is referred to.
            shares: a flag that is spelled out is the only object of its value.
        """
        spelled = {
            str(block.record.values[FLAG]): block.end - 5
            for block in self._rows.blocks
            if block.kind
        }
        return [
            place
            for place, value in self.values.items()
            if place < before
            and self._least[place] < number <= self._greatest[place] + 1
            and not (shares and place < spelled.get(value, 0))
        ]

    def may_be(self, places: Sequence[int], numbers: Sequence[int]) -> bool:
        """Whether objects at some places may have some numbers, as far apart as they are."""
        return all(
            self._least[b] - self._least[a] <= more - number <= self._most[b] - self._most[a]
            for (a, b), (number, more) in zip(pairwise(places), pairwise(numbers), strict=True)
        )

    def _may_begin(self, place: int) -> bool:
        name = self._stream.class_at(place)
        # A 1 is the answer's own object, which is in no other, or a flag.
        if not name or (place and self._stream.tokens[place] == 1):
            return False
        following = self._letters[place + 1]
        if name.startswith("[") or self._stream.tokens[place] in self._stream.counted:
            return following in "01in"
        return following in _CONTENT.get(name, following)

    def _held(self, place: int) -> int:
        """How many tokens of an object after its class are known to begin no object."""
        name = self._stream.class_at(place)
        if name in _CONTENT or self._stream.tokens[place] in self._stream.counted:
            return 1
        if not name.startswith("["):
            return 0
        # The length of an array, and the numbers in it.
        length = self._stream.tokens[place + 1] if self._letters[place + 1] in "01in" else 0
        return 1 + (length if len(name) == 2 else 0)


def _certain(stream: Stream, rows: BlockList) -> set[int]:
    """Where objects begin for certain."""
    certain = {
        place
        for place in map(stream.earliest.__getitem__, range(1, len(stream.names)))
        if stream.names[stream.tokens[place]] and (place in stream.certain)
    }
    certain.update(block.end - 1 for block in rows.blocks)
    if any(not block.kind for block in rows.blocks):
        certain.update(block.end - 5 for block in rows.blocks if block.kind)
    certain.update(first for first, last in rows.starts if first == last)
    if len(rows.headers) == 1:
        certain.add(rows.headers[0].place)
    return certain
