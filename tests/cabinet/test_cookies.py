"""What a browser sends back goes back; what is kept is bounded, and what is not kept says why."""

from __future__ import annotations

import http.client
from email.message import Message
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.request import Request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.cabinet.cookies import CookieRules

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

URL = "http://127.0.0.1:8080/j_spring_security_check"
HOME = "http://127.0.0.1:8080/"


def answered(*cookies: str, url: str = URL, jar: CookieJar | None = None) -> CookieJar:
    jar = CookieRules().jar if jar is None else jar
    head = Message()
    for cookie in cookies:
        head["Set-Cookie"] = cookie
    jar.extract_cookies(
        cast("http.client.HTTPResponse", SimpleNamespace(info=lambda: head)), Request(url)
    )
    return jar


def sent(jar: CookieJar, url: str) -> str:
    """The header with the cookies that go to an address."""
    request = Request(url)
    jar.add_cookie_header(request)
    return request.get_header("Cookie") or ""


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "; Path=/",
        "; HttpOnly; SameSite=Lax",
        "; Version=1",
        '; Version=1; Path="/"',
        "; Version=2; Path=/",
        "; Path=no-path",
        "; Domain=127.0.0.1",
        "; Max-Age=3600",
    ],
)
def test_what_a_browser_sends_back_is_sent_back(attributes: str) -> None:
    rules = CookieRules()
    jar = answered(f"JSESSIONID=abc123{attributes}", jar=rules.jar)
    assert sent(jar, HOME) == "JSESSIONID=abc123"
    assert rules.lost == {}
    assert [cookie.value for cookie in jar] == ["abc123"]


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ("; Secure", "marked Secure, and the address begins with http://"),
        ("; Domain=other.example", r"another host (Domain)"),
        ("; Path=/elsewhere", r"another path (Path)"),
        ("x" * 5000, "longer than 4096 characters"),
    ],
)
def test_a_cookie_that_is_lost_says_why(attributes: str, says: str) -> None:
    rules = CookieRules()
    assert sent(answered(f"JSESSIONID=abc123{attributes}", jar=rules.jar), HOME) == ""
    assert says in rules.lost["JSESSIONID"]


def test_a_cookie_for_a_part_of_the_host_goes_there_alone() -> None:
    jar = answered("a=root; Path=/")
    answered("a=part; Path=/part", url=f"{HOME}part/page", jar=jar)
    assert sent(jar, HOME) == "a=root"
    assert sent(jar, f"{HOME}part/other") == "a=part; a=root"


def test_a_secure_cookie_goes_back_over_tls() -> None:
    jar = answered("a=b; Secure", url="https://vpbx.mts.ru/")
    assert sent(jar, "https://vpbx.mts.ru/") == "a=b"


def test_a_cookie_that_is_taken_back_is_gone() -> None:
    jar = answered("a=b; Path=/")
    answered("a=; Path=/; Max-Age=0", jar=jar)
    assert sent(jar, HOME) == ""


def test_what_is_kept_is_bounded_and_one_that_is_kept_can_be_renewed() -> None:
    jar = answered(*(f"c{number}=x" for number in range(60)), "c0=new", "long=" + "x" * 5000)
    assert len(jar) == 50
    assert "c0=new" in sent(jar, HOME)
    assert "long" not in sent(jar, HOME)


@settings(deadline=None)
@given(st.lists(st.text('abc=;, "\\/Pathdominsecuexrx-0123456789', max_size=40), max_size=6))
def test_any_cookie_is_kept_or_not_and_raises_nothing(cookies: list[str]) -> None:
    jar = answered(*cookies)
    sent(jar, HOME)


@pytest.mark.parametrize("path", ["/{number}", "/{number}/{number}"])
def test_the_same_name_for_many_paths_is_many_cookies(path: str) -> None:
    jar = CookieRules().jar
    for number in range(90):
        below = path.replace("{number}", str(number))
        answered(f"a=x; Path={below}", url=f"http://127.0.0.1:8080{below}", jar=jar)
    assert len(jar) == 50


@pytest.mark.parametrize("attribute", ["Path=/{}", "Comment={}", "Unknown={}", "{}=unknown"])
def test_a_cookie_with_a_long_attribute_is_not_kept(attribute: str) -> None:
    long = "x" * 5000
    jar = answered("a=b; " + attribute.replace("{}", long), "c=d", url=HOME + long)
    assert (len(jar), sent(jar, HOME)) == (1, "c=d")
