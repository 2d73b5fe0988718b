from __future__ import annotations

from typing import TYPE_CHECKING

from vats_exporter.demo.stats import Stats

if TYPE_CHECKING:
    from tests.demo.browser import Client


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
