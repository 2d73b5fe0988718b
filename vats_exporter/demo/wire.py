"""Answers of the services, written as Google's server code writes the application's names.

It decides nothing: which trunks, which form, which exception is the caller's business.
"""

from __future__ import annotations

from itertools import chain, cycle
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.demo import deployment as names
from vats_exporter.demo.deployment import Object, array_list, boxed
from vats_exporter.gwt import Kind, Repeat, ResponseWriter, encode_response
from vats_exporter.gwt.request import INCOMPATIBLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vats_exporter.demo.deployment import Deployment
    from vats_exporter.demo.population import SimulatedTrunk
    from vats_exporter.gwt import Fields
    from vats_exporter.gwt.response import Status

_INCOMPATIBLE_SIGNATURE: Final = f"{INCOMPATIBLE}/3936916533"

_DEVICE_FORM_KIND: Final = 3
_MOBILE_FORM_KIND: Final = 1
_LINE_KIND: Final = 2


def list_answer(
    deployment: Deployment, enterprise: int, trunks: Sequence[SimulatedTrunk], total: int
) -> str:
    """Write a page of the list of subscribers; ``total`` counts the trunks of all pages."""
    lengths = range(deployment.other_lists)
    queues = [Object(names.QUEUE, (f"Очередь {at + 1}", at, at % 2 == 0)) for at in lengths]
    others = (array_list(queues[:length]) for length in lengths)
    rows = array_list([deployment.layout.row(trunk) for trunk in trunks])
    values = (boxed(enterprise), *others, rows, total)
    return write_answer(deployment, Object(names.LIST_RESPONSE, values))


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
    return write_answer(deployment, Object(names.DEVICE_FORM, form))


def mobile_form_answer(deployment: Deployment, enterprise: int, trunk: SimulatedTrunk) -> str:
    """Write form 32: a plain mobile subscriber."""
    values = (trunk.phone, trunk.state.active, boxed(enterprise), _MOBILE_FORM_KIND)
    return write_answer(deployment, Object(names.MOBILE_FORM, values))


def application_error(deployment: Deployment, code: str, message: str) -> str:
    """Write ``//EX`` with the application's own exception: a word, and a sentence for the user."""
    # The message stands in Java's Exception, a superclass, once more.
    error = Object(names.APPLICATION_ERROR, (code, message, message))
    return write_answer(deployment, error, "EX")


def incompatible(deployment: Deployment, message: str) -> str:
    """Write ``//EX`` with ``IncompatibleRemoteServiceException``."""
    writer = ResponseWriter()
    writer.write_object(_INCOMPATIBLE_SIGNATURE)
    writer.write_string(message)
    return encode_response(writer.finish("EX"), style=deployment.style)


def write_answer(deployment: Deployment, answer: Object, status: Status = "OK") -> str:
    """Write an object and all that it holds."""
    writer = _ObjectWriter(deployment)
    writer.write(answer)
    return encode_response(writer.finish(status), style=deployment.style)


class _ObjectWriter(ResponseWriter):
    """Writes objects by the fields of a deployment's names."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self._deployment = deployment
        self._fields = deployment.class_fields()
        self._write: dict[Any, Callable[[Any], None]] = {
            Kind.NUMBER: self.write_number,
            Kind.BOOLEAN: self.write_boolean,
            Kind.LONG: self.write_long,
            Kind.STRING: self.write_string,
            Kind.OBJECT: self.write,
            Kind.ENUM: self.write_number,
        }

    def write(self, one: Object | None) -> None:
        if one is None:
            self.write_null()
            return
        is_boolean = one.name == names.BOOLEAN
        is_shared = one.is_shared or (is_boolean and self._deployment.shared_booleans)
        share = one[:2] if is_shared else None
        if self.write_object(self._deployment.signature(one.name), share=share):
            for kind, value in zip(_kinds(self._fields[one.name]), one.values, strict=False):
                self._write[kind](value)


def _kinds(fields: Fields) -> Iterable[Any]:
    """The kinds of an object's values, without end where it is a collection."""
    if isinstance(fields[-1], Repeat):
        return chain(fields[:-1], cycle(fields[-1].fields))
    return fields
