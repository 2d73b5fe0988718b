"""Saying good-bye: the session is ended where that is quickly done, and nothing depends on it."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from vats_exporter.cabinet import access
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError, UnreachableError
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.trace import CallCompleted, CallFailed, TraceEvent
from vats_exporter.demo import SimulatedCabinet
from vats_exporter.demo.faults import Fault, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0
"""Seconds after which a test that waits for somebody else fails."""


def settings_of(cabinet: SimulatedCabinet) -> CabinetSettings:
    (account,) = cabinet.accounts
    return CabinetSettings(address=cabinet.url, login=account.login, password=account.password)


def sessions(cabinet: SimulatedCabinet) -> int:
    """How many there were; there are none afterwards."""
    return cabinet.end_sessions()


def test_closing_ends_the_session() -> None:
    with SimulatedCabinet() as simulated:
        with CabinetClient(settings_of(simulated)) as cabinet:
            cabinet.read_trunks()
        assert sessions(simulated) == 0
        assert simulated.stats()["requests"]["sign_out"] == 1


def test_a_cabinet_that_was_not_used_is_not_signed_out_of() -> None:
    with SimulatedCabinet() as simulated:
        with CabinetClient(settings_of(simulated)):
            pass
        assert simulated.stats()["requests"] == {}


def test_without_a_path_the_session_is_left_to_the_cabinet() -> None:
    with SimulatedCabinet() as simulated:
        settings = settings_of(simulated).model_copy(update={"sign_out_path": ""})
        with CabinetClient(settings) as cabinet:
            cabinet.read_trunks()
        assert sessions(simulated) == 1


@pytest.mark.parametrize("path", ["/no/such/page", "/-/gone"])
def test_a_path_that_is_not_there_is_told_by_the_trace_and_harms_nothing(path: str) -> None:
    seen: list[TraceEvent] = []
    with SimulatedCabinet() as simulated:
        settings = settings_of(simulated).model_copy(update={"sign_out_path": path})
        with CabinetClient(settings, trace=seen.append) as cabinet:
            cabinet.read_trunks()
    last = [one for one in seen if isinstance(one, CallCompleted)][-1]
    assert (last.call, last.status) == ("sign_out", 404)


class Holding:
    """Makes calls hang once they have been asked for, and tells when that is."""

    def __init__(self, simulated: SimulatedCabinet, *calls: str) -> None:
        self.asked = {call: threading.Event() for call in calls}
        self.go_on = threading.Event()
        simulated.faults = self._hold

    def _hold(self, incoming: Incoming) -> Fault | None:
        if incoming.call not in self.asked:
            return None
        self.asked[incoming.call].set()
        return Fault(wait=self.go_on)


class Failing(threading.Thread):
    """Makes a call, and keeps what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self._call = call
        self.error: CabinetError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except CabinetError as error:
            self.error = error


@pytest.mark.parametrize("call", ["list", "permutation", "nocache", "enterprise", "home"])
def test_a_call_that_hangs_is_broken_for_the_sign_out(call: str) -> None:
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, call)
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked[call].wait(PATIENCE)
        cabinet.close()
        reading.join(PATIENCE)
        assert isinstance(reading.error, UnreachableError)
        assert sessions(simulated) == 0
        assert simulated.stats()["requests"]["sign_out"] == 1


class Yielding:
    """A cabinet's lock that is not given to who closes before others have had it.

    Args:
        others: set when they have.
    """

    def __init__(self, others: threading.Event) -> None:
        self._lock = threading.Lock()
        self._others = others
        self.release = self._lock.release

    def acquire(self, timeout: float = -1) -> bool:
        if timeout >= 0 and not self._others.is_set():
            self._others.wait(timeout)
            return False
        return self._lock.acquire(timeout=timeout)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def test_who_waits_behind_a_call_that_is_broken_is_broken_too() -> None:
    with SimulatedCabinet() as simulated:
        cabinet = CabinetClient(settings_of(simulated))
        ref = cabinet.read_trunks().trunks[0].ref
        holding = Holding(simulated, "list", "details")
        cabinet._access._lock = Yielding(holding.asked["details"])  # type: ignore[assignment]  # a double
        waiting = [Failing(cabinet.read_trunks)]
        assert holding.asked["list"].wait(PATIENCE)
        waiting.append(Failing(partial(cabinet.read_details, ref)))
        cabinet.close()
        for one in waiting:
            one.join(PATIENCE)
        assert [type(one.error) for one in waiting] == [UnreachableError] * 2
        assert sessions(simulated) == 0


def test_a_call_that_is_about_to_end_is_let_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_ENDS_WITHIN", PATIENCE)
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, "list")
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked["list"].wait(PATIENCE)
        closing = threading.Thread(target=cabinet.close)
        closing.start()
        holding.go_on.set()
        closing.join(PATIENCE)
        reading.join(PATIENCE)
        assert reading.error is None
        assert sessions(simulated) == 0


def test_a_login_that_was_broken_before_there_was_a_session_is_not_signed_out_of() -> None:
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, "sign_in")
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked["sign_in"].wait(PATIENCE)
        cabinet.close()
        reading.join(PATIENCE)
        assert "sign_out" not in simulated.stats()["requests"]


def test_a_cabinet_where_everything_hangs_is_closed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_SIGN_OUT_WITHIN", 0.1)
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, "list", "sign_out")
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked["list"].wait(PATIENCE)
        closing = threading.Thread(target=cabinet.close)
        closing.start()
        assert holding.asked["sign_out"].wait(PATIENCE)
        closing.join(PATIENCE)
        assert not closing.is_alive()
        reading.join(PATIENCE)


class Once(Yielding):
    """A lock that somebody else has when it is first asked for."""

    asked = 0

    def acquire(self, timeout: float = -1) -> bool:
        self.asked += 1
        return self.asked > 1 and self._lock.acquire(timeout=timeout)


def test_a_cabinet_that_is_about_to_be_used_for_the_first_time_can_be_closed() -> None:
    with SimulatedCabinet() as simulated:
        cabinet = CabinetClient(settings_of(simulated))
        cabinet._access._lock = Once(threading.Event())  # type: ignore[assignment]  # a double
        cabinet.close()
        assert simulated.stats()["requests"] == {}


def test_a_cabinet_that_is_gone_does_not_keep_anybody() -> None:
    seen: list[TraceEvent] = []
    with SimulatedCabinet() as simulated:
        cabinet = CabinetClient(settings_of(simulated), trace=seen.append)
        cabinet.read_trunks()
    cabinet.close()
    assert isinstance(seen[-1], CallFailed)
    assert seen[-1].error.result == "unreachable"
