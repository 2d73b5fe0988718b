"""Answers of the services, written as Google's server code writes the application's classes.

It knows which fields the classes have and in which order they are written; the order is that of the
captures. It decides nothing: which trunks, which form, which exception is the caller's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vats_exporter.demo import deployment as names
from vats_exporter.gwt import ResponseWriter, encode_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vats_exporter.demo.deployment import Deployment
    from vats_exporter.demo.model import Device, SimulatedTrunk

INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"
_INCOMPATIBLE_SIGNATURE: Final = f"{INCOMPATIBLE}/3936916533"

_DEVICE_FORM_KIND: Final = 3
_MOBILE_FORM_KIND: Final = 1
_LINE_KIND: Final = 2


def list_answer(
    deployment: Deployment, enterprise: int, trunks: Sequence[SimulatedTrunk], total: int
) -> str:
    """Write a page of the list of subscribers.

    Args:
        deployment: names and habits.
        enterprise: the enterprise's number.
        trunks: those of the page.
        total: how many there are on all pages.
    """
    writer = _Writer(deployment)
    writer.write_class(names.LIST_RESPONSE)
    writer.write_boxed_long(enterprise)
    for number in range(deployment.other_lists):
        _write_queues(writer, number)
    writer.write_class(names.ARRAY_LIST)
    writer.write_int(len(trunks))
    for trunk in trunks:
        _write_row(writer, trunk, deployment)
    writer.write_int(total)
    return _encode(writer, deployment)


def device_form_answer(deployment: Deployment, enterprise: int, trunk: SimulatedTrunk) -> str:
    """Write form 31: the list of a trunk's devices; see ``Deployment.null_devices``."""
    writer = _Writer(deployment)
    writer.write_class(names.DEVICE_FORM)
    writer.write_class(names.ARRAY_LIST)
    has_record = trunk.device is not None or deployment.null_devices
    writer.write_int(int(has_record))
    if has_record:
        _write_device(writer, trunk, trunk.device)
    writer.write_null()
    writer.write_boxed_long(enterprise)
    writer.write_int(_DEVICE_FORM_KIND)
    return _encode(writer, deployment)


def mobile_form_answer(deployment: Deployment, enterprise: int, trunk: SimulatedTrunk) -> str:
    """Write form 32: a plain mobile subscriber."""
    writer = _Writer(deployment)
    writer.write_class(names.MOBILE_FORM)
    writer.write_string(trunk.phone)
    writer.write_boolean(trunk.state.active)
    writer.write_boxed_long(enterprise)
    writer.write_int(_MOBILE_FORM_KIND)
    return _encode(writer, deployment)


def boolean_answer(deployment: Deployment, *, value: bool) -> str:
    """Write a boxed boolean: the answer to moving the selector."""
    writer = _Writer(deployment)
    writer.write_boxed_boolean(value=value)
    return _encode(writer, deployment)


def application_error(deployment: Deployment, code: str, message: str) -> str:
    """Write ``//EX`` with the application's own exception.

    Args:
        deployment: names and habits.
        code: a word, ``FORM_NOT_APPLICABLE``.
        message: a sentence for the user.
    """
    writer = _Writer(deployment)
    writer.write_class(names.APPLICATION_ERROR)
    writer.write_string(code)
    writer.write_string(message)
    writer.write_string(message)  # once more as the message of Java's Exception, a superclass
    return encode_response(writer.finish("EX"), style=deployment.style)


def incompatible(deployment: Deployment, message: str) -> str:
    """Write ``//EX`` with ``IncompatibleRemoteServiceException``."""
    writer = ResponseWriter()
    writer.write_object(_INCOMPATIBLE_SIGNATURE)
    writer.write_string(message)
    return encode_response(writer.finish("EX"), style=deployment.style)


