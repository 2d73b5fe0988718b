"""What a request means: the service, the method, and its parameters as values.

Read as Google's server does, by the fields of the deployment's classes. What that server refuses is
refused with the same exception, and with the same words where a client may show them. [gwt]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vats_exporter.demo.deployment import CONSTANTS
from vats_exporter.gwt import RequestError, decode_long
from vats_exporter.gwt.errors import LongError
from vats_exporter.gwt.fields import Kind
from vats_exporter.gwt.request import incompatible, out_of_date, read_int

if TYPE_CHECKING:
    from vats_exporter.demo.deployment import Deployment
    from vats_exporter.gwt import Request
    from vats_exporter.gwt.fields import Field


class RequestReader:
    """Reads a request from its first token to its last.

    Args:
        request: what to read.
        deployment: whose classes it holds.
        policy: the serialization policy that the server has; ``None`` for any. With another one
            Google's server still reads plain Java types and refuses all others.

    Attributes:
        module_base: the URL that the client was loaded from.
        service: the service's interface.
        method: the method's name.
        parameter_types: the parameters' classes, without hashes.
    """

    def __init__(self, request: Request, deployment: Deployment, policy: str | None) -> None:
        self._request = request
        self._signatures = deployment.signatures
        self._fields = deployment.class_fields()
        self._at = 0
        self._objects: list[Any] = []
        self.module_base = self._string() or ""
        self._has_policy = self._string() == policy or policy is None
        self.service = self._name()
        self.method = self._string() or ""
        count = self._int()
        if not 0 <= count <= len(request.tokens):
            raise out_of_date("Invalid number of parameters")
        self.parameter_types = tuple(self._name() for _ in range(count))
        for at, name in enumerate(self.parameter_types):
            if name not in self._signatures:
                raise incompatible(f"Parameter {at} of is of an unknown type '{name}'")

    def read_parameters(self) -> list[Any]:
        """Read the parameters; to be called once.

        Returns:
            a number, a boolean or ``None`` each, or the list of an object's fields.
        """
        return [self._object(name) for name in self.parameter_types]

    def method_not_found(self) -> RequestError:
        """Make the error of a service that has no such method."""
        types = ", ".join(self.parameter_types)
        return out_of_date(
            f"Could not locate requested method '{self.method}({types})'"
            f" in interface '{self.service}'"
        )

    def _object(self, expected: str = "") -> Any:
        index = self._int()
        if index < 0:
            if -index > len(self._objects):
                raise RequestError(
                    f"Index {-index - 1} out of bounds for length {len(self._objects)}",
                    class_name="java.lang.IndexOutOfBoundsException",
                )
            return self._objects[-index - 1]
        signature = self._string_at(index)
        if signature is None:
            return None
        name, _, number = signature.partition("/")
        if name not in self._signatures:
            raise incompatible(f"java.lang.ClassNotFoundException: {name}")
        if number != str(self._signatures[name]):
            raise incompatible(f"Invalid type signature for {name}")
        if expected and name != expected:
            raise incompatible(
                f"Attempt to deserialize an object of type class {name}"
                f" when an object of type class {expected} is expected"
            )
        fields = self._fields[name]
        if not self._has_policy and not (fields.instantiate and name not in CONSTANTS):
            raise incompatible(
                f"Type '{name}' was not assignable to"
                " 'com.google.gwt.user.client.rpc.IsSerializable' and did not have a custom field"
                " serializer. For security purposes, this type will not be deserialized."
            )
        # Counted before its fields, which may refer to it.
        number_of_this = len(self._objects)
        values: list[Any] = []
        self._objects.append(values)
        if not fields.instantiate:
            values += map(self._field, fields.deserialize)
            return values
        value = self._field(fields.instantiate[0])
        if name in CONSTANTS and not 0 <= value < CONSTANTS[name]:
            raise RequestError(
                f"Index {value} out of bounds for length {CONSTANTS[name]}",
                class_name="java.lang.ArrayIndexOutOfBoundsException",
            )
        self._objects[number_of_this] = value
        return value

    def _field(self, field: Field) -> Any:
        if field is Kind.OBJECT:
            return self._object()
        if field is Kind.STRING:
            return self._string()
        if field is Kind.BOOLEAN:
            return self._token() != "0"
        if field is not Kind.LONG:
            return self._int()
        try:
            return decode_long(self._token())
        except LongError as error:
            name = "java.lang.IllegalArgumentException"
            raise RequestError(str(error), class_name=name) from None

    def _token(self) -> str:
        if self._at >= len(self._request.tokens):
            raise incompatible("Too few tokens in RPC request")
        self._at += 1
        return self._request.tokens[self._at - 1]

    def _int(self) -> int:
        value = read_int(self._request.tokens, self._at)
        self._at += 1
        return value

    def _string(self) -> str | None:
        return self._string_at(self._int())

    def _string_at(self, index: int) -> str | None:
        strings = self._request.strings
        if not 0 <= index <= len(strings):
            raise RequestError(
                f"Index {index - 1} out of bounds for length {len(strings)}",
                class_name="java.lang.ArrayIndexOutOfBoundsException",
            )
        return strings[index - 1] if index else None

    def _name(self) -> str:
        """Read a class's name; its hash is not looked at where a class is only named."""
        return (self._string() or "").partition("/")[0]
