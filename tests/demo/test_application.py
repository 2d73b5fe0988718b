"""Sign-in, redirects and scripts, over real HTTP, and what is counted of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from tests.demo.captures import capture, truth
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.demo.application import REFUSED

if TYPE_CHECKING:
    from tests.demo.browser import Client

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
