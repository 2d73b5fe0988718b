"""An answer's tokens in the order of reading, and what can be said of them without any class.

Tokens alone do not tell what they are: a 7 may be a number, a string, or the class of an object.
But the server numbers strings in the order of their first use [gwt], so each string has an earliest
and a latest place for that, and a 7 before the earliest is no string. Where both are one place, the
7 there is the string for certain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from operator import lt
from typing import Any, Final, Literal, NamedTuple

from vats_exporter.gwt.errors import MalformedError
from vats_exporter.gwt.objects import SIGNATURE
from vats_exporter.gwt.response import Response

_LISTS: Final = "ArrayList LinkedList Vector Stack Arrays$ArrayList HashSet LinkedHashSet TreeSet"
_COLLECTIONS: Final = {f"java.util.{name}" for name in _LISTS.split()}
_MAPS: Final = {f"java.util.{name}" for name in ("HashMap", "LinkedHashMap", "IdentityHashMap")}

# Classes whose content is a number. [gwt]
NUMBERS: Final = {
    f"java.lang.{name}"
    for name in ("Boolean", "Byte", "Short", "Character", "Integer", "Float", "Double")
}
# Classes after which comes a number or a length, and no object; arrays are others. [gwt]
_VALUED: Final = NUMBERS | _MAPS | _COLLECTIONS - {"java.util.Arrays$ArrayList"}
JAVA: Final = ("java.", "[")
_SOMETHING: Final = re.compile("[^0-]")  # an element of a list that is no null and no reference


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
        letters: one for each, as :func:`vats_exporter.gwt.letters_of` makes them.
        strings: by number; the one of null is empty.
        names: of the classes among the strings, without their hash, by number.
        texts: the numbers of null and of strings that are no class.
        earliest, latest: the first and the last place of each string's first use, by number.
        certain: the places of strings whose first use can be nowhere else.
        long: the number of ``java.lang.Long``; 0 if the answer has none.
        collections: the numbers of the classes of lists, sets and arrays of objects.
        valued: those of the classes after which comes a number or a length, and no object.
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
            if name in _COLLECTIONS or name.startswith("[L")
        }
        self.valued = {
            number for number, name in self.names.items() if name in _VALUED or name.startswith("[")
        }
        count, end = len(self.strings), len(self.all) - 1
        try:
            self.earliest = [0, *_places(self.all, range(1, count))]
            backwards = [*_places(self.all[::-1], range(count - 1, 0, -1)), end]
        except ValueError:
            raise MalformedError("its strings are not numbered by their first use") from None
        self.latest = [end - place for place in reversed(backwards)]
        self.certain = {*self.earliest}.intersection(self.latest)

    def class_at(self, place: int) -> str:
        """The name of the class that the token at a place may stand for; empty if for none."""
        token = self.all[place]
        return self.names[token] if token in self.names and place >= self.earliest[token] else ""

    def uses(self, number: int) -> list[int]:
        """Where a string may be used."""
        places = [self.earliest[number]]
        with suppress(ValueError):
            while True:
                places.append(self.all.index(number, places[-1] + 1))
        return places

    def headers(self) -> list[Header]:
        """What may be the beginning of a list of objects of the application, in order."""
        found = []
        for place in sorted(chain.from_iterable(map(self.uses, self.collections))):
            counts = self.letters[place + 1 : place + 2] in ("1", "i", "n")
            if not counts or place + 1 in self.certain:
                continue
            length = self.all[place + 1]
            something = _SOMETHING.search(self.letters, place + 2)
            first = something.start() if something else len(self.all)
            known = first - place - 2
            name = self.class_at(first) if known < length and something else ""
            if known >= length:
                found.append(Header(place, length, length, 0))
            elif name and not name.startswith(JAVA) and self.all[first] != 1:
                found.append(Header(place, length, known, self.all[first]))
        return found

    def texts_at(self, starts: Sequence[int], distance: int) -> list[str]:
        """The texts at a distance from some places; none where anything else may be at one."""
        if self.all[starts[0] + distance] not in self.texts:
            return []
        places = [start + distance for start in starts]
        numbers = [*map(self.all.__getitem__, places)]
        if not self.texts.issuperset(numbers) or any(
            map(lt, places, map(self.earliest.__getitem__, numbers))
        ):
            return []
        # A column of texts brings new ones.
        new = len(self.certain.intersection(places))
        texts = [*map(self.strings.__getitem__, numbers)]
        return texts if 2 * new >= len({*numbers} - {0}) else []

    def field_at(
        self, starts: Sequence[int], distance: int
    ) -> Literal["one token", "object", "none"]:
        """What the field may be that stands at a distance from where objects of one class begin.

        An object's class is Java's or the application's. [assumed]
        """
        places = [start + distance for start in starts]
        found = {*map(self.letters.__getitem__, places)}
        if "s" in found:
            return "one token" if len(found) == 1 else "none"
        first = {self.all[place]: place for place in reversed(places)}
        classes = [self.class_at(place) for place in first.values() if self.letters[place] == "i"]
        java = {name.startswith(JAVA) for name in classes}
        if len(java) == 1 and all(classes) and found.isdisjoint("1fn"):
            return "object"
        texts = self.texts.issuperset(first) and all(
            place >= self.earliest[number] for number, place in first.items()
        )
        return "one token" if texts or self.certain.isdisjoint(first.values()) else "none"


def _places(tokens: list[Any], numbers: range) -> list[int]:
    """Where each number stands next, after the one before."""
    place, index = -1, tokens.index
    return [place := index(number, place + 1) for number in numbers]
