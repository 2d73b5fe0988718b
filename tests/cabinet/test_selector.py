"""A bulk change always knows what was done and what was not."""

from __future__ import annotations

import pytest

from vats_exporter.cabinet.devices import Device, TrunkDetails
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    UnreachableError,
)
from vats_exporter.cabinet.selector import Switching, SwitchOutcome
from vats_exporter.trunks import Flags, Trunk

FLAGS = Flags(active=True, bound=True, marked_for_deletion=False)


def trunk(ref: str) -> Trunk:
    return Trunk(ref, 1, "79161234567", "", FLAGS, "1100", known=True)


class Cabinet:
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
        device = None if enabled is None else Device("CaDEVI", enabled, "", "", "")
        return TrunkDetails(ref, "", device)

    def set_enabled(self, ref: str, *, enabled: bool) -> None:
        if ref in self.failing:
            raise self.failing[ref]
        self.moved.append(ref)
        if ref not in self.stuck:
            self.selectors[ref] = enabled


def run(
    cabinet: Cabinet, *refs: str, enabled: bool
) -> list[tuple[bool | None, bool | None, SwitchOutcome]]:
    switching = Switching(cabinet, [trunk(ref) for ref in refs], enabled=enabled)
    return [(change.before, change.after, change.outcome) for change in switching]


def test_only_selectors_that_are_elsewhere_are_moved_and_read_back() -> None:
    cabinet = Cabinet(a=True, b=False)
    assert run(cabinet, "a", "b", enabled=True) == [
        (True, True, SwitchOutcome.UNCHANGED),
        (False, True, SwitchOutcome.CHANGED),
    ]
    assert cabinet.moved == ["b"]


def test_a_selector_that_does_not_move_is_a_failure_whatever_the_cabinet_answered() -> None:
    cabinet = Cabinet(a=True)
    cabinet.stuck.add("a")
    assert run(cabinet, "a", enabled=False) == [(True, True, SwitchOutcome.FAILED)]


@pytest.mark.parametrize("error", [NotGwtError("HTTP 500"), IncompleteError("odd")])
def test_a_failure_stops_nothing_but_its_own_trunk(error: CabinetError) -> None:
    cabinet = Cabinet(a=True, b=True, c=True)
    cabinet.failing["b"] = error
    assert [outcome for _, _, outcome in run(cabinet, "a", "b", "c", enabled=False)] == [
        SwitchOutcome.CHANGED,
        SwitchOutcome.UNCLEAR,
        SwitchOutcome.CHANGED,
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (LoginRefusedError("refused"), SwitchOutcome.FAILED),
        (UnreachableError("reset"), SwitchOutcome.UNCLEAR),
        (CabinetTimeoutError("too late"), SwitchOutcome.UNCLEAR),
    ],
)
def test_a_failure_of_the_cabinet_leaves_the_rest_as_it_is(
    error: CabinetError, outcome: SwitchOutcome
) -> None:
    cabinet = Cabinet(a=True, b=True, c=True, d=True)
    cabinet.failing["b"] = error
    switching = Switching(cabinet, [trunk(ref) for ref in "abcd"], enabled=False)
    assert [change.trunk.ref for change in switching] == ["a", "b"]
    assert switching.stopped == str(error)
    assert [change.outcome for change in switching.changes] == [
        SwitchOutcome.CHANGED,
        outcome,
        SwitchOutcome.PENDING,
        SwitchOutcome.PENDING,
    ]


def test_a_trunk_before_whose_change_the_cabinet_fails_was_not_moved() -> None:
    cabinet = Cabinet(a=True)
    cabinet.unreadable["a"] = [UnreachableError("reset")]
    (change,) = Switching(cabinet, [trunk("a")], enabled=False)
    assert (change.outcome, change.error) == (SwitchOutcome.FAILED, "reset")


@pytest.mark.parametrize("error", [LoginRefusedError("refused"), UnreachableError("reset")])
def test_a_trunk_that_cannot_be_read_back_is_to_be_checked(error: CabinetError) -> None:
    cabinet = Cabinet(a=True)
    cabinet.unreadable["a"] = [None, error]
    (change,) = Switching(cabinet, [trunk("a")], enabled=False)
    assert (change.outcome, change.error) == (SwitchOutcome.UNCLEAR, str(error))
    assert (change.before, change.after) == (True, None)


def test_a_trunk_without_a_device_and_one_that_is_gone_are_said_to_be() -> None:
    cabinet = Cabinet(a=None)
    assert [outcome for _, _, outcome in run(cabinet, "a", "gone", enabled=True)] == [
        SwitchOutcome.NO_DEVICE,
        SwitchOutcome.FAILED,
    ]
    assert cabinet.moved == []


def test_an_interrupt_leaves_word_of_every_trunk() -> None:
    cabinet = Cabinet(a=True, b=True, c=True)
    cabinet.failing["b"] = KeyboardInterrupt()
    switching = Switching(cabinet, [trunk(ref) for ref in "abc"], enabled=False)
    with pytest.raises(KeyboardInterrupt):
        list(switching)
    assert [change.outcome for change in switching.changes] == [
        SwitchOutcome.CHANGED,
        SwitchOutcome.STARTED,
        SwitchOutcome.PENDING,
    ]
    assert [change.holds for change in switching.changes] == [True, False, False]
