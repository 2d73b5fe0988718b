from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.demo.captures import captured_trunks
from vats_exporter.demo import Enterprise, Population, SimulatedTrunk, make_accounts

if TYPE_CHECKING:
    from tests.demo.conftest import Clock


def living(clock: Clock, *, trunks: int = 100, pace: float = 10, hold: float = 0) -> Enterprise:
    population = Population()
    return Enterprise(
        1,
        population.make(trunks),
        population=population,
        pace=pace,
        hold=hold,
        clock=clock,
    )


def still(clock: Clock) -> Enterprise:
    return Enterprise(1, captured_trunks("list_page3"), clock=clock)


def changes(before: tuple[SimulatedTrunk, ...], after: tuple[SimulatedTrunk, ...]) -> int:
    return sum(old.state != new.state for old, new in zip(before, after, strict=True))


def test_phones_and_references_are_unique_within_a_cabinet() -> None:
    trunks = [trunk for account in range(20) for trunk in Population(account).make(300)]
    assert len({trunk.phone for trunk in trunks}) == len(trunks)
    assert len({trunk.ref for trunk in trunks}) == len(trunks)


def test_accounts_of_the_largest_size_share_no_phone() -> None:
    first, second = (Population(account).make(1)[0] for account in (0, 1))
    # Phones grow by 1 to 30 each.
    assert int(second.phone) - int(first.phone) > 100_000 * 30


def test_references_are_six_characters_and_phones_eleven_digits() -> None:
    for trunk in Population(19).make(300):
        assert len(trunk.ref) == 6
        assert trunk.ref.startswith("C")
        assert len(trunk.phone) == 11
        assert trunk.phone.isdigit()
        assert trunk.phone.startswith("79")


def test_nine_tenths_of_a_long_list_are_working() -> None:
    patterns = Counter(trunk.state.pattern for trunk in Population().make(1000))
    assert patterns == {"1100": 900, "0011": 50, "1000": 25, "0101": 15, "1110": 10}


@pytest.mark.parametrize(("count", "working"), [(4, 4), (5, 4), (10, 8), (25, 23), (34, 30)])
def test_a_short_list_shows_a_documented_fault_and_an_undocumented_one(
    count: int, working: int
) -> None:
    patterns = Counter(trunk.state.pattern for trunk in Population().make(count))
    assert patterns["1100"] == working
    assert bool(patterns["0011"]) is (count >= 5)
    assert bool(patterns["1000"]) is (count >= 10)


def test_a_device_belongs_to_its_trunks_phone() -> None:
    devices = [(trunk.phone, trunk.device) for trunk in Population().make(200) if trunk.device]
    assert len(devices) > 150
    for phone, device in devices:
        assert device.line == f"mobsip_{phone[1:]}"
        assert device.sip_login.startswith(f"sip_{phone[1:]}_")


def test_some_trunks_are_mobile_and_some_have_no_device() -> None:
    trunks = Population().make(200)
    assert any(trunk.mobile for trunk in trunks)
    assert any(trunk.device is None and not trunk.mobile for trunk in trunks)
    assert not any(trunk.mobile and trunk.device for trunk in trunks)


def test_credentials_are_not_in_a_trunks_repr() -> None:
    for trunk in Population().make(50):
        if trunk.device:
            assert trunk.device.sip_password not in repr(trunk)
            assert trunk.device.sip_login not in repr(trunk)


def test_a_trunk_is_found_by_reference_and_by_phone(clock: Clock) -> None:
    enterprise = still(clock)
    assert enterprise.find("CaLztv").phone == "79161234570"
    assert enterprise.find("79161234570").ref == "CaLztv"


def test_a_trunk_that_is_not_there_is_said_to_be_unknown(clock: Clock) -> None:
    with pytest.raises(LookupError, match="no trunk 79990000000"):
        still(clock).find("79990000000")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"active": False}, "0101"),
        ({"bound": False}, "1000"),
        ({"marked_for_deletion": True}, "1110"),
    ],
)
def test_a_working_trunk_can_be_broken_by_hand(
    clock: Clock, change: dict[str, Any], pattern: str
) -> None:
    enterprise = still(clock)
    enterprise.change("CaLztv", **change)
    assert enterprise.find("CaLztv").state.pattern == pattern


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"active": True}, "1010"),
        ({"bound": True}, "0111"),
        ({"marked_for_deletion": False}, "0001"),
    ],
)
def test_a_broken_trunk_can_be_mended_by_hand(
    clock: Clock, change: dict[str, Any], pattern: str
) -> None:
    enterprise = still(clock)
    enterprise.change("CaLzzS", **change)
    assert enterprise.find("CaLzzS").state.pattern == pattern


def test_a_change_by_hand_is_dated_and_a_repeated_one_is_not(clock: Clock) -> None:
    enterprise = still(clock)
    clock.now += 60
    changed = clock.now
    enterprise.change("CaLztv", active=False)
    clock.now += 60
    enterprise.change("CaLztv", active=False)
    enterprise.change("CaLztv", name="Цой Пётр")
    trunk = enterprise.find("CaLztv")
    assert trunk.changed_at == changed
    assert trunk.name == "Цой Пётр"


def test_the_ninth_value_can_be_set_by_itself(clock: Clock) -> None:
    assert still(clock).change("CaLztv", active=False, off=False).state.pattern == "0100"


def test_a_removed_trunk_is_gone_and_the_others_stay_in_order(clock: Clock) -> None:
    enterprise = still(clock)
    assert enterprise.remove("79161234620").ref == "CaLzzS"
    assert [trunk.ref for trunk in enterprise.trunks()] == ["CaLztv", "CaL0AG"]


