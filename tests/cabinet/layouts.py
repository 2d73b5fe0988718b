"""Answers of any layout: random classes, written as a server writes them, with the truth known.

What is drawn: what stands around the list and around the block of each row, what the classes of
these fields are, how the flag at 4 is written, and everything that may look like something else.
What the answer then means is known, since it was written from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from vats_exporter.gwt import Kind, Repeat, Response, ResponseWriter, encode_long

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from random import Random

    from vats_exporter.gwt import Field, Fields

LONG = "java.lang.Long/4227064769"
BOOLEAN = "java.lang.Boolean/476441737"
INTEGER = "java.lang.Integer/3438268394"
STRING = "java.lang.String/2004016611"
DATE = "java.util.Date/3385151746"
LIST = "java.util.ArrayList/4159755760"
MAP = "java.util.HashMap/1797211028"
NUMBERS = "[I/2970817851"

JAVA: Mapping[str, Fields] = {
    LONG: (Kind.LONG,),
    BOOLEAN: (Kind.BOOLEAN,),
    INTEGER: (Kind.NUMBER,),
    STRING: (Kind.STRING,),
    DATE: (Kind.LONG,),
    LIST: (Kind.NUMBER, Repeat((Kind.OBJECT,))),
    MAP: (Kind.NUMBER, Repeat((Kind.OBJECT, Kind.OBJECT))),
    NUMBERS: (Kind.NUMBER, Repeat((Kind.NUMBER,))),
}

HARD = (
    "null flag",
    "mixed flag",
    "other values",
    "id twice",
    "second block",
    "second list",
    "row twice",
    "null row",
)
"""What breaks the user's description of a row, or of a list."""

Row: TypeAlias = "tuple[int | None, dict[int, int | None]]"
"""An id, which may be null, and the values at the positions 2, 3, 4 and 6 to 12."""


@dataclass(frozen=True)
class Layout:
    """An answer, the classes that a script would tell of it, and what it means."""

    response: Response
    classes: Mapping[str, Fields]
    rows: list[tuple[str, tuple[int | None, ...]]]
    hard: frozenset[str]


class FieldOf(NamedTuple):
    """A field of a class: its kind, and what writes it for an object of one row."""

    kind: Field
    write: Callable[[int], None]


def draw(random: Random, hard: Collection[str] = ()) -> Layout:
    """Draw classes, and write an answer of them.

    Args:
        random: where everything random comes from.
        hard: which of :data:`HARD` it has, and whether rows have a "null id".
    """
    return _Drawing(random, {*hard}).draw()


