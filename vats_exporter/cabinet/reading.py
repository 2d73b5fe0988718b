"""A page of the tab "Абоненты", read by the script's classes and by the rows' block.

Where both say which rows there are and differ, the page is refused: one of them is wrong, and it is
not known which.

The script tells the kinds of a class's fields, and no names, so a record is told by its block
(:mod:`vats_exporter.cabinet.by_block`): fields that stand together and allow it. They are found
once for a deployment; their values then tell whether a list's elements are rows. The list must be
the only one of rows, and stand in no record of another: which of two is *the* list cannot be known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from vats_exporter.cabinet.back_references import resolve
from vats_exporter.cabinet.by_block import FLAG, Record, Rows, find_rows
from vats_exporter.cabinet.errors import DifferError, TableError, UndecodableError
from vats_exporter.cabinet.texts import read_texts
from vats_exporter.gwt import (
    Fields,
    GwtObject,
    Kind,
    MalformedError,
    NotUnderstood,
    ObjectReader,
    ObjectsError,
    ObjectType,
    Repeat,
    Response,
    letters_of,
)
from vats_exporter.gwt.tokens import Tokens

Column: TypeAlias = tuple[int, ...]
"""Where a text stands in its record; the reader says what the numbers count."""

Values = tuple[int | None, ...]

# A block in the first letters of its fields' kinds: where a flag is 0, a string may be null. The
# flag at 4 is an object of one value, or a primitive behind what stands at 5.
_BLOCK: Final = re.compile("(?=[nbso]{7}(?P<flag>o|[ns][nb])[nbso]{2}o)")
_ELEMENTS: Final = Repeat((Kind.OBJECT,))
# Lists whose length is in their names. [gwt]
_WITHOUT_COUNT: Final = ("java.util.Collections$EmptyList", "java.util.Collections$SingletonList")
_DEEPEST: Final = 4  # objects within objects in a record in which texts are looked for
_MOST_OBJECTS: Final = 1000  # fields of a record, and of the objects in it, in which they are


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of subscribers."""

    records: tuple[Record, ...]  # its rows, in the cabinet's order
    total: int | None = None  # the rows on all pages, where the answer seems to say it [assumed]
    read_by: Literal["script", "block"] = "block"
    not_by_script: str = ""  # why not
    answer_class: str = ""  # the type signature of the answer's own object
    longs: tuple[str, ...] = ()  # the boxed longs outside of the rows, in order
    # Of all records, by column; among them phones and names are looked for.
    texts: Mapping[Column, Sequence[str | None]] = field(default_factory=dict, repr=False)


class _Block(NamedTuple):
    """The fields of a row's block; ``others`` gives the values at 2, 3 and 6 to 12."""

    ref: int
    flag: int
    boxed: bool
    others: Callable[[Sequence[Any]], tuple[Any, ...]]


class ClassTable:
    """The classes of a script, by type signature, ready to read its deployment's answers."""

    def __init__(self, classes: Mapping[str, Fields | NotUnderstood | None]) -> None:
        self.reader = ObjectReader(classes)
        self.blocks = cache(_blocks)

    def may_be_rows(self, elements: Iterable[GwtObject | None]) -> bool:
        """Whether the class of one of some objects allows it."""
        return any(map(self.blocks, {one.type for one in elements if one is not None}))


def _blocks(of: ObjectType) -> list[_Block]:
    """Where a class's fields allow a row's block; in most classes nowhere."""
    kinds = "".join(kind.value[0] if isinstance(kind, Kind) else "-" for kind in of.fields)
    found = []
    for start, end in (match.span("flag") for match in _BLOCK.finditer(kinds)):
        others = itemgetter(end + 1, end, *range(start - 1, start - 8, -1))
        found.append(_Block(end + 2, end - 1, end - start == 1, others))
    return found


