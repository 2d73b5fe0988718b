from __future__ import annotations

import re

import pytest

from vats_exporter.demo import SimulatedCabinet, make_accounts


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


def test_the_same_seed_makes_the_same_accounts() -> None:
    first, second = (make_accounts(2, seed=5) for _ in range(2))
    assert [account.password for account in first] == [account.password for account in second]
    assert [[trunk.phone for trunk in account.enterprise.trunks()] for account in first] == [
        [trunk.phone for trunk in account.enterprise.trunks()] for account in second
    ]


def test_a_password_is_not_in_an_accounts_repr() -> None:
    (account,) = make_accounts()
    assert account.password not in repr(account)


def test_a_negative_number_of_accounts_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 accounts"):
        make_accounts(-1)


@pytest.mark.parametrize("what", ["name", "login"])
def test_accounts_that_can_not_be_told_apart_are_refused(what: str) -> None:
    first, second = make_accounts(2, trunks=1)
    setattr(second, what, getattr(first, what))
    with pytest.raises(ValueError, match=f"the same {what}"):
        SimulatedCabinet([first, second])
