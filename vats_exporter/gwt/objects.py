"""Objects from an answer's tokens, as the client that the cabinet serves reads them.

The opposite of what a server does: a class's index in the string table, then the object's fields in
the order that the client's own script gives (:mod:`vats_exporter.gwt.fields`), object within
object, until every token is used. Nothing is inferred. A token that does not fit its field, a class
that the tables lack and a token that is left over each end the reading with one error that says
where.

How it works. Each class is compiled once, into steps: runs of fields of one token each, objects,
and repetitions. Each token gets a letter for what it can be, so that one regular expression checks
a whole run at once; then the run is copied.

A table is itself not believed at once: what it says of Java's own classes must be what they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from vats_exporter.gwt.errors import ObjectsError
from vats_exporter.gwt.fields import Kind, NotUnderstood, Repeat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vats_exporter.gwt.fields import ClassFields, Field
    from vats_exporter.gwt.response import Response

Value: TypeAlias = Any
"""Of a field: a :class:`GwtObject`, an ``int`` (booleans are 0 or 1), a ``float``, a ``str`` (also
for a long, as base 64), ``None``, or a ``list`` of a collection's elements. What stands in a field
is what its kind allows."""

SIGNATURE: Final = re.compile(r"\[{0,8}[A-Za-z_$][\w$.]{0,400};?/\d{1,10}", re.ASCII)
"""How the type signature of a class or an array looks: its name and a hash."""

_FITS: Final = {
    Kind.NUMBER: "01inf-",
    Kind.BOOLEAN: "01",
    Kind.LONG: "s",
    Kind.STRING: "01i",
    Kind.ENUM: "01in",
}
"""Which of the letters of :func:`letters` a token of each kind may have."""

_JAVA: Final = {
    "java.lang.String": Kind.STRING,
    "java.lang.Boolean": Kind.BOOLEAN,
    "java.lang.Long": Kind.LONG,
    "java.util.Date": Kind.LONG,
    **dict.fromkeys(
        (f"java.lang.{name}" for name in ("Byte", "Short", "Character", "Integer", "Double")),
        Kind.NUMBER,
    ),
}
"""Classes whose content is one token, and its kind. [gwt]"""


@dataclass(frozen=True, slots=True)
class _Run:
    """Fields of one token each, and which of them are strings."""

    length: int
    fits: Callable[[str, int, int], object]
    strings: tuple[int, ...]


_Step: TypeAlias = "_Run | tuple[_Step, ...] | None"
"""A run, a repetition of steps, or an object (``None``)."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectType:
    """A class, ready to be read.

    Attributes:
        signature: its name and hash.
        name: without the hash.
        fields: all that is read of it, in order.
    """

    signature: str
    name: str
    fields: tuple[Field, ...]
    steps: tuple[_Step, ...]
    one: str  # what its token may be, if it is a single one and no string's index


class GwtObject:
    """An object of an answer.

    Attributes:
        type: its class.
        values: of its fields, each in the place of its field.
    """

    __slots__ = ("type", "values")

    def __init__(self, of: ObjectType, values: list[Value]) -> None:
        self.type = of
        self.values = values


class ObjectReader:
    """Reads the answers of one deployment.

    Args:
        classes: what the deployment's script tells of each class, by signature.
    """

    def __init__(self, classes: Mapping[str, ClassFields | NotUnderstood | None]) -> None:
        self._classes = classes
        self._types: dict[str, ObjectType] = {}

    def read(self, response: Response, marks: str = "") -> Value:
        """Read all of an answer.

        Args:
            response: an ``//OK`` answer, of format version 7 or later.
            marks: what :func:`letters` makes of its tokens, if that is known.

        Returns:
            what it holds; objects that the answer refers to twice are the same object.

        Raises:
            ObjectsError: the tables lack a class of it, or do not fit it.
        """
        marks = marks or letters(response.tokens, len(response.string_table))
        reading = _Reading(response, marks, self.type_of)
        try:
            root = reading.read()
        except RecursionError:
            raise ObjectsError("objects within objects too deep", where=reading.at) from None
        if reading.at != reading.end:
            left = reading.end - reading.at
            raise ObjectsError(f"{left} tokens are left over", where=reading.at)
        return root

    def type_of(self, signature: str) -> ObjectType:
        """Find a class by its signature.

        Raises:
            ObjectsError: the tables lack it, or can't be right about it.
        """
        found = self._types.get(signature)
        if found is None:
            found = self._types[signature] = self._compile(signature)
        return found

    def _compile(self, signature: str) -> ObjectType:
        known = self._classes.get(signature)
        if known is None:
            kept = "is not read by" if signature in self._classes else "is not in"
            raise ObjectsError(f"{signature} {kept} the script", missing=signature)
        if isinstance(known, NotUnderstood):
            message = f"{signature} is not understood: {known.reason}"
            raise ObjectsError(message, missing=signature)
        fields = known.instantiate + known.deserialize
        name = signature.partition("/")[0]
        if name in _JAVA and fields != (_JAVA[name],):
            raise ObjectsError(f"the script reads {name} as it can't be read")
        one = fields[0] if len(fields) == 1 else None
        fits = _FITS.get(one, "") if one is not Kind.STRING and isinstance(one, Kind) else ""
        return ObjectType(signature, name, fields, _steps(fields), fits)


