"""The truth and the changes by hand under ``/_demo/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.demo.browser import answer, refs
from tests.demo.captures import truth
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from tests.demo.browser import Client
    from tests.demo.conftest import Clock


def shown(client: Client) -> dict[str, dict[str, Any]]:
    return {trunk["ref"]: trunk for trunk in client.get("/_demo/trunks").json()["trunks"]}


def test_the_truth_is_that_of_the_captures(client: Client) -> None:
    trunks = shown(client)
    for row in truth("list_page3")["rows"]:
        trunk = trunks[row["id_b64"]]
        assert trunk["account"] == "shop"
        assert trunk["id"] == row["id"]
        assert trunk["phone"] == row["phone"]
        assert trunk["name"] == row["name"]
        assert trunk["active"] is row["active"]
        assert trunk["bound"] is row["bound"]
        assert trunk["marked_for_deletion"] is row["marked"]
    assert [trunks[ref]["pattern"] for ref in ("CaLztv", "CaLzzS")] == ["1100", "0011"]


def test_the_truth_has_its_time_and_no_credentials(client: Client, clock: Clock) -> None:
    response = client.get("/_demo/trunks")
    assert response.json()["at"] == clock.now
    assert "sip_9161234570" not in response.text.replace("mobsip_9161234570", "")
    assert "Invch3j2r05c" not in response.text


def test_the_truth_can_be_that_of_one_account() -> None:
    with SimulatedCabinet(make_accounts(2, trunks=3)) as cabinet, requests.Session() as session:
        response = session.get(f"{cabinet.url}/_demo/trunks?account=demo-2", timeout=10)
        assert response.json()["trunks"] == cabinet.trunks("demo-2")
        assert len(cabinet.trunks("demo-2")) == 3
        assert len(cabinet.trunks()) == 6
        other = session.get(f"{cabinet.url}/_demo/trunks?account=demo-3", timeout=10)
        assert (other.status_code, other.json()) == (404, {"error": "no account demo-3"})


def test_the_counts_are_shown_and_looking_is_not_counted(client: Client) -> None:
    for _ in range(2):
        counts = client.get("/_demo/stats").json()
    assert counts == client.cabinet.stats()
    assert counts["requests"] == {}
    assert counts["highest_concurrency"] == 0


def test_a_trunk_can_be_changed_by_phone(signed_in: Client, clock: Clock) -> None:
    clock.now += 10
    change = {"active": False, "marked_for_deletion": True, "name": "Пост 1"}
    response = signed_in.post("/_demo/trunks/79161234570", json=change)
    assert response.status_code == 200
    trunk = shown(signed_in)["CaLztv"]
    assert trunk == response.json()
    assert trunk["pattern"] == "0111"
    assert trunk["name"] == "Пост 1"
    assert trunk["changed_at"] == clock.now
    row = answer(signed_in.list())
    at = row.tokens.index("CaLztv")
    assert row.tokens[at + 4] == 0
    assert "Пост 1" in row.string_table


def test_a_selector_can_be_moved_by_phone(client: Client) -> None:
    client.post("/_demo/trunks/79161234680", json={"sip_device_enabled": False})
    assert shown(client)["CaL0H_"]["sip_device_enabled"] is False


def test_a_trunk_can_be_removed_and_another_added() -> None:
    with SimulatedCabinet(make_accounts(trunks=3)) as cabinet, requests.Session() as session:
        phone = cabinet.trunks()[0]["phone"]
        url = f"{cabinet.url}/_demo/trunks"
        assert session.delete(f"{url}/{phone}", timeout=10).json()["phone"] == phone
        added = session.post(url, json={"account": "demo"}, timeout=10).json()
        phones = [trunk["phone"] for trunk in cabinet.trunks()]
        assert phone not in phones
        assert phones[-1] == added["phone"]
        assert len(phones) == 3


def test_a_redeployment_by_hand_changes_the_permutations(client: Client) -> None:
    old = client.cabinet.deployment.permutations
    new = client.post("/_demo/redeploy").json()["permutations"]
    assert tuple(new) == client.cabinet.deployment.permutations != old


def test_sessions_can_be_ended_by_hand(signed_in: Client) -> None:
    response = signed_in.post("/_demo/end-sessions", json={"account": "shop"})
    assert response.json() == {"ended": 1}
    assert signed_in.list().status_code == 302
    assert signed_in.post("/_demo/end-sessions").json() == {"ended": 0}


def test_a_password_can_be_changed_by_hand(signed_in: Client) -> None:
    account = signed_in.cabinet.account("shop")
    signed_in.post("/_demo/password", json={"account": "shop", "password": "other"})
    assert account.password == "other"
    assert signed_in.list().status_code == 302


def test_the_pace_of_life_can_be_changed_by_hand(client: Client, clock: Clock) -> None:
    enterprise = client.cabinet.account("shop").enterprise
    assert client.post("/_demo/pace", json={"seconds": 5}).json() == {"seconds": 5}
    before = enterprise.trunks()
    clock.now += 5
    assert enterprise.trunks() != before


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("trunks/79161234570", b"{", "not a JSON object"),
        ("trunks/79161234570", b"\xff", "not a JSON object"),
        ("trunks/79161234570", b"[]", "not a JSON object"),
        ("trunks/79161234570", b'{"active": 1}', "active: missing, or of the wrong type"),
        ("trunks/79161234570", b'{"name": false}', "name: missing, or of the wrong type"),
        ("trunks/79161234570", b'{"colour": 1}', "colour: can't be changed"),
        ("trunks/79161234570", b'{"sip_device_enabled": true}', "has no SIP device"),
        ("trunks", b"{}", "account: missing"),
        ("password", b'{"account": "shop"}', "password: missing"),
        ("pace", b'{"seconds": true}', "seconds: missing, or of the wrong type"),
        ("pace", b'{"seconds": -1}', "a pace is 0"),
        ("pace", b'{"seconds": 1e999}', "a pace is 0"),
        ("pace", b'{"seconds": 1%s}' % (b"0" * 400), "a pace is 0"),
    ],
)
def test_a_change_that_makes_no_sense_says_why_and_changes_nothing(
    client: Client, path: str, body: bytes, error: str
) -> None:
    before = client.cabinet.trunks()
    response = client.post(f"/_demo/{path}", data=body)
    assert response.status_code == 400
    assert error in response.json()["error"]
    assert client.cabinet.trunks() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "other"),
        ("GET", "trunks/79161234570"),
        ("POST", "other"),
        ("POST", "redeploy/now"),
        ("POST", "trunks/79990000000"),
        ("DELETE", "trunks/79990000000"),
        ("DELETE", "trunks"),
        ("DELETE", "stats"),
    ],
)
def test_what_can_not_be_done_is_not_found(client: Client, method: str, path: str) -> None:
    response = client.request(method, f"/_demo/{path}")
    assert response.status_code == 404
    assert response.json()["error"]


def test_the_truth_is_for_people_too(client: Client) -> None:
    response = client.get("/_demo/trunks")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Соколова Эльдар" in response.text


def test_an_account_that_is_not_there_is_not_found(client: Client) -> None:
    for path in ("end-sessions", "trunks", "password"):
        body = {"account": "other", "password": ""}
        assert client.post(f"/_demo/{path}", json=body).status_code == 404


def test_every_trunk_of_the_truth_is_in_the_list(signed_in: Client) -> None:
    assert refs(signed_in.list()) == list(shown(signed_in))
