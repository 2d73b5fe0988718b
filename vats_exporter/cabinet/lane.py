"""A way into a cabinet's session, to read trunks' details beside the list."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from vats_exporter.cabinet import contract, devices
from vats_exporter.cabinet.errors import GwtExceptionError, RedeployedError
from vats_exporter.cabinet.rpc import exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter import gwt
    from vats_exporter.cabinet.client import Cabinet
    from vats_exporter.cabinet.devices import Details
    from vats_exporter.cabinet.discovery import Deployment
    from vats_exporter.cabinet.transport import Transport


class Lane:
    """A way into a cabinet's session, for details alone: one call at a time.

    It never signs in and never discovers: where the session ended or the names are out of date,
    its call fails, and the next listing sees to it. So details cost no sign-in, whatever becomes
    of them, and who waits for the connection waits for one call.

    Args:
        cabinet: whose session it uses.
        shared: on the cabinet's own connection, for one call at a time and last of all who want
            it; otherwise on another one.
    """

    def __init__(self, cabinet: Cabinet, *, shared: bool = False) -> None:
        self._cabinet = cabinet
        self._shared = shared
        self._lock = threading.Lock()
        self._transport: Transport | None = None

    def read_details(self, ref: str) -> Details:
        """Read one trunk's details; see :meth:`Cabinet.read_details`.

        Args:
            ref: the trunk's reference.

        Raises:
            CabinetError: they could not be read.
        """
        with self._lock:
            return read_forms(self._rpc, ref)

    def close(self) -> None:
        """Close the connection, which ends a call under way; a later call opens another.

        The cabinet's own is the cabinet's affair.
        """
        transport = self._transport
        if transport is not None:
            transport.close()

    def _rpc(self, build: Callable[[Deployment], str]) -> gwt.Response:
        if self._shared:
            with self._cabinet.lend() as (transport, deployment):
                return self._exchange(transport, deployment, build)
        self._transport, deployment = self._cabinet.branch(self._transport)
        return self._exchange(self._transport, deployment, build)

    def _exchange(
        self, transport: Transport, deployment: Deployment, build: Callable[[Deployment], str]
    ) -> gwt.Response:
        try:
            return exchange(
                transport,
                deployment,
                "details",
                contract.DETAILS,
                build(deployment),
                limit=self._cabinet.max_response,
            )
        except RedeployedError:
            self._cabinet.outdated(deployment)
            raise


def read_forms(rpc: Callable[[Callable[[Deployment], str]], gwt.Response], ref: str) -> Details:
    """Read the device form, or the other form where that one does not apply.

    Args:
        rpc: makes a call with what builds its request.
        ref: the trunk's reference.

    Raises:
        CabinetError: neither form could be read.
    """
    try:
        response = rpc(_form(ref, devices.DEVICE_FORM))
    except RedeployedError:
        raise
    except GwtExceptionError:
        return devices.read_mobile_form(rpc(_form(ref, devices.MOBILE_FORM)), ref)
    return devices.read_device_form(response, ref)


def _form(ref: str, form: int) -> Callable[[Deployment], str]:
    def build(deployment: Deployment) -> str:
        return contract.details_request(deployment, trunk=ref, form=form)

    return build
