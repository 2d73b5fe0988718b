"""Device forms are read by type and field order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.cabinet.devices import (
    SwitchOutcome,
    TrunkDetails,
    TrunkSwitch,
    read_device_form,
    read_mobile_form,
)
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.gwt import Response, decode

WIRE = Path(__file__).parents[1] / "wire"


def capture(name: str) -> tuple[Response, dict[str, Any]]:
    truth: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return decode((WIRE / f"{name}.txt").read_bytes()), truth


@pytest.mark.parametrize("name", ["getform31", "getform31_disabled", "getform31_dq"])
def test_a_device_form_reads_as_its_truth(name: str) -> None:
    response, truth = capture(name)
    details = read_device_form(response, truth["abonent_b64"])
    expected = truth["device"]
    assert (
        details.device,
        details.enabled,
        details.line,
        details.sip_login,
        details.sip_password,
    ) == (
        expected["device_b64"],
        expected["enabled"],
        expected["sip_line"],
        expected["sip_login"],
        expected["sip_password_invented"],
    )
    assert details.phone == "7" + expected["sip_login"].split("_")[1]


def test_a_trunk_without_a_device_has_none() -> None:
    response, truth = capture("getform31_nodevice")
    assert truth["device"] is None
    details = read_device_form(response, truth["abonent_b64"])
    assert details == TrunkDetails()
    assert details.enabled is None


def test_the_mobile_form_tells_the_phone() -> None:
    response, _ = capture("getform32")
    assert read_mobile_form(response).phone == "79161234650"


def test_a_record_of_another_trunk_is_refused() -> None:
    response, truth = capture("getform31")
    with pytest.raises(UndecodableError, match="of CaAAAA: the record is of another") as raised:
        read_device_form(response, "CaAAAA")
    assert truth["abonent_b64"] not in str(raised.value)


def test_a_record_that_begins_otherwise_is_refused_with_its_place() -> None:
    response, truth = capture("getform31")
    tokens = list(response.tokens)
    # Reading order is from the end: class, trunk's class, trunk, then the selector.
    tokens[-7] = 5
    with pytest.raises(UndecodableError, match="selector is neither 0 nor 1, token 7 from the end"):
        read_device_form(Response("OK", 7, 0, response.string_table, tokens), truth["abonent_b64"])


def test_a_device_that_is_null_means_no_device() -> None:
    response, truth = capture("getform31")
    tokens = list(response.tokens)
    at = tokens.index(truth["device"]["device_b64"])
    tokens[at : at + 2] = [0]
    details = read_device_form(
        Response("OK", 7, 0, response.string_table, tokens), truth["abonent_b64"]
    )
    assert details == TrunkDetails("79161234570")


def test_credentials_are_not_in_the_repr() -> None:
    response, truth = capture("getform31")
    shown = repr(read_device_form(response, truth["abonent_b64"]))
    assert truth["device"]["sip_password_invented"] not in shown
    assert truth["device"]["sip_login"] not in shown


@given(
    st.lists(
        st.one_of(st.integers(-5, 14), st.sampled_from(["CaLztv", "A"]), st.floats()), max_size=30
    )
)
def test_any_tokens_give_details_or_one_error(tokens: list[int | float | str]) -> None:
    table = capture("getform31")[0].string_table
    response = Response("OK", 7, 0, table, tokens)
    try:
        read_device_form(response, "CaLztv")
        read_mobile_form(response)
    except UndecodableError:
        pass


# -- moving selectors


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
        return TrunkDetails(device="" if enabled is None else "CaDEVI", enabled=enabled)

    def move_selector(self, ref: str, *, enabled: bool) -> None:
        if ref in self.failing:
            raise self.failing[ref]
        self.moved.append(ref)
        if ref not in self.stuck:
            self.selectors[ref] = enabled


def run(cabinet: Cabinet, ref: str, *, enabled: bool) -> TrunkSwitch:
    switch = TrunkSwitch()
    switch.carry_out(cabinet, ref, enabled=enabled)
    return switch


def test_only_a_selector_that_is_elsewhere_is_moved_and_read_back() -> None:
    cabinet = Cabinet(a=True, b=False)
    assert run(cabinet, "a", enabled=True) == TrunkSwitch(True, True, SwitchOutcome.UNCHANGED)
    assert run(cabinet, "b", enabled=True) == TrunkSwitch(False, True, SwitchOutcome.CHANGED)
    assert cabinet.moved == ["b"]


def test_a_selector_that_does_not_move_is_a_failure_whatever_the_cabinet_answered() -> None:
    cabinet = Cabinet(a=True)
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
    cabinet = Cabinet(a=True)
    cabinet.failing["a"] = error
    switch = run(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, outcome, str(error), stops)


def test_a_trunk_before_whose_change_the_cabinet_fails_was_not_moved() -> None:
    cabinet = Cabinet(a=True)
    cabinet.unreadable["a"] = [UnreachableError("reset")]
    switch = run(cabinet, "a", enabled=False)
    assert (switch.outcome, switch.error) == (SwitchOutcome.FAILED, "reset")


@pytest.mark.parametrize("error", [LoginRefusedError("refused"), UnreachableError("reset")])
def test_a_trunk_that_cannot_be_read_back_is_to_be_checked(error: CabinetError) -> None:
    cabinet = Cabinet(a=True)
    cabinet.unreadable["a"] = [None, error]
    switch = run(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, SwitchOutcome.UNCLEAR, str(error), stops=True)


def test_a_trunk_without_a_device_and_one_that_is_gone_are_said_to_be() -> None:
    cabinet = Cabinet(a=None)
    assert run(cabinet, "a", enabled=True).outcome is SwitchOutcome.NO_DEVICE
    assert run(cabinet, "gone", enabled=True).outcome is SwitchOutcome.FAILED
    assert cabinet.moved == []


def test_an_interrupt_leaves_word_of_what_was_begun() -> None:
    cabinet = Cabinet(a=True)
    cabinet.failing["a"] = KeyboardInterrupt()
    switch = TrunkSwitch()
    with pytest.raises(KeyboardInterrupt):
        switch.carry_out(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, SwitchOutcome.STARTED)
    assert not switch.holds
