"""Sign-in, redirects and scripts, over real HTTP; and the truth and changes under ``/_demo/``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.demo.browser import answer, refs
from tests.demo.captures import capture, truth
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.demo.cabinet import REFUSED

if TYPE_CHECKING:
    from tests.demo.browser import Client
    from tests.demo.conftest import Clock

ENTERPRISE = "/gwt/enterprise/2613189773/"


def test_whoever_has_no_session_is_sent_to_the_login_page(client: Client) -> None:
    for path in ("/", ENTERPRISE):
        response = client.get(path)
        assert (response.status_code, response.headers["Location"]) == (302, "/login")


def test_a_call_without_a_session_is_sent_to_the_login_page(client: Client) -> None:
    response = client.list()
    assert (response.status_code, response.headers["Location"]) == (302, "/login")
    page = client.get("/login")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text == capture("login_page")


def test_the_login_page_tells_of_a_refused_login(client: Client) -> None:
    assert f"var lastError = '{REFUSED}';" in client.get("/login?error").text


def test_the_applications_page_escapes_the_login(signed_in: Client) -> None:
    signed_in.cabinet.account("shop").login = "<+7>"
    assert "&lt;+7&gt;" in signed_in.get(ENTERPRISE).text


def test_a_sign_in_sets_a_cookie_and_leads_to_the_enterprise(client: Client) -> None:
    response = client.sign_in(client.cabinet.account("shop"))
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("JSESSIONID=")
    assert "HttpOnly" in cookie
    home = client.get("/")
    assert (home.status_code, home.headers["Location"]) == (302, ENTERPRISE)
    page = client.get(ENTERPRISE)
    assert page.status_code == 200
    assert "/vpbxGwt/vpbxGwt.nocache.js" in page.text


def test_following_the_redirects_of_a_refused_login_ends_in_200_and_html(client: Client) -> None:
    form = {"j_username": "+7-9160000001", "j_password": "wrong"}
    response = client.post("/j_spring_security_check", data=form, allow_redirects=True)
    assert response.status_code == 200
    assert response.url == f"{client.cabinet.url}/login?error"
    assert 'name="j_password"' in response.text


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("+7-9160000001", ""),
        ("+7-9160000001", "P+ä s&w=%7C|"),
        ("+7-9160000002", "p+ä s&w=%7C|"),
        ("", ""),
    ],
)
def test_a_wrong_login_or_password_begins_no_session(
    client: Client, login: str, password: str
) -> None:
    form = {"j_username": login, "j_password": password}
    response = client.post("/j_spring_security_check", data=form)
    assert response.headers["Location"] == "/login?error"
    assert client.get("/").headers["Location"] == "/login"


def test_a_plus_that_is_not_encoded_is_a_blank_and_so_another_login(client: Client) -> None:
    account = client.cabinet.account("shop")
    account.password = "plain"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for login, leads_to in (("+7-9160000001", "/login?error"), ("%2B7-9160000001", "/")):
        body = f"j_username={login}&j_password=plain"
        response = client.post("/j_spring_security_check", data=body, headers=headers)
        assert response.headers["Location"] == leads_to


def test_a_sign_in_that_is_no_form_is_refused(client: Client) -> None:
    account = client.cabinet.account("shop")
    form = {"j_username": account.login, "j_password": account.password}
    response = client.post("/j_spring_security_check", json=form)
    assert response.headers["Location"] == "/login?error"


def test_the_login_pages_cookie_is_no_session(client: Client) -> None:
    page = client.get("/login")
    assert page.headers["Set-Cookie"].startswith("JSESSIONID=")
    assert client.get("/").headers["Location"] == "/login"


def test_a_session_is_of_its_account_only(client: Client) -> None:
    with (
        SimulatedCabinet(make_accounts(2, trunks=1)) as cabinet,
        requests.Session() as session,
    ):
        other = replace(client, cabinet=cabinet, http=session)
        first, second = cabinet.accounts
        other.sign_in(first)
        assert other.get(f"/gwt/enterprise/{first.enterprise.number}/").status_code == 200
        assert other.get(f"/gwt/enterprise/{second.enterprise.number}/").status_code == 403


@pytest.mark.parametrize(
    ("header", "leads_to"),
    [
        ("JSESSIONID={}", ENTERPRISE),
        ("a=b=c; JSESSIONID={}", ENTERPRISE),
        ("XJSESSIONID={}", "/login"),
        ("jsessionid={}", "/login"),
    ],
)
def test_a_session_is_found_by_its_cookies_whole_name(
    signed_in: Client, header: str, leads_to: str
) -> None:
    (cookie,) = signed_in.cabinet.sessions
    signed_in.http.cookies.clear()
    home = signed_in.get("/", headers={"Cookie": header.format(cookie)})
    assert home.headers["Location"] == leads_to


def test_sessions_can_be_ended(signed_in: Client) -> None:
    assert signed_in.cabinet.end_sessions() == 1
    assert signed_in.list().status_code == 302


def test_a_changed_password_ends_sessions_and_refuses_the_old_one(signed_in: Client) -> None:
    account = signed_in.cabinet.account("shop")
    old = account.password
    signed_in.cabinet.change_password("shop", "новый")
    assert signed_in.list().status_code == 302
    form = {"j_username": account.login, "j_password": old}
    refused = signed_in.post("/j_spring_security_check", data=form)
    assert refused.headers["Location"] == "/login?error"
    assert signed_in.sign_in(account).headers["Location"] == "/"


def test_the_scripts_name_what_a_client_needs(client: Client) -> None:
    selection = client.get("/vpbxGwt/vpbxGwt.nocache.js")
    assert selection.status_code == 200
    for permutation in truth("nocache_five")["permutations"]:
        assert permutation in selection.text
        script = client.get(f"/vpbxGwt/{permutation}.cache.js")
        assert "'AbonentBrowserGwtService','21569811FFF8DC732A4EE4D289FA66D3'" in script.text


def test_an_old_permutation_is_gone_after_a_redeployment(client: Client) -> None:
    old = client.cabinet.deployment.permutations[0]
    client.cabinet.redeploy()
    assert client.get(f"/vpbxGwt/{old}.cache.js").status_code == 404
    assert old not in client.get("/vpbxGwt/vpbxGwt.nocache.js").text


def test_two_redeployments_never_bring_the_same_names(client: Client) -> None:
    seen: list[str] = []
    for _ in range(3):
        seen += client.cabinet.deployment.permutations
        client.cabinet.redeploy()
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    "path", ["/favicon.ico", "/vpbxGwt/", "/vpbxGwt/other.js", "/vpbxGwt/OtherService", "/gwt/"]
)
def test_what_is_not_there_is_not_found(signed_in: Client, path: str) -> None:
    assert signed_in.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/login"),
        ("GET", "/j_spring_security_check"),
        ("POST", "/vpbxGwt/vpbxGwt.nocache.js"),
        ("GET", "/vpbxGwt/AbonentBrowserGwtService"),
    ],
)
def test_a_method_that_does_not_fit_is_not_allowed(
    signed_in: Client, method: str, path: str
) -> None:
    assert signed_in.request(method, path).status_code == 405


def test_a_long_answer_is_compressed_for_those_who_accept_it(signed_in: Client) -> None:
    payload = signed_in.list_payload()
    service = "AbonentBrowserGwtService"
    accepted = signed_in.call(service, payload, Accept_Encoding="gzip, deflate")
    plain = signed_in.call(service, payload, Accept_Encoding="identity")
    assert accepted.headers["Content-Encoding"] == "gzip"
    assert int(accepted.headers["Content-Length"]) < len(plain.content)
    assert accepted.content == plain.content
    assert "Content-Encoding" not in plain.headers


def test_a_short_answer_is_not_compressed(signed_in: Client) -> None:
    response = signed_in.form("CaL0AG", 32)
    assert len(response.content) < 256
    assert "Content-Encoding" not in response.headers


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
