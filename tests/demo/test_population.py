from __future__ import annotations

from collections import Counter

import pytest

from vats_exporter.demo import Population


def test_the_same_seed_makes_the_same_trunks() -> None:
    assert Population(seed=7).make(50) == Population(seed=7).make(50)


def test_another_seed_makes_other_trunks() -> None:
    assert Population(seed=7).make(50) != Population(seed=8).make(50)


def test_phones_and_references_are_unique_within_a_cabinet() -> None:
    trunks = [trunk for account in range(20) for trunk in Population(account=account).make(300)]
    assert len({trunk.phone for trunk in trunks}) == len(trunks)
    assert len({trunk.ref for trunk in trunks}) == len(trunks)


def test_accounts_of_the_largest_size_share_no_phone() -> None:
    first, second = (Population(account=account).make(1)[0] for account in (0, 1))
    # Phones grow by 1 to 30 each.
    assert int(second.phone) - int(first.phone) > 100_000 * 30


def test_references_are_six_characters_and_phones_eleven_digits() -> None:
    for trunk in Population(account=19).make(300):
        assert len(trunk.ref) == 6
        assert trunk.ref.startswith("C")
        assert len(trunk.phone) == 11
        assert trunk.phone.isdigit()
        assert trunk.phone.startswith("79")


def test_nine_tenths_of_a_long_list_are_working() -> None:
    patterns = Counter(trunk.state.pattern for trunk in Population().make(1000))
    assert patterns == {"1100": 900, "0011": 50, "1000": 25, "0101": 15, "1110": 10}


@pytest.mark.parametrize("seed", range(5))
def test_a_short_list_shows_a_documented_fault_and_an_undocumented_one(seed: int) -> None:
    patterns = Counter(trunk.state.pattern for trunk in Population(seed=seed).make(25))
    assert patterns["0011"] >= 1
    assert patterns["1000"] >= 1
    assert patterns["1100"] >= 21


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