def letters(tokens: Sequence[Any], strings: int) -> str:
    """Write one letter for each token, of what it can be.

    Args:
        tokens: in any order.
        strings: how many there are in the string table.

    Returns:
        ``s`` for a token in quotes, ``f`` for one with a point, ``-`` for a negative number, ``0``
        and ``1`` for themselves, ``i`` for another index of a string, ``n`` for a greater number.
    """
    return "".join(
        [
            "s"
            if token.__class__ is str
            else "f"
            if token.__class__ is float
            else "0"
            if token == 0
            else "1"
            if token == 1
            else "-"
            if token < 0
            else "i"
            if token <= strings
            else "n"
            for token in tokens
        ]
    )


def _steps(fields: tuple[Field, ...]) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    run: list[Kind] = []
    for field in (*fields, None):
        if isinstance(field, Kind) and field is not Kind.OBJECT:
            run.append(field)
            continue
        if run:
            pattern = re.compile("".join(f"[{_FITS[kind]}]" for kind in run))
            strings = tuple(at for at, kind in enumerate(run) if kind is Kind.STRING)
            steps.append(_Run(len(run), pattern.fullmatch, strings))
            run = []
        if isinstance(field, Repeat):
            steps.append(_steps(field.fields))
        elif field is not None:
            steps.append(None)
    return tuple(steps)


class _Reading:
    """One answer, read so far."""

    def __init__(
        self, response: Response, marks: str, type_of: Callable[[str], ObjectType]
    ) -> None:
        self.at = 0
        self.end = len(response.tokens)
        self._tokens: list[Any] = [*response.tokens[::-1], None]
        self._letters = marks[::-1] + " "
        self._strings = [None, *response.string_table]
        self._type_of = type_of
        self._types: dict[int, ObjectType] = {}
        self._objects: list[GwtObject] = []

    def read(self) -> Value:
        """Read the answer's own object, and all within it."""
        root: list[Value] = []
        self._read_fields(None, (None,), root)
        return root[0]

    def _read_fields(
        self, of: ObjectType | None, steps: tuple[_Step, ...], values: list[Value]
    ) -> None:
        tokens, marks, types, at = self._tokens, self._letters, self._types, self.at
        for step in steps:
            if step is None:
                token = tokens[at]
                if token.__class__ is not int:
                    self._no_object(at)
                at += 1
                if token <= 0:
                    values.append(self._known(-token, at) if token else None)
                    continue
                found = types.get(token) or self._class(token, at)
                inner: list[Value] = []
                read = GwtObject(found, inner)
                values.append(read)
                # Counted before its fields, which may refer to it.
                self._objects.append(read)
                if marks[at] in found.one:
                    inner.append(tokens[at])
                    at += 1
                else:
                    self.at = at
                    self._read_fields(found, found.steps, inner)
                    at = self.at
            elif isinstance(step, _Run):
                end = at + step.length
                if step.fits(marks, at, end) is None:
                    raise ObjectsError(f"the fields of {_name(of)} do not fit", where=at)
                run = tokens[at:end]
                for offset in step.strings:
                    run[offset] = self._strings[run[offset]]
                values += run
                at = end
            else:
                self.at = at
                values.append(self._read_repeated(of, step, values[-1] if values else None))
                at = self.at
        self.at = at

    def _read_repeated(
        self, of: ObjectType | None, steps: tuple[_Step, ...], count: Value
    ) -> list[Value]:
        # Each repetition takes a token at least, which bounds what a wrong count can cost.
        if not isinstance(count, int) or not 0 <= count <= self.end - self.at:
            raise ObjectsError(f"{_name(of)} has no count", where=self.at)
        elements: list[Value] = []
        self._read_fields(of, steps * count, elements)
        return elements

    def _no_object(self, at: int) -> NoReturn:
        if at >= self.end:
            raise ObjectsError("the answer ends within an object", where=at)
        raise ObjectsError("an object was due, not a long or a fraction", where=at)

    def _class(self, token: int, at: int) -> ObjectType:
        signature = self._strings[token] if token < len(self._strings) else None
        # Any other string may be a secret, and reaches no message.
        if signature is None or not SIGNATURE.fullmatch(signature):
            raise ObjectsError(f"string {token} is no class", where=at - 1)
        try:
            found = self._types[token] = self._type_of(signature)
        except ObjectsError as error:
            error.where = at - 1
            raise
        return found

    def _known(self, number: int, at: int) -> GwtObject:
        if number > len(self._objects):
            raise ObjectsError(f"-{number} refers to no object", where=at - 1)
        return self._objects[number - 1]


def _name(of: ObjectType | None) -> str:
    return of.signature if of else "the answer"
