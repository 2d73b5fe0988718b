"""The GWT-RPC services: from a request's text to the answer's.

Requests are read by the fields of the deployment's classes, and refused in the order and with the
words of Google's server code [gwt]. The application's own refusals (whose trunk it is, which form
applies) are invented. [assumed]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from vats_exporter.demo import deployment as names
from vats_exporter.demo.deployment import CLASSES, Deployment, Object, array_list, boxed
from vats_exporter.demo.enterprise import Enterprise, SimulatedTrunk
from vats_exporter.demo.http import Incoming
from vats_exporter.gwt import (
    Field,
    GwtError,
    Kind,
    RequestError,
    decode_long,
    encode_long,
    parse_request,
)
from vats_exporter.gwt.errors import LongError
from vats_exporter.gwt.request import INCOMPATIBLE, incompatible, out_of_date, read_int


class CallFailedError(Exception):
    """Any exception that no method declares: Google's code answers it with HTTP 500."""


def describe(path: str, payload: str, deployment: Deployment) -> Incoming:
    """Say which call a request to a service's path is, however it will be answered."""
    call = Incoming(names.SERVICES[path].call)
    try:
        parameters = RequestReader(payload, deployment, None).read_parameters()
    except GwtError:  # a stale signature, for one: it is refused later
        return call
    match parameters:
        case [int(trunk), *_]:
            return replace(call, trunk=encode_long(trunk))
        case [{"page": int(page)}]:
            return replace(call, page=page)
    return call


def answer(path: str, payload: str, deployment: Deployment, enterprise: Enterprise) -> str:
    """Answer a call to a service's path with the text of ``//OK`` or ``//EX``."""
    try:
        answered = _perform(*_read(path, payload, deployment), deployment, enterprise)
    except LongError as error:
        raise CallFailedError(f"java.lang.IllegalArgumentException: {error}") from error
    except RequestError as error:
        if error.class_name != INCOMPATIBLE:
            raise CallFailedError(f"{error.class_name}: {error}") from error
        answered = Object(INCOMPATIBLE, (str(error),))
    return deployment.write(answered)


def _read(path: str, payload: str, deployment: Deployment) -> tuple[str, list[Any]]:
    """Return the method and its parameters."""
    reader = RequestReader(payload, deployment, deployment.policies[path])
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


def _perform(
    method: str, parameters: list[Any], deployment: Deployment, enterprise: Enterprise
) -> Object:
    if None in parameters:  # each is used
        raise CallFailedError("java.lang.NullPointerException")
    if method == "list":
        return _list(parameters[0], deployment, enterprise)
    key, asked = parameters
    try:
        trunk = enterprise.find(encode_long(key))
    except LookupError:
        return _refusal("ABONENT_NOT_FOUND", "Абонент не найден")
    if method == "getForm":
        if asked != (32 if trunk.mobile else 31):
            return _refusal("FORM_NOT_APPLICABLE", "Форма недоступна для данного типа абонента")
        return form(enterprise.number, trunk)
    if trunk.device is None:
        return _refusal("DEVICE_NOT_FOUND", "У абонента нет устройства")
    enterprise.change(trunk.ref, sip_device_enabled=asked)
    return Object(names.BOOLEAN, (True,))


def _list(asked: dict[str, Any], deployment: Deployment, enterprise: Enterprise) -> Object:
    if asked["deleted"] is asked:  # -1, which is the request itself [gwt]
        raise incompatible(
            f"java.lang.IllegalArgumentException: Can not set {names.BOOLEAN}"
            f" field {names.LIST_REQUEST}.deleted to {names.LIST_REQUEST}"
        )
    # Clients of an older deployment give the enterprise in the field after its own. [user]
    number = asked["department"] if asked["enterprise"] is None else asked["enterprise"]
    if number != enterprise.number:
        return _refusal("ACCESS_DENIED", "Нет доступа к предприятию")
    page, size = (
        asked[name] if isinstance(asked[name], int) else usual
        for name, usual in (("page", 0), ("pageSize", 100))
    )
    if page < 0 or size <= 0:
        raise CallFailedError("java.lang.IllegalArgumentException: page or size out of range")
    trunks = enterprise.trunks()
    # What the filter means is not known; this is what the name of its field suggests. [assumed]
    if asked["deleted"] is True:
        trunks = tuple(trunk for trunk in trunks if trunk.state.marked_for_deletion)
    shown = trunks[page * size : (page + 1) * size]
    return list_page(deployment, enterprise.number, shown, len(trunks))