class _Writer(ResponseWriter):
    """Knows a deployment's signatures and whether its booleans are shared."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self._deployment = deployment

    def write_class(self, name: str) -> None:
        """Start an object that is met once."""
        self.write_object(self._deployment.signature(name))

    def write_boxed_long(self, value: int) -> None:
        self.write_class(names.LONG)
        self.write_long(value)

    def write_boxed_boolean(self, *, value: bool, shared: bool = False) -> None:
        is_shared = shared or self._deployment.shared_booleans
        share = (names.BOOLEAN, value) if is_shared else None
        if self.write_object(self._deployment.signature(names.BOOLEAN), share=share):
            self.write_boolean(value)

    def write_enum(self, name: str, ordinal: int) -> None:
        """Write a constant; there is one object of each, so later ones are references."""
        if self.write_object(self._deployment.signature(name), share=(name, ordinal)):
            self.write_int(ordinal)

    def write_date(self, milliseconds: int) -> None:
        self.write_class(names.DATE)
        self.write_long(milliseconds)


def _encode(writer: ResponseWriter, deployment: Deployment) -> str:
    return encode_response(writer.finish(), style=deployment.style)


def _write_row(writer: _Writer, trunk: SimulatedTrunk, deployment: Deployment) -> None:
    writer.write_class(names.LIST_RECORD)
    for column in deployment.layout.before:
        _COLUMNS[column](writer, trunk)
    # The twelve values, read from the twelfth to the first: the text has them in reverse.
    for _ in range(3):
        writer.write_int(0)
    writer.write_boolean(trunk.state.off)
    writer.write_int(0)
    writer.write_boolean(trunk.state.marked)
    writer.write_boolean(trunk.state.bound)
    _ACTIVE[deployment.layout.kind](writer, trunk.state.active)
    for _ in range(2):
        writer.write_null()
    writer.write_boxed_long(trunk.id)
    for column in deployment.layout.after:
        _COLUMNS[column](writer, trunk)


def _write_queues(writer: _Writer, length: int) -> None:
    """Write a list that is not the trunks': two flags at most look like a row's."""
    writer.write_class(names.ARRAY_LIST)
    writer.write_int(length)
    for number in range(length):
        writer.write_class(names.QUEUE)
        writer.write_string(f"Очередь {number + 1}")
        writer.write_int(number)
        writer.write_boolean(number % 2 == 0)


def _write_contact(writer: _Writer, trunk: SimulatedTrunk) -> None:
    writer.write_class(names.CONTACT)
    writer.write_string(trunk.phone)
    writer.write_date(trunk.created)
    writer.write_string(trunk.name)


def _write_options(writer: _Writer, trunk: SimulatedTrunk) -> None:
    options = {"transport": "UDP", "inner": trunk.inner_number}
    writer.write_class(names.HASH_MAP)
    writer.write_int(len(options))
    for option in options.items():
        for text in option:
            writer.write_class(names.STRING)
            writer.write_string(text)


def _write_codes(writer: _Writer, trunk: SimulatedTrunk) -> None:
    codes = [int(digit) for digit in trunk.inner_number[:2]]
    writer.write_class(names.INT_ARRAY)
    for number in (len(codes), *codes):
        writer.write_int(number)


def _write_device(writer: _Writer, trunk: SimulatedTrunk, device: Device | None) -> None:
    writer.write_class(names.DEVICE_RECORD)
    writer.write_boxed_long(trunk.id)
    if device is None:
        writer.write_boolean(False)  # noqa: FBT003 - its parent takes no keyword for the value
        writer.write_null()
        writer.write_int(0)
        for _ in range(6):
            writer.write_string(None)
        return
    writer.write_boolean(device.enabled)
    writer.write_boxed_long(device.id)
    writer.write_int(_LINE_KIND)
    writer.write_string(device.line)
    writer.write_string(device.sip_login)
    writer.write_string(device.sip_password)
    writer.write_string("UDP")
    writer.write_string("SIP-phone")
    writer.write_string("Generic SIP Phone")


def _write_tagged(write_tag: Callable[[_Writer], None]) -> Callable[[_Writer, bool], None]:
    """A primitive boolean behind something that is the same in all rows."""

    def write(writer: _Writer, value: bool) -> None:  # noqa: FBT001 - one of several alike
        write_tag(writer)
        writer.write_boolean(value)

    return write


def _write_integer(writer: _Writer, value: bool) -> None:  # noqa: FBT001 - as above
    writer.write_class(names.INTEGER)
    writer.write_int(int(value))


_ACTIVE: Final[Mapping[str, Callable[[_Writer, bool], None]]] = {
    "a": lambda writer, value: writer.write_boxed_boolean(value=value),
    "b": _write_tagged(lambda writer: writer.write_string("SIM")),
    "c": _write_tagged(lambda writer: writer.write_int(8)),
    "d": _write_integer,
    "e": lambda writer, value: writer.write_boxed_boolean(value=value, shared=True),
}

_COLUMNS: Final[Mapping[str, Callable[[_Writer, SimulatedTrunk], None]]] = {
    "department": lambda writer, trunk: writer.write_string(trunk.department),
    "name": lambda writer, trunk: writer.write_string(trunk.name),
    "phone": lambda writer, trunk: writer.write_string(trunk.phone),
    "inner_number": lambda writer, trunk: writer.write_string(trunk.inner_number),
    "migration": lambda writer, trunk: writer.write_enum(names.MIGRATION_STATE, trunk.migration),
    "created": lambda writer, trunk: writer.write_date(trunk.created),
    "note": lambda writer, trunk: writer.write_string(trunk.note),
    "balance": lambda writer, trunk: writer.write_long(trunk.balance),
    # Columns that no capture has, of every shape: what another deployment may add.
    "email": lambda writer, trunk: writer.write_string(f"{trunk.inner_number}@example.com"),
    "tariff": lambda writer, _: writer.write_string("Единый"),
    "paid_until": lambda writer, trunk: writer.write_date(trunk.created),
    "limit": lambda writer, trunk: writer.write_boxed_long(trunk.balance),
    "weight": lambda writer, trunk: writer.write_double(trunk.balance / 7),
    "contact": _write_contact,
    "options": _write_options,
    "codes": _write_codes,
    "is_roaming": lambda writer, trunk: writer.write_boxed_boolean(value=trunk.state.bound),
}
