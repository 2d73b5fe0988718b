"""What a request means: the service, the method, and its parameters as values.

:mod:`vats_exporter.gwt.request` takes a request's text apart; this module reads the tokens as
Google's server does, given descriptions of the classes that the server knows. It refuses what that
server refuses, with the same exception and the same words, so that a client is told the same by a
simulated server as by the real one. [gwt]

Not read, because no request seen needs it: arrays and collections, obfuscated type names
(flag 1) and the token against forged requests (flag 2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from math import isinf, isnan
from typing import TYPE_CHECKING, Final

from vats_exporter.gwt.errors import LongError, RequestError
from vats_exporter.gwt.longs import decode_long
from vats_exporter.gwt.request import (
    LAST_VERSION_WITHOUT_LONGS,
    Request,
    incompatible,
    out_of_date,
    read_int,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Primitive(Enum):
    """What stands in the tokens by itself, without a class; the value is Java's name of it."""

    BOOLEAN = "boolean"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    STRING = "java.lang.String"


_DOUBLE: Final = re.compile(
    r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|NaN|[-+]?Infinity"
)

_SMALLEST: Final = -(1 << 63)
_LARGEST: Final = (1 << 63) - 1

_PRIMITIVE_PARAMETERS: Final = {
    "Z": Primitive.BOOLEAN,
    "I": Primitive.INT,
    "J": Primitive.LONG,
    "D": Primitive.DOUBLE,
    "java.lang.String": Primitive.STRING,
}


@dataclass(frozen=True, slots=True)
class BoxedClass:
    """A class around one primitive, such as ``java.lang.Long``; it reads as that primitive.

    Attributes:
        signature: the number after the class's name that the server computes, ``4227064769``.
        value: what it holds.
    """

    signature: str
    value: Primitive


@dataclass(frozen=True, slots=True)
class EnumClass:
    """An enum; it reads as :class:`EnumConstant`.

    Attributes:
        signature: see :class:`BoxedClass`.
        constants: how many constants it has.
    """

    signature: str
    constants: int


@dataclass(frozen=True, slots=True)
class RecordClass:
    """A class with fields; it reads as :class:`Record`.

    Attributes:
        signature: see :class:`BoxedClass`.
        fields: name to type, in the order of the wire: a primitive, or the name of a class.
    """

    signature: str
    fields: Mapping[str, Primitive | str]


ClassDescription = BoxedClass | EnumClass | RecordClass


@dataclass(frozen=True, slots=True)
class EnumConstant:
    """A constant of an enum.

    Attributes:
        class_name: the enum.
        ordinal: the constant's number, from 0.
    """

    class_name: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Record:
    """An object of a class with fields.

    Attributes:
        class_name: its class.
        fields: name to value, in the order of the wire.
    """

    class_name: str
    fields: dict[str, Value]


Value = bool | int | float | str | EnumConstant | Record | None
"""A parameter's or a field's value."""