def read_page(
    response: Response, table: ClassTable | None = None, *, not_by_script: str = "no script"
) -> Page:
    """Read the answer to a list request; a page without records is an empty list.

    By the block alone where there is no table, for the reason given. A ``TableError`` is for one
    that lacks a class of the answer or does not fit it, an ``UndecodableError`` for an answer
    without a list whose rows are certain.
    """
    if response.status != "OK" or not response.tokens or not response.string_table:
        raise UndecodableError("the answer is no object")
    letters = letters_of(response.tokens, len(response.string_table))
    by_script = read_by_script(response, table, letters) if table else None
    try:
        tokens = Tokens(response, letters[::-1])
        rows = find_rows(tokens)
        records = tuple(resolve(tokens, rows) if rows.refers_back else rows.blocks.records)
    except (MalformedError, UndecodableError) as error:
        if by_script:  # exact by itself; its rows need not be certain without classes as well
            return by_script
        why = "no class in the answer holds a row, and by its tokens: " if table else ""
        raise UndecodableError(f"{why}{error}") from None
    if not by_script:
        if table and not records:
            raise UndecodableError("the answer has a list, but no class in it holds a row")
        reason = "no class in the answer holds a row" if table else not_by_script
        return _by_block(tokens, rows, records, reason)
    if by_script.records != records and _shown(by_script.records) != _shown(records):
        raise DifferError(_shown(by_script.records), _shown(records))
    return by_script


def _shown(records: Iterable[Record]) -> list[str]:
    # A text in a flag's place is 1 to one reader and its number to the other; null is 0.
    flags = ((record.ref, tuple(map(int, map(bool, record.values)))) for record in records)
    return [f"{ref} {Record(ref, values).pattern}" for ref, values in flags]


def _by_block(tokens: Tokens, rows: Rows, records: tuple[Record, ...], reason: str) -> Page:
    """A page of what is known without a class."""
    before = tokens.all[: rows.headers[0]] if records else []
    return Page(
        records=records,
        total=guess_total([n for n in tokens.all[rows.end :] if isinstance(n, int)], len(records)),
        not_by_script=reason,
        answer_class=tokens.strings[1],
        longs=tuple(
            after
            for token, after in pairwise(before)
            if token == tokens.long and isinstance(after, str)
        ),
        texts=read_texts(tokens, rows) if records else {},
    )


def guess_total(numbers: Sequence[int], rows: int) -> int | None:
    """Guess which of the numbers around a list counts the rows of all pages.

    It is the only one that may, with no fewer than on this page; of several, the only one that is
    no flag. [assumed]
    """
    possible = [number for number in numbers if number >= rows]
    if len(possible) != 1:
        possible = [number for number in possible if number > 1]
    return possible[0] if len(possible) == 1 else None


def read_by_script(response: Response, table: ClassTable, letters: str) -> Page | None:
    """Read a page by the script's classes; ``None`` where no class in it holds a row's block."""
    try:
        root = table.reader.read(response, letters)
    except ObjectsError as error:
        where = "" if error.where is None else f", token {error.where} from the answer's end"
        raise TableError(f"{error}{where}", missing=error.missing) from None
    if not isinstance(root, GwtObject):
        return None
    walked = [*_walk(root, table, set(), (), in_list=False)]
    lists = [one for one in walked if isinstance(one, _List)]
    rows = _read_rows(lists, table)
    of_rows = _choose_list(lists, rows)
    if of_rows is None:
        return None
    elements = of_rows.elements
    records = tuple(rows[id(element)] for element in elements if id(element) in rows)
    if len(records) < len(elements):
        raise UndecodableError(f"{len(records)} of {len(elements)} records hold a row")
    numbers = [
        value
        for around in of_rows.path
        if not around.type.name.startswith("java.")
        for kind, value in zip(around.type.fields, around.values, strict=True)
        if kind is Kind.NUMBER and isinstance(value, int)
    ]
    return Page(
        records=records,
        total=guess_total(numbers, len(records)),
        read_by="script",
        answer_class=root.type.signature,
        longs=tuple(one for one in walked if isinstance(one, str)),
        texts=_texts(elements) if records else {},
    )


class _List(NamedTuple):
    """A list of what may be rows, or of nothing; what it stands in, and whether in another list."""

    elements: Sequence[Any]
    path: tuple[GwtObject, ...]
    in_list: bool


def _walk(
    found: GwtObject,
    table: ClassTable,
    seen: set[int],
    path: tuple[GwtObject, ...],
    *,
    in_list: bool,
) -> Iterator[_List | str]:
    """The lists and the boxed longs in an object, save those within what may be rows."""
    if id(found) in seen:
        return
    seen.add(id(found))
    if found.type.name == "java.lang.Long":
        yield found.values[0]
        return
    path = (*path, found)
    fields = zip(found.type.fields, found.values, strict=True)
    for kind, value in [(_ELEMENTS, found.values)] if found.type.name in _WITHOUT_COUNT else fields:
        if kind == _ELEMENTS and (not value or table.may_be_rows(value)):
            yield _List(value, path, in_list)
            continue
        repeated = isinstance(kind, Repeat)
        for element in value if repeated else [value]:
            if isinstance(element, GwtObject):
                yield from _walk(element, table, seen, path, in_list=in_list or repeated)