def test_an_invented_trunk_is_added_at_the_end(clock: Clock) -> None:
    enterprise = living(clock, trunks=3)
    added = enterprise.add()
    assert enterprise.trunks()[-1] == added
    assert len({trunk.phone for trunk in enterprise.trunks()}) == 4


def test_a_given_trunk_comes_back_after_it_was_removed(clock: Clock) -> None:
    enterprise = still(clock)
    removed = enterprise.remove("CaLztv")
    enterprise.add(removed)
    assert enterprise.find("CaLztv").phone == removed.phone


def test_the_selector_moves_and_leaves_the_flags(clock: Clock) -> None:
    enterprise = living(clock, pace=0)
    before = next(trunk for trunk in enterprise.trunks() if trunk.device and trunk.device.enabled)
    clock.now += 5
    after = enterprise.change(before.phone, sip_device_enabled=False)
    assert after.device is not None
    assert not after.device.enabled
    assert (after.state, after.changed_at) == (before.state, clock.now)


def test_a_trunk_without_a_device_has_no_selector(clock: Clock) -> None:
    with pytest.raises(ValueError, match="CaLztv has no SIP device"):
        still(clock).change("CaLztv", sip_device_enabled=True)


def test_nothing_changes_before_its_moment(clock: Clock) -> None:
    enterprise = living(clock, pace=10)
    before = enterprise.trunks()
    clock.now += 9.9
    assert enterprise.trunks() == before
    clock.now += 0.1
    assert changes(before, enterprise.trunks()) == 1


def test_a_change_of_life_is_dated_by_its_moment_not_by_who_looks(clock: Clock) -> None:
    enterprise = living(clock, pace=10)
    start = clock.now
    clock.now += 19
    dates = {trunk.changed_at for trunk in enterprise.trunks()}
    assert dates == {start, start + 10}


def test_life_is_the_same_however_often_someone_looks(clock: Clock) -> None:
    often, once = living(clock), living(clock)
    for _ in range(50):
        clock.now += 7
        often.trunks()
    assert often.trunks() == once.trunks()


def test_most_trunks_work_most_of_the_time(clock: Clock) -> None:
    enterprise = living(clock, trunks=100)
    seen: Counter[str] = Counter()
    for _ in range(300):
        clock.now += 10
        trunks = enterprise.trunks()
        assert 80 <= sum(trunk.state.pattern == "1100" for trunk in trunks) <= 97
        seen.update(trunk.state.pattern for trunk in trunks)
    assert set(seen) == {"1100", "0011", "1000", "0101", "1110"}


def test_a_trunk_is_left_alone_after_a_change(clock: Clock) -> None:
    enterprise = living(clock, trunks=5, pace=1, hold=60)
    last = {trunk.ref: (trunk.state, clock.now) for trunk in enterprise.trunks()}
    for _ in range(1000):
        clock.now += 1
        for trunk in enterprise.trunks():
            state, since = last[trunk.ref]
            if trunk.state != state:
                assert clock.now - since >= 60
                last[trunk.ref] = trunk.state, clock.now
    assert all(since > 1_700_000_000 for _, since in last.values())


def test_a_pace_of_nothing_stands_still(clock: Clock) -> None:
    enterprise = living(clock, pace=0)
    before = enterprise.trunks()
    clock.now += 1e6
    assert enterprise.trunks() == before


def test_life_can_be_stopped_and_goes_on_a_pace_after_it_is_started(clock: Clock) -> None:
    enterprise = living(clock, pace=10)
    enterprise.set_pace(0)
    before = enterprise.trunks()
    clock.now += 100
    enterprise.set_pace(20)
    clock.now += 19
    assert enterprise.trunks() == before
    clock.now += 1
    assert changes(before, enterprise.trunks()) == 1


def test_a_suspended_machine_does_not_make_up_for_years(clock: Clock) -> None:
    enterprise = living(clock, trunks=10, pace=0.01)
    clock.now += 1e9
    # Ends, and the last change is of just now.
    assert clock.now - max(trunk.changed_at for trunk in enterprise.trunks()) <= 1


def test_an_enterprise_without_trunks_lives_on(clock: Clock) -> None:
    enterprise = living(clock, trunks=0)
    clock.now += 100
    assert enterprise.trunks() == ()


@pytest.mark.parametrize("pace", [-1, 0.001, math.inf, math.nan])
def test_a_pace_that_no_clock_keeps_up_with_is_refused(clock: Clock, pace: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        living(clock, pace=pace)


def test_one_account_is_named_demo_and_has_the_trunks_asked_for() -> None:
    (account,) = make_accounts(trunks=12)
    assert account.name == "demo"
    assert re.fullmatch(r"\+7-9[0-9]{9}", account.login)
    assert len(account.enterprise.trunks()) == 12


def test_several_accounts_differ_in_everything() -> None:
    accounts = make_accounts(3, trunks=4)
    assert [account.name for account in accounts] == ["demo-1", "demo-2", "demo-3"]
    assert len({account.login for account in accounts}) == 3
    assert len({account.password for account in accounts}) == 3
    assert len({account.enterprise.number for account in accounts}) == 3
    phones = {trunk.phone for account in accounts for trunk in account.enterprise.trunks()}
    assert len(phones) == 12


def test_the_accounts_are_the_same_each_time() -> None:
    first, second = (make_accounts(2) for _ in range(2))
    assert [account.password for account in first] == [account.password for account in second]
    assert [[trunk.phone for trunk in account.enterprise.trunks()] for account in first] == [
        [trunk.phone for trunk in account.enterprise.trunks()] for account in second
    ]


def test_a_password_is_not_in_an_accounts_repr() -> None:
    (account,) = make_accounts()
    assert account.password not in repr(account)