def _refusal(code: str, message: str) -> Object:
    """The application's own, declared exception: a word, and a sentence for the user."""
    # The message stands in Java's Exception, a superclass, once more.
    return Object(names.APPLICATION_ERROR, (code, message, message))


def list_page(
    deployment: Deployment, enterprise: int, trunks: Sequence[SimulatedTrunk], total: int
) -> Object:
    """Return a page of the list of subscribers; ``total`` counts the trunks of all pages."""
    lengths = range(deployment.other_lists)
    queues = [Object(names.QUEUE, (f"Очередь {at + 1}", at, at % 2 == 0)) for at in lengths]
    others = (array_list(queues[:length]) for length in lengths)
    columns = deployment.columns()
    rows = [
        Object(names.LIST_RECORD, tuple(column.value(trunk) for column in columns))
        for trunk in trunks
    ]
    return Object(names.LIST_RESPONSE, (boxed(enterprise), *others, array_list(rows), total))


def form(enterprise: int, trunk: SimulatedTrunk) -> Object:
    """Return form 32 of a plain mobile subscriber, or 31, the list of devices, one or none."""
    if trunk.mobile:
        values = (trunk.phone, trunk.state.active, boxed(enterprise), 1)
        return Object(names.MOBILE_FORM, values)
    device = trunk.device
    records = []
    if device is not None:
        record = (
            *(boxed(trunk.id), device.enabled, boxed(device.id), 2),
            *(device.line, device.sip_login, device.sip_password),
            *("UDP", "SIP-phone", "Generic SIP Phone"),
        )
        records.append(Object(names.DEVICE_RECORD, record))
    return Object(names.DEVICE_FORM, (array_list(records), None, boxed(enterprise), 3))


class RequestReader:
    """Reads a request from its first token to its last, as Google's server does.

    Under another policy than the server's (``None`` is any) it reads plain Java types only.
    """

    def __init__(self, payload: str, deployment: Deployment, policy: str | None) -> None:
        self._request = parse_request(payload)
        self._deployment = deployment
        self._fields = deployment.class_fields()
        self._at = count()
        self._objects: list[Any] = []
        # The server looks for the policy's file under the path that the client says it is from.
        is_from_here = (self._string() or "").endswith(f"/{names.MODULE}/")
        given = self._string()
        self._has_policy = policy is None or (is_from_here and given == policy)
        self.service = self._name()
        self.method = self._string() or ""
        self.parameter_types = tuple(self._name() for _ in range(self._int()))

    def read_parameters(self) -> list[Any]:
        """Read the parameters, once: a value, ``None``, or the list request's fields by name."""
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
        name = signature.partition("/")[0]
        if name not in CLASSES:
            raise incompatible(f"java.lang.ClassNotFoundException: {name}")
        if signature != self._deployment.signature(name):
            raise incompatible(f"Invalid type signature for {name}")
        if expected and name != expected:
            raise incompatible(
                f"Attempt to deserialize an object of type class {name}"
                f" when an object of type class {expected} is expected"
            )
        if not self._has_policy and not CLASSES[name].number:
            raise incompatible(
                f"Type '{name}' was not assignable to"
                " 'com.google.gwt.user.client.rpc.IsSerializable' and did not have a custom field"
                " serializer. For security purposes, this type will not be deserialized."
            )
        fields = self._fields[name]
        if len(fields) > 1:
            values: dict[str, Any] = {}
            self._objects.append(values)  # before its fields, which may refer to it
            values.update(zip(names.REQUEST_FIELDS, map(self._field, fields), strict=False))
            return values
        value = self._field(fields[0])
        constants = CLASSES[name].constants
        if constants and not 0 <= value < constants:
            raise _out_of_bounds(value, constants)
        self._objects.append(value)
        return value

    def _field(self, field: Field) -> Any:
        if field is Kind.OBJECT:
            return self._object()
        if field is Kind.STRING:
            return self._string()
        if field is Kind.BOOLEAN:
            return self._token() != "0"
        return decode_long(self._token()) if field is Kind.LONG else self._int()

    def _token(self) -> str:
        at = next(self._at)
        if at >= len(self._request.tokens):
            raise incompatible("Too few tokens in RPC request")
        return self._request.tokens[at]

    def _int(self) -> int:
        return read_int(self._request.tokens, next(self._at))

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
