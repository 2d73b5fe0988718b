"""The GWT-RPC services: from a request's text to the answer's.

Requests are read by the fields of the deployment's classes, and refused in the order and with the
words of Google's server code: what it makes an ``IncompatibleRemoteServiceException`` of is
answered with that; any other exception that no method declares is a :class:`CallFailedError`, which
that code answers with HTTP 500. [gwt]

The application's own refusals (whose trunk it is, which form applies) are invented. [assumed]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from vats_exporter.demo import deployment as names
from vats_exporter.demo.deployment import Deployment, Object, array_list, boxed
from vats_exporter.demo.enterprise import Enterprise
from vats_exporter.demo.http import Incoming
from vats_exporter.demo.population import SimulatedTrunk
from vats_exporter.gwt import (
    Field,
    GwtError,
    Kind,
    Request,
    RequestError,
    ResponseWriter,
    decode_long,
    encode_long,
    encode_response,
    parse_request,
)
from vats_exporter.gwt.errors import LongError
from vats_exporter.gwt.request import INCOMPATIBLE, incompatible, out_of_date, read_int

_DEVICE_FORM: Final = 31
_MOBILE_FORM: Final = 32
_DEVICE_FORM_KIND: Final = 3
_MOBILE_FORM_KIND: Final = 1
_LINE_KIND: Final = 2
_PAGE_SIZE: Final = 100
_INCOMPATIBLE_SIGNATURE: Final = f"{INCOMPATIBLE}/3936916533"

_CALLS: Final = {
    names.LIST_SERVICE: "list",
    names.DETAILS_SERVICE: "details",
    names.SELECTOR_SERVICE: "selector",
}


class CallFailedError(Exception):
    """The server failed with an exception that the method does not declare."""


def describe(path: str, payload: str, deployment: Deployment) -> Incoming:
    """Say which call a request to a service's path is, however it will be answered."""
    call = Incoming(_CALLS.get(path, "other"))
    try:
        parameters = RequestReader(parse_request(payload), deployment, None).read_parameters()
    except GwtError:  # a stale signature, for one: it is refused later
        return call
    first = parameters[0] if parameters else None
    if isinstance(first, int):
        return replace(call, trunk=encode_long(first))
    page = _named(first).get("page")
    return replace(call, page=page) if isinstance(page, int) else call


def answer(path: str, payload: str, deployment: Deployment, enterprise: Enterprise) -> str:
    """Answer a call to a service's path with the text of ``//OK`` or ``//EX``.

    Raises:
        CallFailedError: the server's code would fail instead of answering.
    """
    try:
        method, parameters = _read(path, payload, deployment)
        return _METHODS[method](parameters, deployment, enterprise)
    except RequestError as error:
        if error.class_name != INCOMPATIBLE:
            raise CallFailedError(f"{error.class_name}: {error}") from error
        return incompatible_client(deployment, str(error))
    except _ApplicationError as error:
        return application_error(deployment, *error.args)


class _ApplicationError(Exception):
    """The application's own, declared exception: a word, and a sentence for the user."""


def _read(path: str, payload: str, deployment: Deployment) -> tuple[str, list[Any]]:
    request = parse_request(payload)
    reader = RequestReader(request, deployment, deployment.policies[path])
    if urlsplit(reader.module_base).path != f"/{names.MODULE}/":
        # The server looks for the policy's file under the path that the client says it is from.
        reader = RequestReader(request, deployment, "")
    service = names.SERVICES[path]
    if reader.service not in {known.interface for known in names.SERVICES.values()}:
        raise incompatible(
            f"Could not locate requested interface '{reader.service}' in default classloader"
        )
    if reader.service != service.interface:
        raise incompatible(
            f"Blocked attempt to access interface '{reader.service}', which is not implemented by"
            f" '{service.interface}Impl'; this is either misconfiguration or a hack attempt"
        )
    if service.methods.get(reader.method) != reader.parameter_types:
        raise out_of_date(
            f"Could not locate requested method '{reader.method}"
            f"({', '.join(reader.parameter_types)})' in interface '{reader.service}'"
        )
    return reader.method, reader.read_parameters()


def _list(parameters: list[Any], deployment: Deployment, enterprise: Enterprise) -> str:
    (request,) = parameters
    if request is None:
        raise CallFailedError("java.lang.NullPointerException")
    fields = _named(request)
    # Clients of an older deployment give the enterprise in the field after its own. [user]
    if isinstance(fields["deleted"], list):  # -1, which is the request itself [gwt]
        raise incompatible(
            f"java.lang.IllegalArgumentException: Can not set {names.BOOLEAN}"
            f" field {names.LIST_REQUEST}.deleted to {names.LIST_REQUEST}"
        )
    asked = fields["enterprise"] if fields["enterprise"] is not None else fields["department"]
    if asked != enterprise.number:
        raise _ApplicationError("ACCESS_DENIED", "Нет доступа к предприятию")
    page = fields["page"] if isinstance(fields["page"], int) else 0
    size = fields["pageSize"] if isinstance(fields["pageSize"], int) else _PAGE_SIZE
    if page < 0 or size <= 0:
        raise CallFailedError("java.lang.IllegalArgumentException: page or size out of range")
    trunks = enterprise.trunks()
    # What the filter means is not known; this is what the name of its field suggests. [assumed]
    if fields["deleted"] is True:
        trunks = tuple(trunk for trunk in trunks if trunk.state.marked)
    shown = trunks[page * size : (page + 1) * size]
    return list_answer(deployment, enterprise.number, shown, len(trunks))


