"""Only a selector that is elsewhere is moved; what is seen afterwards decides."""

from __future__ import annotations

from typing import Any

import pytest

from vats_exporter.cabinet.contract import TrunkDetails
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    UnreachableError,
)
from vats_exporter.cabinet.selector import SwitchOutcome, TrunkSwitch


class Selectors:
    """Selectors by trunk; ``None`` is a trunk without a device."""

    def __init__(self, **selectors: bool | None) -> None:
        self.selectors = selectors
        self.moved: list[str] = []
        self.stuck: set[str] = set()
        self.failing: dict[str, BaseException] = {}
        self.unreadable: dict[str, list[CabinetError | None]] = {}

    def read_details(self, ref: str) -> TrunkDetails:
        error = self.unreadable[ref].pop(0) if self.unreadable.get(ref) else None
        if error is not None:
            raise error
        if ref not in self.selectors:
            raise IncompleteError(f"{ref} is gone")
        enabled = self.selectors[ref]
        return TrunkDetails(device="" if enabled is None else "CaDEVI", enabled=enabled)

    def move_selector(self, ref: str, *, enabled: bool) -> None:
        if ref in self.failing:
            raise self.failing[ref]
        self.moved.append(ref)
        if ref not in self.stuck:
            self.selectors[ref] = enabled


def run(cabinet: Any, ref: str, *, enabled: bool) -> TrunkSwitch:
    switch = TrunkSwitch()
    switch.carry_out(cabinet, ref, enabled=enabled)
    return switch


def test_only_a_selector_that_is_elsewhere_is_moved_and_read_back() -> None:
    cabinet = Selectors(a=True, b=False)
    assert run(cabinet, "a", enabled=True) == TrunkSwitch(True, True, SwitchOutcome.UNCHANGED)
    assert run(cabinet, "b", enabled=True) == TrunkSwitch(False, True, SwitchOutcome.CHANGED)
    assert cabinet.moved == ["b"]


def test_a_selector_that_does_not_move_is_a_failure_whatever_the_cabinet_answered() -> None:
    cabinet = Selectors(a=True)
    cabinet.stuck.add("a")
    switch = run(cabinet, "a", enabled=False)
    assert (switch.before, switch.after, switch.outcome) == (True, True, SwitchOutcome.FAILED)


@pytest.mark.parametrize(
    ("error", "outcome", "stops"),
    [
        (NotGwtError("HTTP 500"), SwitchOutcome.UNCLEAR, False),
        (IncompleteError("odd"), SwitchOutcome.UNCLEAR, False),
        (LoginRefusedError("refused"), SwitchOutcome.FAILED, True),
        (UnreachableError("reset"), SwitchOutcome.UNCLEAR, True),
        (CabinetTimeoutError("too late"), SwitchOutcome.UNCLEAR, True),
    ],
)
def test_only_a_failure_of_the_whole_cabinet_stops_the_other_selectors(
    error: CabinetError, outcome: SwitchOutcome, stops: bool
) -> None:
    cabinet = Selectors(a=True)
    cabinet.failing["a"] = error
    switch = run(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, outcome, str(error), stops)


def test_a_trunk_before_whose_change_the_cabinet_fails_was_not_moved() -> None:
    cabinet = Selectors(a=True)
    cabinet.unreadable["a"] = [UnreachableError("reset")]
    switch = run(cabinet, "a", enabled=False)
    assert (switch.outcome, switch.error) == (SwitchOutcome.FAILED, "reset")


@pytest.mark.parametrize("error", [LoginRefusedError("refused"), UnreachableError("reset")])
def test_a_trunk_that_cannot_be_read_back_is_to_be_checked(error: CabinetError) -> None:
    cabinet = Selectors(a=True)
    cabinet.unreadable["a"] = [None, error]
    switch = run(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, SwitchOutcome.UNCLEAR, str(error), stops=True)


def test_a_trunk_without_a_device_and_one_that_is_gone_are_said_to_be() -> None:
    cabinet = Selectors(a=None)
    assert run(cabinet, "a", enabled=True).outcome is SwitchOutcome.NO_DEVICE
    assert run(cabinet, "gone", enabled=True).outcome is SwitchOutcome.FAILED
    assert cabinet.moved == []


def test_an_interrupt_leaves_word_of_what_was_begun() -> None:
    cabinet: Any = Selectors(a=True)
    cabinet.failing["a"] = KeyboardInterrupt()
    switch = TrunkSwitch()
    with pytest.raises(KeyboardInterrupt):
        switch.carry_out(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, SwitchOutcome.STARTED)
