"""What a snapshot tells, compared with the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.history.making import Compared, at, snapshot, trunk
from vats_exporter.history.history import Change, Changes, Event, History

if TYPE_CHECKING:
    from vats_exporter.trunks import Trunk


@pytest.fixture
def account() -> Compared:
    return Compared()


def tell(account: Compared, minute: float, *trunks: Trunk) -> list[tuple[str, str]]:
    """Compare a snapshot, and give the kind and the reference of each event."""
    return [(event.kind, event.ref) for event in account.tell(minute, *trunks)]


def changes(account: Compared) -> Changes:
    return account.history.changes("office")


def test_an_accounts_first_snapshot_tells_of_nothing(account: Compared) -> None:
    assert tell(account, 0, trunk("A"), trunk("B", "001")) == []
    assert changes(account) == {}


def test_an_unchanged_snapshot_tells_of_nothing_whatever_its_order(account: Compared) -> None:
    tell(account, 0, trunk("A"), trunk("B"))

    assert tell(account, 1, trunk("B"), trunk("A")) == []


def test_each_flag_that_changed_is_an_event_and_is_counted(account: Compared) -> None:
    tell(account, 0, trunk("A", "110"), trunk("B", "110"))

    recorded = account.tell(1, trunk("A", "001"), trunk("B", "110"))

    def event(flag: str, before: str, after: str) -> Event:
        return Event(at(1), "office", "A", "79160000001", "Иванов", "changed", flag, before, after)

    assert recorded == [
        event("active", "1", "0"),
        event("bound", "1", "0"),
        event("marked_for_deletion", "0", "1"),
    ]
    assert changes(account) == {
        ("A", flag): Change(1, at(1)) for flag in ("active", "bound", "marked_for_deletion")
    }


def test_a_flag_is_counted_each_time_it_changes(account: Compared) -> None:
    for minute, flags in enumerate(("110", "010", "110", "110", "010")):
        tell(account, minute, trunk("A", flags))

    assert changes(account) == {("A", "active"): Change(3, at(4))}


def test_a_mapping_of_changes_that_was_given_out_stays_as_it_was(account: Compared) -> None:
    tell(account, 0, trunk("A", "110"))
    tell(account, 1, trunk("A", "010"))
    given = changes(account)
    tell(account, 2, trunk("A", "110"))

    assert given == {("A", "active"): Change(1, at(1))}


def test_a_trunk_appears_goes_and_comes_back(account: Compared) -> None:
    tell(account, 0, trunk("A"))

    assert tell(account, 1, trunk("A"), trunk("B")) == [("appeared", "B")]
    assert tell(account, 2, trunk("B")) == []
    assert tell(account, 3, trunk("B")) == [("gone", "A")]
    assert tell(account, 4, trunk("B")) == []
    assert tell(account, 5, trunk("A"), trunk("B")) == [("back", "A")]


def test_a_trunk_that_one_list_misses_has_not_gone(account: Compared) -> None:
    tell(account, 0, trunk("A"), trunk("B"))

    assert tell(account, 1, trunk("B")) == []
    assert tell(account, 2, trunk("A"), trunk("B")) == []
    assert tell(account, 3, trunk("B")) == []
    assert tell(account, 4, trunk("A"), trunk("B")) == []


def test_a_trunk_that_one_list_misses_is_compared_with_what_it_was(account: Compared) -> None:
    tell(account, 0, trunk("A", "110"))
    tell(account, 1)

    assert tell(account, 2, trunk("A", "010")) == [("changed", "A")]


def test_one_trunk_in_place_of_another_is_one_new_and_then_one_gone(account: Compared) -> None:
    tell(account, 0, trunk("A"), trunk("B"))

    assert tell(account, 1, trunk("A"), trunk("C")) == [("appeared", "C")]
    assert tell(account, 2, trunk("A"), trunk("C")) == [("gone", "B")]


def test_two_empty_snapshots_say_that_all_are_gone(account: Compared) -> None:
    tell(account, 0, trunk("A"), trunk("B"))

    assert tell(account, 1) == []
    assert tell(account, 2) == [("gone", "A"), ("gone", "B")]


def test_a_trunk_that_comes_back_is_compared_with_what_it_was(account: Compared) -> None:
    tell(account, 0, trunk("A", "110"))
    tell(account, 1)
    tell(account, 2)

    assert tell(account, 3, trunk("A", "010")) == [("back", "A"), ("changed", "A")]
    assert changes(account) == {("A", "active"): Change(1, at(3))}


def test_a_gone_trunk_keeps_its_counters(account: Compared) -> None:
    tell(account, 0, trunk("A", "110"))
    tell(account, 1, trunk("A", "010"))
    tell(account, 2)
    tell(account, 3)

    assert changes(account) == {("A", "active"): Change(1, at(1))}


def test_another_name_and_another_phone_are_events_with_both(account: Compared) -> None:
    tell(account, 0, trunk("A", phone="79160000001", name="Иванов"))

    events = account.tell(1, trunk("A", phone="79160000002", name="Петров"))

    assert [(one.kind, one.before, one.after, one.phone, one.name) for one in events] == [
        ("renumbered", "79160000001", "79160000002", "79160000002", "Петров"),
        ("renamed", "Иванов", "Петров", "79160000002", "Петров"),
    ]


def test_a_name_and_a_phone_that_are_not_told_have_not_changed(account: Compared) -> None:
    tell(account, 0, trunk("A"))

    assert tell(account, 1, trunk("A", phone="", name="")) == []
    assert tell(account, 2, trunk("A")) == []


def test_an_event_of_a_trunk_that_is_not_named_now_has_the_name_it_had(account: Compared) -> None:
    tell(account, 0, trunk("A"))

    (event,) = account.tell(1, trunk("A", "010", phone="", name=""))

    assert (event.phone, event.name) == ("79160000001", "Иванов")


def test_a_name_and_a_phone_told_for_the_first_time_have_not_changed(account: Compared) -> None:
    tell(account, 0, trunk("A", phone="", name=""))

    assert tell(account, 1, trunk("A")) == []
    assert tell(account, 2, trunk("A", name="Петров")) == [("renamed", "A")]


def test_a_selector_that_moved_is_a_change_and_one_first_told_is_none(account: Compared) -> None:
    def record(minute: float, **selectors: bool | None) -> list[Event]:
        return account.tell(minute, *(trunk(ref, selector=on) for ref, on in selectors.items()))

    record(0, A=True, B=None)
    assert record(1, A=True, B=True) == []
    (event,) = record(2, A=False, B=True)
    assert record(3, A=None, B=None) == []
    assert record(4, A=False, B=True) == []

    assert (event.ref, event.flag, event.before, event.after) == (
        "A",
        "sip_device_enabled",
        "1",
        "0",
    )
    assert changes(account) == {("A", "sip_device_enabled"): Change(1, at(2))}


def test_a_clock_set_back_leaves_no_time_in_the_future(account: Compared) -> None:
    tell(account, 0, trunk("A", "110"))
    tell(account, 100, trunk("A", "010"))
    tell(account, 50, trunk("A", "010"))

    assert changes(account) == {("A", "active"): Change(1, at(50))}


def test_accounts_with_the_same_trunks_do_not_mix() -> None:
    history = History()
    for account in ("office", "shop"):
        history.record(account, snapshot(0, trunk("A", "110")))
    history.record("shop", snapshot(1, trunk("A", "010")))

    assert history.changes("office") == {}
    assert history.changes("shop") == {("A", "active"): Change(1, at(1))}
    assert history.changes("unheard of") == {}


def test_in_memory_nothing_is_saved_and_nothing_is_a_problem() -> None:
    history = History()
    history.record("office", snapshot(0, trunk("A")))
    assert (history.problem, history.errors_total) == ("", 0)
    history.close()
