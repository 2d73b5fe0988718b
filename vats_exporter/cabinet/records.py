"""From the tokens of a list answer to records: where each row begins, and what each column holds.

Knows GWT's object stream and nothing of phones, names or flags; :mod:`vats_exporter.cabinet.rows`
gives the columns their meaning.

How it works
------------
A reader of GWT-RPC goes through an answer from its end to its start, and knows from its classes
which fields follow. We have no classes, so the fields are inferred, from what is certain [gwt]:

* A list is its class, its length *n*, then *n* elements. Each row is the index of the record's
  class, then its fields, always in the same order.
* A field is a primitive or a string, one token whatever its value, or an object: ``0`` (null), a
  negative number (an object read before), or the index of a class followed by its content. The
  content of the boxed types, of dates and of Java's collections is known; an enum's is one token.
* Class names stand in the string table with their hash, ``java.lang.Long/4227064769``, so an index
  of a class is told from that of a string.

The first row up to the second one's class gives the columns; every row must then have just as
many, and end where the next begins. Only the row's *number* of columns is fixed, never its number
of tokens: an object seen before is one token shorter than the same object written out.

Objects are numbered from 1 in reading order, a container before its content;
:mod:`vats_exporter.cabinet.references` resolves back references by that number.

What does not add up is an :class:`~vats_exporter.cabinet.errors.UndecodableError`, never a guess:
a wrong flag is worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from vats_exporter.cabinet.contents import (
    COLLECTIONS,
    ONE_TOKEN,
    TEXTUAL,
    is_collection,
    may_be_content,
)
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.references import Cell, DecodedObject, may_refer, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.cabinet.references import Token
    from vats_exporter.gwt import Response

_SIGNATURE: Final = re.compile(r"(\[*[A-Za-z_$][\w$.]*;?)/\d{1,10}", re.ASCII)
"""``java.lang.Long/4227064769``, ``[Ljava.lang.String;/2600011424``. [gwt]"""

_WIDTHS: Final = (1, 0, 2, 3, 4, 5, 6, 7, 8)
"""Numbers of tokens tried for the content of a class that is not known; an enum has one."""

_MAX_DEPTH: Final = 16
_MOST_SHIFTS: Final = 64
_MAX_COLUMNS: Final = 256
_BUDGET: Final = 3
"""Cells read for each token of an answer before giving up, over all readings that are tried, so
that no answer takes more than linear time: the plain reading takes one."""

_SPARE: Final = 65_536
"""Cells on top of that, for the many readings that may be tried of a small answer."""


@dataclass(frozen=True, slots=True)
class RecordPage:
    """The records of one list answer.

    Attributes:
        rows: each row's cells, in reading order; all rows have equally many.
        strings: the answer's string table, counted from 1; ``None`` for the names of classes,
            which no field of a record holds.
        declared: the length the list gives itself.
        total: the number after the list that seems to be the count of all records; ``None`` where
            there is none or it can't be told. [assumed]
        outside: the tokens before the list and those after it, in reading order. A list of one row
            has no end that can be told: its row is among those after it.
        classes: the name of the class that each string of the table is, counted from 1; empty for
            other strings.
    """

    rows: tuple[tuple[Cell, ...], ...]
    strings: list[str | None]
    declared: int
    total: int | None
    outside: tuple[Sequence[Token], Sequence[Token]]
    classes: Sequence[str]

    def class_of(self, index: Token) -> str:
        """The class that a token is the index of, or an empty string."""
        if isinstance(index, int) and 0 < index < len(self.classes):
            return self.classes[index]
        return ""

    def text(self, index: Token) -> str | None:
        """The string that a cell's value refers to, ``None`` where it refers to none."""
        if isinstance(index, int) and 0 < index < len(self.strings):
            return self.strings[index]
        return None


def read_records(response: Response) -> Iterator[RecordPage]:
    """Read the lists of records in an answer, the outermost first, in every way that lines up.

    The first page with a meaning for the caller is the one to take.

    Args:
        response: a decoded ``//OK`` answer.

    Yields:
        one :class:`RecordPage` a reading of a list, empty lists among them.

    Raises:
        UndecodableError: at the end, if a list lines up but a back reference in it means nothing.
    """
    reader = _Reader(response)
    for start, length in reader.lists():
        if length == 0:
            tail = reader.stream[start + 2 :]
            outside = (reader.stream[:start], tail)
            yield RecordPage((), reader.strings, 0, _total(tail), outside, reader.classes)
            continue
        yield from reader.read_list(start, length)
    if reader.unresolved is not None:
        raise reader.unresolved


class _MisalignedError(Exception):
    """The tokens can't be read this way."""


class _Reading(NamedTuple):
    """What is supposed of a list that the tokens do not tell, to be tried in turn.

    Attributes:
        widths: number of content tokens of classes that are not known; 1 for those not named.
        primitive: a column that holds numbers, though the first row's looks like an object.
        one: the only column in which a 1 is a class. Flags are 1 all over a record, and class 1 is
            nearly always the answer's own, which no field holds; so in no column, at first.
    """

    widths: dict[str, int]
    primitive: int | None = None
    one: int | None = None


class _Reader:
    """One answer's tokens in reading order, with the readings of them that are tried."""

    def __init__(self, response: Response) -> None:
        self.stream: list[Token] = response.tokens[::-1]
        table = response.string_table
        matches = [_SIGNATURE.fullmatch(string) for string in table]
        self.classes = ["", *(match[1] if match else "" for match in matches)]
        names = zip(table, matches, strict=True)
        self.strings = [None, *(None if match else string for string, match in names)]
        self.unresolved: UndecodableError | None = None
        self.reading = _Reading({})
        self.budget = _BUDGET * len(self.stream) + _SPARE

    def class_at(self, position: int) -> str:
        """The class whose index stands at a position of the stream, or an empty string."""
        if position < len(self.stream):
            token = self.stream[position]
            if isinstance(token, int) and 0 < token < len(self.classes):
                return self.classes[token]
        return ""

    def _may_hold(self, name: str, position: int) -> bool:
        """Whether the tokens at a position can be the content of a class."""
        left = len(self.stream) - position
        return left > 0 and may_be_content(name, self.stream[position], left)

    def lists(self) -> Iterator[tuple[int, int]]:
        """Where a collection of records may begin: positions of its class, and its length."""
        stream = self.stream
        for position in range(len(stream) - 1):
            if self.budget < 0:
                return
            name = self.class_at(position)
            if COLLECTIONS.get(name) != 1 and not name.startswith("[L"):
                continue
            length = stream[position + 1]
            if not isinstance(length, int) or not 0 <= length <= len(stream):
                continue
            element = self.class_at(position + 2)
            if length == 0 or (element and element not in ONE_TOKEN):
                yield position, length

    def read_list(self, start: int, length: int) -> Iterator[RecordPage]:
        """Read a list of records in every way that lines up, the likeliest first."""
        for reading in self._readings(start):
            self.reading = reading
            for columns in self._column_counts(start + 3, length):
                try:
                    yield self._read_rows(start, length, columns)
                except _MisalignedError:
                    continue
                except UndecodableError as error:
                    self.unresolved = self.unresolved or error
            if self.budget < 0:
                break

    def _readings(self, start: int) -> Iterator[_Reading]:
        """The plain reading first, then those with one thing otherwise."""
        yield _Reading({})
        first_row = range(start + 3, min(len(self.stream), start + 3 + _MAX_COLUMNS))
        names = [self.class_at(position) for position in first_row]
        self.budget -= len(names)
        for column in range(len(names)):
            yield _Reading({}, primitive=column)
        if self.stream[0] != 1:
            for column in range(len(names)):
                yield _Reading({}, one=column)
        for name in sorted({*names} - {"", *ONE_TOKEN, *COLLECTIONS}):
            for width in _WIDTHS[1:]:
                yield _Reading({name: width})

    def _column_counts(self, position: int, length: int) -> Iterator[int | None]:
        """How many columns the first row may have: up to where the record's class stands again.

        ``None`` stands for all that is left: a list of one row has no next one to end it.
        """
        if length == 1:
            yield None
            return
        record = self.stream[position - 1]
        objects: list[DecodedObject] = []
        for column in range(_MAX_COLUMNS):
            if position >= len(self.stream):
                return
            if column and self.stream[position] == record:
                yield column
                # Not the next row after all: a number that only looks like it.
                position += 1
                continue
            try:
                position = self._read_field(position, objects, column)[1]
            except _MisalignedError:
                return

    def _read_rows(self, start: int, length: int, columns: int | None) -> RecordPage:
        """Read all rows, each with the same columns; raise `_MisalignedError` where they differ."""
        stream = self.stream
        header, shifts = self._header_objects(start)
        objects = [*header, DecodedObject(self.class_at(start), length)]
        primitive = {self.reading.primitive}
        rows: list[list[Cell]] = []
        position = start + 2
        for _ in range(length):
            if position >= len(stream) or stream[position] != stream[start + 2]:
                raise _MisalignedError
            objects.append(DecodedObject(self.class_at(position), 0))
            position += 1
            row: list[Cell] = []
            while len(row) < columns if columns is not None else position < len(stream):
                column = len(row)
                if column in primitive and position < len(stream):
                    self.budget -= 1
                    # Most fields of most rows; the rest of this loop is for the others.
                    row.append(Cell("", stream[position], is_object=False))
                    position += 1
                    continue
                cell, position = self._read_field(position, objects, column)
                if not cell.is_object and cell.value != 0 and not may_refer(cell.value):
                    # A number that is no class, or a long: this column holds no objects.
                    primitive.add(column)
                row.append(cell)
            rows.append(row)
        rest = stream[position:] if columns is not None else []
        self.budget -= len(rows) * len(rows[0]) * len(shifts)
        if self.budget < 0:
            raise _MisalignedError
        resolve(rows, objects, shifts)
        return RecordPage(
            rows=tuple(tuple(row) for row in rows),
            strings=self.strings,
            declared=length,
            total=_total(rest) if columns is not None else None,
            outside=(stream[:start], rest if columns is not None else stream[start + 3 :]),
            classes=self.classes,
        )

    def _header_objects(self, end: int) -> tuple[list[DecodedObject], range]:
        """The objects before a list: the answer itself and its first fields.

        Returns:
            the objects, and by how much the server's count of them may be greater.
        """
        stream = self.stream
        objects = [DecodedObject(self.class_at(0), 0)]
        over = under = 0  # objects that may be none, and those that may have swallowed another
        named = 1  # strings named so far: they are numbered in the order of their first use [gwt]
        position = 1
        while position < end:
            self.budget -= 1
            token, name = stream[position], self.class_at(position)
            first = token == named + 1
            named += first
            # Past the next string's number stands no string's. A 1 is a flag, as in the rows: its
            # class is the answer's own.
            if not name or token in (1, stream[0]) or int(token) > named:
                position += 1
                continue
            position += 1
            if name not in ONE_TOKEN:
                # A container: its fields follow, and are read as part of the header.
                objects.append(DecodedObject(name, 0))
                over += not first
            elif self._may_hold(name, position):
                content = stream[position]
                objects.append(DecodedObject(name, content))
                # A long in quotes after a number is a boxed one; two numbers may be two numbers.
                over += not first and isinstance(content, int)
                is_next = content == named + 1
                under += is_next
                named += is_next and name in TEXTUAL
                position += 1
        shifts = range(-min(over, _MOST_SHIFTS), min(under, _MOST_SHIFTS) + 1)
        return objects, shifts

    def _read_field(
        self, position: int, objects: list[DecodedObject], column: int
    ) -> tuple[Cell, int]:
        """Read a record's field by what is known, or supposed, of its column."""
        token = self.stream[position] if position < len(self.stream) else 0
        primitive = (
            column == self.reading.primitive
            or token == self.stream[0]
            or (token == 1 and column != self.reading.one)
        )
        return self._read_cell(position, objects, primitive=primitive)

    def _read_cell(
        self, position: int, objects: list[DecodedObject], *, primitive: bool, depth: int = 0
    ) -> tuple[Cell, int]:
        """Read one field.

        Args:
            position: of its first token.
            objects: all objects read so far; those of this field are added.
            primitive: it is known to hold no object, whatever its value looks like.
            depth: of collections within collections.

        Returns:
            the cell, and the position after it.
        """
        stream = self.stream
        self.budget -= 1
        if position >= len(stream) or depth > _MAX_DEPTH or self.budget < 0:
            raise _MisalignedError
        token = stream[position]
        name = "" if primitive else self.class_at(position)
        if not name or not self._may_hold(name, position + 1):
            return Cell("", token, is_object=False), position + 1
        number = len(objects)
        objects.append(DecodedObject(name, 0))
        position += 1
        first: Token = stream[position] if position < len(stream) else 0
        if name in ONE_TOKEN:
            position += 1
        elif is_collection(name):
            elements = int(first) * COLLECTIONS.get(name, 1)
            position += 1
            for _ in range(elements):
                _, position = self._read_cell(position, objects, primitive=False, depth=depth + 1)
        else:
            position += self.reading.widths.get(name, 1)
            if position > len(stream):
                raise _MisalignedError
        objects[number] = DecodedObject(name, first)
        return Cell(name, first, is_object=True), position


def _total(tail: list[Token]) -> int | None:
    """The count of all records, among the fields after the list: the only number there.

    Where several stand there it is the only one above 1, since flags are 0 and 1. [assumed]
    """
    numbers = [token for token in tail if isinstance(token, int) and token >= 0]
    if len(tail) == 1 and numbers:
        return numbers[0]
    counts = [number for number in numbers if number > 1]
    return counts[0] if len(counts) == 1 else None