def _get_form(parameters: list[Any], deployment: Deployment, enterprise: Enterprise) -> str:
    key, form = parameters
    if form is None:
        raise CallFailedError("java.lang.NullPointerException")
    trunk = _find(key, enterprise)
    if form == _DEVICE_FORM and not trunk.mobile:
        return device_form_answer(deployment, enterprise.number, trunk)
    if form == _MOBILE_FORM and trunk.mobile:
        return mobile_form_answer(deployment, enterprise.number, trunk)
    raise _ApplicationError("FORM_NOT_APPLICABLE", "Форма недоступна для данного типа абонента")


def _set_enabled(parameters: list[Any], deployment: Deployment, enterprise: Enterprise) -> str:
    key, is_enabled = parameters
    if not isinstance(is_enabled, bool):
        raise CallFailedError("java.lang.NullPointerException")
    trunk = _find(key, enterprise)
    if trunk.device is None:
        raise _ApplicationError("DEVICE_NOT_FOUND", "У абонента нет устройства")
    enterprise.change(trunk.ref, enabled=is_enabled)
    return deployment.write(Object(names.BOOLEAN, (True,)))


_METHODS: Final = {"list": _list, "getForm": _get_form, "setEnabled": _set_enabled}


def _find(key: object, enterprise: Enterprise) -> SimulatedTrunk:
    if not isinstance(key, int):
        raise CallFailedError("java.lang.NullPointerException")
    try:
        return enterprise.find(encode_long(key))
    except LookupError:
        raise _ApplicationError("ABONENT_NOT_FOUND", "Абонент не найден") from None


def list_answer(
    deployment: Deployment, enterprise: int, trunks: Sequence[SimulatedTrunk], total: int
) -> str:
    """Write a page of the list of subscribers; ``total`` counts the trunks of all pages."""
    lengths = range(deployment.other_lists)
    queues = [Object(names.QUEUE, (f"Очередь {at + 1}", at, at % 2 == 0)) for at in lengths]
    others = (array_list(queues[:length]) for length in lengths)
    rows = array_list([deployment.layout.row(trunk) for trunk in trunks])
    values = (boxed(enterprise), *others, rows, total)
    return deployment.write(Object(names.LIST_RESPONSE, values))


def device_form_answer(deployment: Deployment, enterprise: int, trunk: SimulatedTrunk) -> str:
    """Write form 31: the list of a trunk's devices, one or none."""
    device = trunk.device
    records = []
    if device is not None:
        values = (
            *(boxed(trunk.id), device.enabled, boxed(device.id), _LINE_KIND),
            *(device.line, device.sip_login, device.sip_password),
            *("UDP", "SIP-phone", "Generic SIP Phone"),
        )
        records.append(Object(names.DEVICE_RECORD, values))
    form = (array_list(records), None, boxed(enterprise), _DEVICE_FORM_KIND)
    return deployment.write(Object(names.DEVICE_FORM, form))


def mobile_form_answer(deployment: Deployment, enterprise: int, trunk: SimulatedTrunk) -> str:
    """Write form 32: a plain mobile subscriber."""
    values = (trunk.phone, trunk.state.active, boxed(enterprise), _MOBILE_FORM_KIND)
    return deployment.write(Object(names.MOBILE_FORM, values))


def application_error(deployment: Deployment, code: str, message: str) -> str:
    """Write ``//EX`` with the application's own exception: a word, and a sentence for the user."""
    # The message stands in Java's Exception, a superclass, once more.
    error = Object(names.APPLICATION_ERROR, (code, message, message))
    return deployment.write(error, "EX")


def incompatible_client(deployment: Deployment, message: str) -> str:
    """Write ``//EX`` with ``IncompatibleRemoteServiceException``."""
    writer = ResponseWriter()
    writer.write_object(_INCOMPATIBLE_SIGNATURE)
    writer.write_string(message)
    return encode_response(writer.finish("EX"), style=deployment.style)


def _named(request: object) -> dict[str, Any]:
    """Return the fields of a list request by name, and none of anything else."""
    values = request if isinstance(request, list) else []
    return dict(zip(names.REQUEST_FIELDS, values, strict=False))


class RequestReader:
    """Reads a request from its first token to its last, as Google's server does.

    Args:
        policy: the serialization policy that the server has; ``None`` for any. With another one
            Google's server still reads plain Java types and refuses all others.
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
        """Read the parameters, once: a number, a boolean, ``None``, or the list of fields each."""
        return [self._object(name) for name in self.parameter_types]

    def _object(self, expected: str = "") -> Any:
        index = self._int()
        if index < 0:
            if -index > len(self._objects):
                raise _out_of_bounds(-index - 1, len(self._objects))
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
        if not self._has_policy and (name not in names.VALUES or name in names.CONSTANTS):
            raise incompatible(
                f"Type '{name}' was not assignable to"
                " 'com.google.gwt.user.client.rpc.IsSerializable' and did not have a custom field"
                " serializer. For security purposes, this type will not be deserialized."
            )
        if name not in names.VALUES:
            values: list[Any] = []
            self._objects.append(values)  # before its fields, which may refer to it
            values += map(self._field, fields)
            return values
        value = self._field(fields[0])
        if name in names.CONSTANTS and not 0 <= value < names.CONSTANTS[name]:
            raise _out_of_bounds(value, names.CONSTANTS[name])
        self._objects.append(value)
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
            raise _out_of_bounds(index - 1, len(strings))
        return strings[index - 1] if index else None

    def _name(self) -> str:
        """Read a class's name; its hash is not looked at where a class is only named."""
        return (self._string() or "").partition("/")[0]


def _out_of_bounds(index: int, length: int) -> RequestError:
    message = f"Index {index} out of bounds for length {length}"
    return RequestError(message, class_name="java.lang.IndexOutOfBoundsException")