class _Drawing:
    def __init__(self, random: Random, hard: set[str]) -> None:
        self.random = random
        self.hard = hard
        self.writer = ResponseWriter()
        self.classes = dict(JAVA)
        self.rows: list[Row] = []

    def draw(self) -> Layout:
        random = self.random
        self.rows = [self.row() for _ in range(random.choice([0, 1, 1, 2, 3, 4, 8]))]
        elements: list[int | None] = [*range(len(self.rows))]
        if elements and "row twice" in self.hard:
            elements.append(random.choice(elements))
        truth = [
            ("" if id_ is None else encode_long(id_), tuple(values.values()))
            for id_, values in (self.rows[row] for row in elements if row is not None)
        ]
        if elements and "null row" in self.hard:
            elements.insert(random.randrange(len(elements)), None)
        record = self.record()
        some = [row for row in elements if random.random() < 0.5]
        fields = [self.field(2) for _ in range(random.randrange(4))]
        self.insert(fields, FieldOf(Kind.OBJECT, lambda _: self.write_list(elements, record)))
        if random.random() < 0.5:
            total = random.randrange(len(elements), 900)
            self.insert(fields, FieldOf(Kind.NUMBER, lambda _: self.writer.write_number(total)))
        if "second list" in self.hard:
            self.insert(fields, FieldOf(Kind.OBJECT, lambda _: self.write_list(some, record)))
        if random.random() < 0.3:
            wrapped = self.object(fields)
            fields = [self.field(1) for _ in range(random.randrange(3))]
            self.insert(fields, wrapped)
        self.object(fields).write(0)
        response = self.writer.finish()
        return Layout(response, self.classes, truth, frozenset(self.hard))

    def insert(self, fields: list[FieldOf], field: FieldOf) -> None:
        fields.insert(self.random.randrange(len(fields) + 1), field)

    def row(self) -> Row:
        random = self.random
        varying = dict.fromkeys((4, 6, 7, 9), 0.5)
        values: dict[int, int | None] = {
            at: int(random.random() < varying.get(at, 0.03)) for at in (2, 3, 4, *range(6, 13))
        }
        if "other values" in self.hard and random.random() < 0.2:
            values[random.choice([2, 3, 8, 10, 11, 12])] = random.randrange(2, 40)
        if "null flag" in self.hard and random.random() < 0.3:
            values[4] = None
        if "null id" in self.hard and random.random() < 0.3:
            return None, values
        return 2_586_000_000 + random.randrange(2_000_000), values

    def record(self) -> FieldOf:
        """The class of the list's records, with a row's block among its fields."""
        fields = self.block(self.rows)
        fields[:0] = [self.field(2) for _ in range(self.random.randrange(5))]
        fields += [self.field(2) for _ in range(self.random.randrange(5))]
        if "second block" in self.hard:
            other = self.object(self.block([self.row() for _ in self.rows]), null=0.3)
            fields.insert(self.random.choice([0, len(fields)]), other)
        if "id twice" in self.hard:
            again = FieldOf(Kind.OBJECT, lambda row: self.write_id(self.rows[row][0]))
            fields.insert(self.random.choice([0, len(fields)]), again)
        return self.object(fields, share="row")

    def block(self, rows: list[Row]) -> list[FieldOf]:
        """The fields of a row's block."""

        def flag(at: int) -> FieldOf:
            kind = Kind.NUMBER
            if all(values[at] in (0, 1) for _, values in rows):
                kind = self.random.choice([Kind.NUMBER, Kind.BOOLEAN])
            if not any(values[at] for _, values in rows):
                kind = self.random.choice([kind, kind, Kind.STRING, Kind.OBJECT])
            return FieldOf(kind, lambda row: self.writer.write_number(rows[row][1][at] or 0))

        fields = [flag(at) for at in range(12, 5, -1)]
        fields += self.flag([values[4] for _, values in rows])
        fields += [flag(3), flag(2)]
        return [*fields, FieldOf(Kind.OBJECT, lambda row: self.write_id(rows[row][0]))]

    def flag(self, values: list[int | None]) -> list[FieldOf]:
        """The flag at 4 with what stands at 5: any of the kinds a to e."""
        random = self.random
        if "null flag" not in self.hard and random.random() < 0.4:
            constant, at_5 = random.choice([8, random.randrange(2, 40)]), Kind.NUMBER
            write = lambda _: self.writer.write_number(constant)  # noqa: E731
            if random.random() < 0.5:
                at_5, write = (
                    Kind.STRING,
                    lambda _: self.writer.write_string("the same in all rows"),
                )
            flag = FieldOf(Kind.BOOLEAN, lambda row: self.writer.write_number(bool(values[row])))
            return [FieldOf(at_5, write), flag]
        signature = random.choice([BOOLEAN, BOOLEAN, INTEGER, self.add_class([Kind.NUMBER])])
        if random.random() < 0.2:
            signature = self.add_class([Kind.ENUM], name="STATE")
        shared = "STATE" in signature or random.random() < 0.4

        def write_flag(row: int) -> None:
            value = values[row]
            mixed = "mixed flag" in self.hard and random.random() < 0.5
            if value is None:
                self.writer.write_number(0)
            elif self.writer.write_object(
                signature, share=(signature, value) if shared and not mixed else None
            ):
                self.writer.write_number(value)

        return [FieldOf(Kind.OBJECT, write_flag)]

    def write_id(self, id_: int | None) -> None:
        if id_ is None:
            self.writer.write_number(0)
        elif self.writer.write_object(LONG, share=id_ if "id twice" in self.hard else None):
            self.writer.write_long(id_)

    def write_list(self, rows: list[int | None], record: FieldOf) -> None:
        self.writer.write_object(LIST)
        self.writer.write_number(len(rows))
        for row in rows:
            if row is None:
                self.writer.write_number(0)
            else:
                record.write(row)

    def add_class(self, kinds: list[Field], *, name: str = "Model") -> str:
        signature = f"ru.example.{name}{len(self.classes)}/{len(self.classes) * 7919}"
        self.classes[signature] = tuple(kinds)
        return signature

    def object(self, fields: list[FieldOf], *, null: float = 0, share: str = "") -> FieldOf:
        """A field of a class of its own, with these fields."""
        signature = self.add_class([kind for kind, _ in fields])
        often = self.random.choice([1, 2, 3])

        def write(row: int) -> None:
            if self.random.random() < null:
                self.writer.write_number(0)
                return
            key = {"row": (signature, row), "pool": (signature, row % often)}.get(share)
            if self.writer.write_object(signature, share=key):
                for field in fields:
                    field.write(row)

        return FieldOf(Kind.OBJECT, write)

    def field(self, depth: int) -> FieldOf:
        """Any field, for a record or for the answer itself."""
        kinds = [self.plain, self.plain, self.text, self.text, self.any_boxed, self.any_boxed]
        if depth and self.random.random() < 0.4:
            return self.compound(depth)
        return self.random.choice(kinds)()

    def plain(self) -> FieldOf:
        """A primitive, which may look like a class, a string or a flag."""
        random, writer = self.random, self.writer
        most = random.choice([1, 2, 3, 40, 40, 10**6])
        constant = random.randrange(40)
        kind, write = random.choice(
            [
                (Kind.BOOLEAN, lambda: writer.write_number(random.randrange(2))),
                (Kind.NUMBER, lambda: writer.write_number(constant)),
                (Kind.NUMBER, lambda: writer.write_number(random.randrange(-3, most))),
                (Kind.NUMBER, lambda: writer.write_number(float(random.randrange(40)))),
                (Kind.LONG, lambda: writer.write_long(random.randrange(3 * 10**9))),
            ]
        )
        return FieldOf(kind, lambda _: write())  # type: ignore[no-untyped-call]

    def text(self) -> FieldOf:
        random, writer = self.random, self.writer
        few, null = random.random() < 0.5, random.choice([0, 0.2])

        def write(row: int) -> None:
            text = f"a few {row % 2}" if few else f"note {row}"
            writer.write_string(None if random.random() < null else text)

        return FieldOf(Kind.STRING, write)

    def any_boxed(self) -> FieldOf:
        if self.random.random() < 0.2:
            return self.boxed(self.add_class([Kind.ENUM], name="TYPE"), shared=True)
        signature = self.random.choice([LONG, DATE, BOOLEAN, BOOLEAN, INTEGER, STRING])
        return self.boxed(signature, shared=self.random.random() < 0.5)

    def compound(self, depth: int) -> FieldOf:
        """An object of several fields, or several of anything."""
        random = self.random
        choice = random.randrange(4)
        if choice == 0:
            return self.several(
                LIST, self.boxed(random.choice([STRING, LONG, BOOLEAN]), shared=False)
            )
        if choice == 1:
            number = FieldOf(Kind.NUMBER, lambda _: self.writer.write_number(random.randrange(40)))
            return self.several(random.choice([NUMBERS, MAP]), number)
        fields = [self.field(depth - 1) for _ in range(random.randrange(5))]
        inner = self.object(fields, null=random.choice([0, 0.3]), share=random.choice(["", "pool"]))
        return inner if choice == 2 else self.several(LIST, inner)

    def boxed(self, signature: str, *, shared: bool) -> FieldOf:
        random, writer = self.random, self.writer
        null = random.choice([0, 0, 0.3])

        def write(row: int) -> None:
            value = random.randrange(2 if "Boolean" in signature else random.choice([2, 4, 40]))
            if random.random() < null:
                writer.write_number(0)
            elif writer.write_object(signature, share=(signature, value) if shared else None):
                if signature in (LONG, DATE):
                    writer.write_long(2_586_000_000 + value)
                elif signature == STRING:
                    writer.write_string(f"text {value}")
                else:
                    writer.write_number(value)

        return FieldOf(Kind.OBJECT, write)

    def several(self, signature: str, element: FieldOf) -> FieldOf:
        """A list, a map of strings to null, or an array of numbers."""
        random, writer = self.random, self.writer
        most = random.choice([1, 2, 4])

        def write(row: int) -> None:
            writer.write_object(signature)
            count = random.randrange(most)
            writer.write_number(count)
            for number in range(count):
                if signature != MAP:
                    element.write(row)
                elif writer.write_object(STRING):
                    writer.write_string(f"key {number}")
                    writer.write_number(0)

        return FieldOf(Kind.OBJECT, write)
