"""An answer's tokens in the order of reading, and what can be said of them without any class.

Tokens alone do not tell what they are: a 7 may be a number, a string, or the class of an object.
But the server numbers strings in the order of their first use [gwt], so each string has an earliest
and a latest place for that, and a 7 before the earliest is no string. Where both are one place, the
7 there is the string for certain.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import le, lt
from typing import Any, Final, Literal, NamedTuple

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import Record
from vats_exporter.gwt import SIGNATURE, Response

COLLECTIONS: Final = frozenset(
    f"java.util.{name}"
    for name in (
        *("ArrayList", "LinkedList", "Vector", "Stack", "Arrays$ArrayList"),
        *("HashSet", "LinkedHashSet", "TreeSet"),
    )
)

NUMBERS: Final = frozenset(
    f"java.lang.{name}"
    for name in ("Boolean", "Byte", "Short", "Character", "Integer", "Float", "Double")
)
"""Classes whose content is a number. [gwt]"""


class Header(NamedTuple):
    """Where a list of the application's objects may begin: the place of its class, its length.

    Of its elements ``known`` come first that are null or references; ``record`` is the class of the
    next one, or 0.
    """

    place: int
    length: int
    known: int
    record: int


class Tokens:
    """The tokens of an answer.

    Attributes:
        all: ``None`` for those with a point, which would be taken for integers.
        letters: one for each, as :func:`vats_exporter.gwt.letters` makes them.
        strings: by number; the one of null is empty.
        names: of the classes among the strings, without their hash, by number.
        texts: the numbers of null and of strings that are no class.
        earliest: the first place at which each string can be used, by number.
        latest: the last place at which its first use can be.
        certain: the places of strings whose first use can be nowhere else.
        long: the number of ``java.lang.Long``; 0 if the answer has none.
        collections: the numbers of the classes of lists, sets and arrays of objects.
        counted: the numbers of the classes after which comes a value or a length.
    """

    def __init__(self, response: Response, letters: str) -> None:
        self.all: list[Any] = [*reversed(response.tokens)]
        for match in re.finditer("f", letters):
            self.all[match.start()] = None
        self.letters = letters
        self.strings = ["", *response.string_table]
        self.names = {
            number: text.partition("/")[0]
            for number, text in enumerate(self.strings)
            if "/" in text and SIGNATURE.fullmatch(text)
        }
        self.texts = {*range(len(self.strings))}.difference(self.names)
        self.long = next((n for n, name in self.names.items() if name == "java.lang.Long"), 0)
        self.collections = {
            number
            for number, name in self.names.items()
            if name in COLLECTIONS or name.startswith("[L")
        }
        self.counted = self.collections | {
            number
            for number, name in self.names.items()
            if name in NUMBERS or name.endswith("Map") or name.startswith("[")
        }
        count, end = len(self.strings), len(self.all) - 1
        try:
            self.earliest = [0, *_places(self.all, range(1, count))]
            backwards = [*_places(self.all[::-1], range(count - 1, 0, -1)), end]
        except ValueError:
            raise UndecodableError("its strings are not numbered by their first use") from None
        self.latest = [end - place for place in reversed(backwards)]
        self.certain = {*self.earliest}.intersection(self.latest)

    def class_at(self, place: int) -> str:
        """The name of the class that the token at a place may stand for; empty if for none."""
        token = self.all[place]
        return self.names[token] if token in self.names and place >= self.earliest[token] else ""

    def each(self, number: int) -> list[int]:
        """Where a string may be used."""
        places = [self.earliest[number]]
        with suppress(ValueError):
            while True:
                places.append(self.all.index(number, places[-1] + 1))
        return places

    def in_gaps(
        self, number: int, starts: Sequence[int], ends: Sequence[int]
    ) -> tuple[list[int], list[int]] | None:
        """The first and the last place of a string in each gap, if there is one in all of them."""
        if not starts:
            return [], []
        places = self.each(number)
        places = places[bisect_left(places, starts[0]) : bisect_left(places, ends[-1])]
        one_each = len(places) == len(starts) and all(map(le, starts, places))
        if one_each and all(map(lt, places, ends)):
            return places, places
        first, last, at = [], [], 0
        for start, end in zip(starts, ends, strict=True):
            at = bisect_left(places, start, at)
            after = bisect_left(places, end, at)
            if at == after:
                return None
            first.append(places[at])
            last.append(places[after - 1])
            at = after
        return first, last

    def headers(self) -> Iterator[Header]:
        """What may be the beginning of a list of objects of the application."""
        every = [*self.all, None, None, None]
        for place in chain.from_iterable(map(self.each, self.collections)):
            length = every[place + 1]
            if not isinstance(length, int) or length < 1 or place + 1 in self.certain:
                continue
            first = place + 2
            end = first + length
            while first < end and isinstance(every[first], int) and every[first] <= 0:
                first += 1
            record = self.class_at(first) if first < min(end, len(self.all)) else ""
            if first == end:
                yield Header(place, length, length, 0)
            elif record and not record.startswith(("java.", "[")) and every[first] != 1:
                yield Header(place, length, first - place - 2, every[first])

    def may_be_alike(self, places: Sequence[int], widths: set[int]) -> bool:
        """Whether the fields behind some places, so many tokens wide, may be of the same kinds.

        They are compared up to the first that may be an object, which may be any number of tokens.
        """
        for distance in range(1, min(widths, default=1)):
            field = self._field([place + distance for place in places])
            if field != "one token":
                return field == "object"
        return len(widths) < 2

    def _field(self, places: Sequence[int]) -> Literal["one token", "object", "none"]:
        """What the field is that stands at these places, each in another object of one class."""
        found = {*map(self.letters.__getitem__, places)}
        if "s" in found:
            return "one token" if len(found) == 1 else "none"
        numbers = [*map(self.all.__getitem__, places)]
        if "1" not in found and self.texts.issuperset(numbers):  # no class is among them
            unused = any(map(lt, places, map(self.earliest.__getitem__, numbers)))
            return "one token" if not unused or self.certain.isdisjoint(places) else "none"
        first = {self.all[place]: place for place in reversed(places)}.values()
        strings = {self.all[place] in self.names for place in first if place in self.certain}
        indexes = [place for place in first if self.letters[place] == "i"]
        unused = any(place < self.earliest[self.all[place]] for place in indexes)
        if unused or not found.isdisjoint("fn"):
            return "none" if strings else "one token"
        classes = [name for place in indexes if (name := self.class_at(place))]
        if not strings:
            return "object" if classes else "one token"
        if strings == {False}:
            return "none" if classes or not found.isdisjoint("1-") else "one token"
        # An object's class is Java's or the application's. [assumed]
        java = {name.startswith(("java.", "[")) for name in classes}
        known = len(strings) == len(java) == 1 and len(classes) == len(indexes)
        return "object" if known and "1" not in found else "none"


class Blocks(NamedTuple):
    """The rows' blocks.

    Attributes:
        starts: the places of their first values, 12.
        ends: the places of the ids.
        kinds: what stands at 5; 0 where the flag at 4 is null or a reference.
        records: the rows.
    """

    starts: list[int]
    ends: list[int]
    kinds: list[int]
    records: list[Record]


class Rows(NamedTuple):
    """The list's rows.

    Attributes:
        blocks: in order.
        headers: the places at which the list may begin; most often one.
        record: the class of its records.
        begins: for each block, the first place its record may begin at.
        begins_by: the last one.
        longer: where a longer list may begin before the rows.
        rest: how many tokens follow the block in every record.
    """

    blocks: Blocks
    headers: list[int]
    record: int
    begins: list[int]
    begins_by: list[int]
    longer: list[int]
    rest: int


def _places(tokens: list[Any], numbers: range) -> list[int]:
    """Where each number stands next, after the one before."""
    place, index = -1, tokens.index
    return [place := index(number, place + 1) for number in numbers]
