"""An answer's tokens in the order of reading, and what can be said of them without any class.

Tokens alone do not tell what they are: a 7 may be a number, a string, or the class of an object.
But the server numbers strings in the order of their first use [gwt], so each string has an earliest
and a latest place for that, and a 7 before the earliest is no string. Where both are one place, the
7 there is the string for certain.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.cabinet.page import Record
    from vats_exporter.gwt import Response

COLLECTIONS: Final = frozenset(
    f"java.util.{name}"
    for name in (
        *("ArrayList", "LinkedList", "Vector", "Stack", "Arrays$ArrayList"),
        *("HashSet", "LinkedHashSet", "TreeSet"),
    )
)


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
    """

    def __init__(self, response: Response, letters: str) -> None:
        wire: list[Any] = [*response.tokens]
        if "f" in letters:
            wire = [None if isinstance(token, float) else token for token in wire]
        self.all = wire[::-1]
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
        count, end = len(self.strings), len(wire) - 1
        try:
            self.earliest = [0, *_places(self.all, range(1, count))]
            backwards = [*_places(wire, range(count - 1, 0, -1)), end]
        except ValueError:
            raise UndecodableError("its strings are not numbered by their first use") from None
        self.latest = [end - place for place in reversed(backwards)]
        self.certain = {
            at for at, last in zip(self.earliest, self.latest, strict=True) if at == last
        }

    def class_at(self, place: int) -> str:
        """The name of the class that the token at a place may stand for; empty if for none."""
        token = self.all[place]
        return self.names[token] if token in self.names and place >= self.earliest[token] else ""

    def each(self, number: int) -> Iterator[int]:
        """Where a string may be used."""
        place = self.earliest[number]
        with suppress(ValueError):
            while True:
                yield place
                place = self.all.index(number, place + 1)


class Block(NamedTuple):
    """A row's block.

    Attributes:
        start: the place of its first value, 12.
        end: the place of its id.
        kind: what stands at 5; 0 where the flag is one token, null or a reference.
        record: the row; its flag is negative where it is a reference.
    """

    start: int
    end: int
    kind: int
    record: Record


class Rows(NamedTuple):
    """The list's rows.

    Attributes:
        blocks: in order.
        kind: what stands at 5 in them; 0 where no row spells its flag out.
        headers: the places at which the list may begin; most often one.
        record: the class of its records.
        starts: for each block, the first and the last place its record may begin at.
    """

    blocks: list[Block]
    kind: int
    headers: list[int]
    record: int
    starts: list[tuple[int, int]]


def _places(tokens: list[Any], numbers: range) -> Iterator[int]:
    """Where each number stands next, after the one before."""
    place, index = -1, tokens.index
    for number in numbers:
        place = index(number, place + 1)
        yield place
