"""An answer's tokens in the order of reading, and what can be said of them without any class.

Tokens alone do not tell what they are: a 7 may be a number, a string, or the class of an object.
But the server numbers strings in the order of their first use [gwt], so each string has an earliest
and a latest place for that, and a 7 before the earliest is no string. Where both are one place, the
7 there is the string for certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.gwt import Response

_COLLECTIONS: Final = frozenset(
    f"java.util.{name}"
    for name in (
        *("ArrayList", "LinkedList", "Vector", "Stack", "Arrays$ArrayList"),
        *("HashSet", "LinkedHashSet", "TreeSet"),
    )
)


class Stream:
    """The tokens of an answer.

    Attributes:
        tokens: in the order of reading; ``None`` for those with a point, which would be taken for
            integers.
        wire: as the answer has them.
        marks: a letter for each of ``wire``, as :func:`vats_exporter.gwt.letters` makes them.
        strings: by number; the one of null is empty.
        names: of the classes among the strings, without their hash; empty for other strings.
        classes: the numbers of the classes, by name.
        earliest: the first place in ``tokens`` at which each string can be used, by number.
        latest: the last place at which its first use can be.
        texts: the numbers of null and of strings that are no class.
        certain: the places of strings whose first use can be nowhere else.
        long: the number of ``java.lang.Long``; 0 if the answer has none.
        collections: the numbers of the classes of lists, sets and arrays of objects.
        counted: those of them whose length follows in every release.
    """

    def __init__(self, response: Response, marks: str) -> None:
        wire: list[Any] = [*response.tokens]
        self.wire = wire
        self.marks = marks
        if "f" in marks:
            wire = [None if isinstance(token, float) else token for token in wire]
        self.tokens = wire[::-1]
        self.strings = ["", *response.string_table]
        self.names = [
            text.partition("/")[0] if "/" in text and SIGNATURE.fullmatch(text) else ""
            for text in self.strings
        ]
        self.classes = {name: number for number, name in enumerate(self.names) if name}
        self.texts = {*range(len(self.strings))}.difference(self.classes.values())
        self.long = self.classes.get("java.lang.Long", 0)
        self.collections = {
            number
            for name, number in self.classes.items()
            if name in _COLLECTIONS or name.startswith("[L")
        }
        self.counted = self.collections - {self.classes.get("java.util.Arrays$ArrayList")}
        try:
            self.earliest = [0, *_places(self.tokens, range(1, len(self.strings)))]
            last = [*_places(wire, range(len(self.strings) - 1, 0, -1)), len(wire) - 1]
        except ValueError:
            raise UndecodableError("its strings are not numbered by their first use") from None
        self.latest = [len(wire) - 1 - place for place in reversed(last)]
        self.certain = {
            at for at, last in zip(self.earliest, self.latest, strict=True) if at == last
        }

    def class_at(self, place: int) -> str:
        """The name of the class that the token at a place may stand for; empty if for none."""
        token = self.tokens[place]
        if not isinstance(token, int) or not 0 < token < len(self.names):
            return ""
        return self.names[token] if place >= self.earliest[token] else ""

    def places(self, number: int) -> list[int]:
        """Where the first use of a string may be."""
        place, latest = self.earliest[number], self.latest[number]
        if place == latest:
            return [place]
        return [at for at in range(place, latest + 1) if self.tokens[at] == number]


def _places(tokens: list[Any], numbers: range) -> Iterator[int]:
    """Where each number stands next, after the one before."""
    place, index = -1, tokens.index
    for number in numbers:
        place = index(number, place + 1)
        yield place
