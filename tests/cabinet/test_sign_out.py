"""Saying good-bye: the session is ended where that is quickly done, and nothing depends on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vats_exporter.cabinet.client import Cabinet
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.trace import CallCompleted, CallFailed, TraceEvent
from vats_exporter.demo import SimulatedCabinet


def settings_of(cabinet: SimulatedCabinet) -> CabinetSettings:
    (account,) = cabinet.accounts
    return CabinetSettings(address=cabinet.url, login=account.login, password=account.password)


def sessions(cabinet: SimulatedCabinet) -> int:
    """How many there were; there are none afterwards."""
    return cabinet.end_sessions()


def test_closing_ends_the_session() -> None:
    with SimulatedCabinet() as simulated:
        with Cabinet(settings_of(simulated)) as cabinet:
            cabinet.read_trunks()
        assert sessions(simulated) == 0
        assert simulated.stats()["requests"]["sign_out"] == 1


def test_a_cabinet_that_was_not_used_is_not_signed_out_of() -> None:
    with SimulatedCabinet() as simulated:
        with Cabinet(settings_of(simulated)):
            pass
        assert simulated.stats()["requests"] == {}


def test_without_a_path_the_session_is_left_to_the_cabinet() -> None:
    with SimulatedCabinet() as simulated:
        with Cabinet(replace(settings_of(simulated), sign_out_path="")) as cabinet:
            cabinet.read_trunks()
        assert sessions(simulated) == 1


@pytest.mark.parametrize("path", ["/no/such/page", "/-/gone"])
def test_a_path_that_is_not_there_is_told_by_the_trace_and_harms_nothing(path: str) -> None:
    seen: list[TraceEvent] = []
    with SimulatedCabinet() as simulated:
        settings = replace(settings_of(simulated), sign_out_path=path)
        with Cabinet(settings, trace=seen.append) as cabinet:
            cabinet.read_trunks()
    last = [one for one in seen if isinstance(one, CallCompleted)][-1]
    assert (last.call, last.status) == ("sign_out", 404)


def test_a_cabinet_that_is_gone_does_not_keep_anybody() -> None:
    seen: list[TraceEvent] = []
    with SimulatedCabinet() as simulated:
        cabinet = Cabinet(settings_of(simulated), trace=seen.append)
        cabinet.read_trunks()
    cabinet.close()
    assert isinstance(seen[-1], CallFailed)
    assert seen[-1].error.result == "unreachable"
