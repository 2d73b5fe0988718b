from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vats_exporter.demo import make_accounts
from vats_exporter.demo.accounts import Stats

if TYPE_CHECKING:
    from tests.demo.browser import Client


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


def test_what_is_answered_at_the_same_time_is_counted_by_account_and_in_all() -> None:
    stats = Stats()
    with stats.request("list", "a"), stats.request("list", "a"), stats.request("home", "b"):
        pass
    with stats.request("nocache", ""):
        pass
    counts = stats.as_json()
    assert counts["highest_concurrency"] == 3
    assert counts["accounts"]["a"]["highest_concurrency"] == 2
    assert counts["accounts"]["b"]["highest_concurrency"] == 1
    assert counts["requests"] == {"list": 2, "home": 1, "nocache": 1}
    assert set(counts["accounts"]) == {"a", "b"}


def test_requests_one_after_the_other_are_never_two_at_a_time() -> None:
    stats = Stats()
    numbers = []
    for _ in range(3):
        with stats.request("list", "a") as number:
            numbers.append(number)
    assert numbers == [1, 2, 3]
    assert stats.as_json()["highest_concurrency"] == 1


def test_each_kind_of_request_and_sign_in_is_counted(signed_in: Client) -> None:
    cabinet = signed_in.cabinet
    signed_in.list()
    signed_in.list()
    signed_in.form("CaLztv", 31)
    signed_in.selector("CaLztv", on=True)
    signed_in.get("/")
    signed_in.get("/gwt/enterprise/2613189773/")
    signed_in.get("/vpbxGwt/vpbxGwt.nocache.js")
    signed_in.get(f"/vpbxGwt/{cabinet.deployment.permutations[0]}.cache.js")
    signed_in.get("/login")
    signed_in.get("/favicon.ico")
    signed_in.call("EnterpriseBrowserGwtService", "7|0|0|")
    wrong = {"j_username": cabinet.account("shop").login, "j_password": "wrong"}
    signed_in.post("/j_spring_security_check", data=wrong)
    signed_in.post("/j_spring_security_check", data={"j_username": "nobody", "j_password": ""})
    counts = cabinet.stats()
    assert counts["requests"] == {
        "sign_in": 3,
        "list": 2,
        "details": 1,
        "selector": 1,
        "home": 1,
        "enterprise": 1,
        "nocache": 1,
        "permutation": 1,
        "login_page": 1,
        "other": 2,
    }
    assert (counts["sign_ins"], counts["refused_sign_ins"], counts["sessions"]) == (1, 2, 1)
    assert counts["accounts"]["shop"]["refused_sign_ins"] == 1
    assert counts["connections"] == 1


def test_a_call_that_is_refused_counts_as_what_it_meant_to_be(signed_in: Client) -> None:
    signed_in.list(signature="1")
    assert signed_in.cabinet.stats()["requests"]["list"] == 1