def _read_rows(lists: Iterable[_List], table: ClassTable) -> dict[int, Record]:
    """Read the rows among the elements of lists, class by class; by the element's id."""
    by_type: dict[ObjectType, dict[int, GwtObject]] = {}
    for one in lists:
        for element in filter(None, one.elements):
            by_type.setdefault(element.type, {})[id(element)] = element
    rows: dict[int, Record] = {}
    for of, elements in by_type.items():
        found = (_read_block(elements, block) for block in table.blocks(of))
        readings = [records for records in found if records is not None]
        if len(readings) > 1:
            raise UndecodableError(
                f"{of.signature} holds {len(readings)} blocks: which is a row's is not known"
            )
        rows.update(*readings)
    return rows


def _read_block(elements: Mapping[int, GwtObject], block: _Block) -> dict[int, Record] | None:
    """Read the rows among objects of one class by one block, if most are rows by it.

    A row whose reference is null is none of them, but tells that its block is that of rows.
    """
    records: dict[int, Record] = {}
    values_of = cache(_values)
    same: set[Any] = set()
    all_usual = 0
    for at, element in elements.items():
        fields = element.values
        ref, flag = fields[block.ref], fields[block.flag]
        if not block.boxed:
            same.add(fields[block.flag - 1])
        elif flag is not None:
            same.add(flag.type)
            flag = flag.values[0] if len(flag.values) == 1 else ""
        if ref is not None and ref.type.name != "java.lang.Long":
            continue
        values, usual = values_of(flag, block.others(fields))
        if values and ref is not None:
            records[at] = Record(ref.values[0], values)
        all_usual += usual
    # What stands at 5 is the same in all rows: the class of the flag, or a constant, but no flag.
    constant = len(same) < 2 and same.isdisjoint((None, 0, 1)) and (same or records)
    return records if constant and 2 * all_usual > len(elements) else None


def _values(flag: object, others: Sequence[object]) -> tuple[Values | None, bool]:
    """A row's values in the order of their positions, if all may be flags; whether all are."""
    # A text in a flag's place is 1, and null is 0.
    values = [0 if value is None else 1 if isinstance(value, str) else value for value in others]
    values.insert(FLAG, flag)
    numbers = tuple(one for one in values if one is None or (isinstance(one, int) and one >= 0))
    if len(numbers) < len(values):
        return None, False
    return numbers, {*numbers} <= {0, 1, None}


def _choose_list(lists: Sequence[_List], rows: Mapping[int, Record]) -> _List | None:
    """The list of rows, or one of none where no list has any; refuse what is not certain."""
    found = [one for one in lists if any(id(element) in rows for element in one.elements)]
    if len(found) > 1:
        raise UndecodableError(f"{len(found)} lists of rows: which one is not known")
    if not found and any(one.elements for one in lists):
        raise UndecodableError("the records of a list hold other values than flags")
    if found and found[0].in_list:
        raise UndecodableError("the list of rows stands within the records of another list")
    return next((one for one in found or lists if not one.in_list), None)


def _texts(elements: Sequence[GwtObject]) -> dict[Column, tuple[str | None, ...]]:
    """The texts of all records, by column, those of objects within them included.

    A column is the place of the field, from the end of its class: one that is extended ends alike.
    In an object within a record it follows the place of that object's own field.
    """
    texts: dict[Column, tuple[str | None, ...]] = {}
    ahead: list[tuple[Column, Sequence[GwtObject | None]]] = [((), elements)]
    for within, found in ahead:
        for of in dict.fromkeys(element.type for element in found if element is not None):
            if not {Kind.STRING, Kind.OBJECT}.intersection(of.fields):
                continue
            nothing = [None] * len(of.fields)
            rows = [e.values if e is not None and e.type is of else nothing for e in found]
            of_fields = zip(of.fields, zip(*rows, strict=True), strict=True)
            for at, (kind, values) in enumerate(of_fields, -len(of.fields)):
                column = (*within, at)
                if kind is Kind.STRING and any(values):
                    both = zip(texts.get(column, values), values, strict=True)
                    texts[column] = tuple(a or b for a, b in both)
                elif kind is Kind.OBJECT and len(column) < _DEEPEST and len(ahead) < _MOST_OBJECTS:
                    ahead.append((column, values))
    return texts