class RequestReader:
    """Reads a request from its first token to its last.

    The names are read at once; a server looks up the method before it reads the parameters, and so
    may the caller.

    Args:
        request: what to read.
        classes: name to description, of every class that may occur.
        policies: the serialization policies that the server has, ``None`` for any. With another one
            Google's server still reads plain Java types and refuses all others. [gwt]

    Attributes:
        module_base: the URL that the client was loaded from; ``None`` where it sends none.
        policy: the strong name of its serialization policy.
        service: the service's interface.
        method: the method's name.
        parameter_types: the parameters' classes, without signatures, or one letter of a primitive.

    Raises:
        RequestError: with the class and the message of the exception that the server throws.
    """

    def __init__(
        self,
        request: Request,
        classes: Mapping[str, ClassDescription],
        *,
        policies: Collection[str] | None = None,
    ) -> None:
        self._strings = request.strings
        self._tokens = request.tokens
        self._version = request.version
        self._classes = classes
        self._at = 0
        self._objects: list[tuple[str, Value]] = []
        self.module_base = self._string()
        self.policy = self._string()
        self._has_policy = policies is None or self.policy in policies
        self.service = self._name()
        self.method = self._string() or ""
        count = self._int()
        if count > len(request.tokens) + len(request.strings) + 3:
            raise out_of_date("Invalid number of parameters")
        if count < 0:
            raise RequestError(str(count), class_name="java.lang.NegativeArraySizeException")
        self.parameter_types = tuple(self._parameter_type(index) for index in range(count))

    def read_parameters(self) -> list[Value]:
        """Read the values of the parameters; to be called once.

        Tokens that are left over are ignored, as by Google's server.

        Raises:
            RequestError: see the class.
        """
        try:
            return [self._parameter(name) for name in self.parameter_types]
        except RecursionError:
            raise RequestError(
                "objects within objects too deep", class_name="java.lang.StackOverflowError"
            ) from None

    def method_not_found(self) -> RequestError:
        """Make the error of a service that has no such method."""
        types = ", ".join(
            _PRIMITIVE_PARAMETERS[name].value if name in _PRIMITIVE_PARAMETERS else name
            for name in self.parameter_types
        )
        return out_of_date(
            f"Could not locate requested method '{self.method}({types})'"
            f" in interface '{self.service}'"
        )

    def service_not_found(self) -> RequestError:
        """Make the error of a server that does not know the service's interface."""
        return incompatible(
            f"Could not locate requested interface '{self.service}' in default classloader"
        )

    def _parameter_type(self, index: int) -> str:
        name = self._name()
        if name not in _PRIMITIVE_PARAMETERS and name not in self._classes:
            raise incompatible(f"Parameter {index} of is of an unknown type '{name}'")
        return name

    def _parameter(self, declared: str) -> Value:
        if declared in _PRIMITIVE_PARAMETERS:
            return self._value(_PRIMITIVE_PARAMETERS[declared])
        name, value = self._object(declared)
        if name not in ("", declared):
            # The reader lets it pass, and the call of the method then fails.
            raise RequestError(
                f"Blocked attempt to invoke method '{self.method}' with invalid arguments",
                class_name="java.lang.SecurityException",
            )
        return value

    def _value(self, expected: Primitive) -> Value:
        if expected is Primitive.BOOLEAN:
            return self._token() != "0"
        if expected is Primitive.INT:
            return self._int()
        if expected is Primitive.LONG:
            return self._long()
        return self._double() if expected is Primitive.DOUBLE else self._string()

    def _object(self, expected: str) -> tuple[str, Value]:
        """Read an object, and say which class it has: ``""`` for null, which every class allows."""
        index = self._int()
        if index < 0:
            # Google's reader trusts a reference; what it gives may have any class.
            return self._objects[_in_bounds(-index - 1, len(self._objects))]
        signature = self._string_at(index)
        if signature is None:
            return "", None
        name, _, number = signature.partition("/")
        description = self._classes.get(name)
        if description is None:
            raise incompatible(f"java.lang.ClassNotFoundException: {name}")
        if not number:
            raise incompatible(f"Missing type signature for {name}")
        if number != description.signature:
            raise incompatible(f"Invalid type signature for {name}")
        if name != expected:
            raise incompatible(
                f"Attempt to deserialize an object of type class {name}"
                f" when an object of type class {expected} is expected"
            )
        if not self._has_policy and not isinstance(description, BoxedClass):
            raise incompatible(
                f"Type '{name}' was not assignable to"
                " 'com.google.gwt.user.client.rpc.IsSerializable' and did not have a custom field"
                " serializer. For security purposes, this type will not be deserialized."
            )
        return name, self._content(name, description)

    def _content(self, name: str, description: ClassDescription) -> Value:
        number = len(self._objects)
        if isinstance(description, RecordClass):
            # It can be referred to from its own fields.
            record = Record(name, {})
            self._objects.append((name, record))
            for field, kind in description.fields.items():
                record.fields[field] = self._field(name, field, kind)
            return record
        # Counted before its content is read, for which it has no place to be referred from.
        self._objects.append(("", None))
        value: Value
        if isinstance(description, EnumClass):
            value = EnumConstant(name, _in_bounds(self._int(), description.constants, array=True))
        else:
            value = self._value(description.value)
        self._objects[number] = (name, value)
        return value

    def _field(self, owner: str, field: str, expected: Primitive | str) -> Value:
        if isinstance(expected, Primitive):
            return self._value(expected)
        name, value = self._object(expected)
        if name not in ("", expected):
            raise incompatible(
                f"java.lang.IllegalArgumentException: Can not set {expected} field"
                f" {owner}.{field} to {name}"
            )
        return value

    def _token(self) -> str:
        if self._at >= len(self._tokens):
            raise incompatible("Too few tokens in RPC request")
        self._at += 1
        return self._tokens[self._at - 1]

    def _int(self) -> int:
        value = read_int(self._tokens, self._at)
        self._at += 1
        return value

    def _double(self) -> float:
        token = self._token()
        if _DOUBLE.fullmatch(token) is None:
            message = f'For input string: "{token}"'
            raise RequestError(message, class_name="java.lang.NumberFormatException")
        return float(token)

    def _long(self) -> int:
        if self._version == LAST_VERSION_WITHOUT_LONGS:
            return _wrap(_truncate(self._double()) + _truncate(self._double()))
        try:
            return decode_long(self._token())
        except LongError as error:
            # Google's reader makes up some number of most of these; none is better.
            name = "java.lang.IllegalArgumentException"
            raise RequestError(str(error), class_name=name) from None

    def _string(self) -> str | None:
        return self._string_at(self._int())

    def _string_at(self, index: int) -> str | None:
        if index == 0:
            return None
        return self._strings[_in_bounds(index - 1, len(self._strings), array=True)]

    def _name(self) -> str:
        """Read a class's name; its signature is not looked at where a class is only named."""
        return (self._string() or "").partition("/")[0]


def _in_bounds(index: int, length: int, *, array: bool = False) -> int:
    if 0 <= index < length:
        return index
    kind = "Array" if array else ""
    raise RequestError(
        f"Index {index} out of bounds for length {length}",
        class_name=f"java.lang.{kind}IndexOutOfBoundsException",
    )


def _truncate(value: float) -> int:
    """Make a long of a double as Java's cast does."""
    if isnan(value):
        return 0
    if isinf(value):
        return _LARGEST if value > 0 else _SMALLEST
    return max(_SMALLEST, min(int(value), _LARGEST))


def _wrap(value: int) -> int:
    return (value - _SMALLEST) % (1 << 64) + _SMALLEST
