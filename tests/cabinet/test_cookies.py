"""Cookies go back as browsers send them; one that does not is explained."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse
from urllib3._collections import HTTPHeaderDict

from vats_exporter.cabinet.cookies import Cookies

URL = "http://127.0.0.1:8080/j_spring_security_check"
HOME = "http://127.0.0.1:8080/"


def answered(*cookies: str, url: str = URL, jar: Cookies | None = None) -> Cookies:
    jar = jar or Cookies()
    headers = HTTPHeaderDict([("Set-Cookie", cookie) for cookie in cookies])
    jar.take(HTTPResponse(headers=headers, preload_content=False), url)
    return jar


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
    jar = answered(f"JSESSIONID=abc123{attributes}")
    assert jar.header(HOME) == "JSESSIONID=abc123"
    assert jar.lost(HOME) == ""
    assert jar.values() == ["abc123"]


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ("; Secure", "marked Secure, and the address begins with http://"),
        ("; Domain=other.example", r"another host \(Domain\)"),
        ("; Path=/elsewhere", r"another path \(Path\)"),
    ],
)
def test_a_cookie_that_is_lost_says_why(attributes: str, says: str) -> None:
    jar = answered(f"JSESSIONID=abc123{attributes}")
    assert jar.header(HOME) == ""
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(jar.lost(HOME))
    jar.forget()
    assert jar.lost(HOME) == ""


def test_a_secure_cookie_goes_back_over_tls() -> None:
    jar = answered("a=b; Secure", url="https://vpbx.mts.ru/")
    assert jar.header("https://vpbx.mts.ru/") == "a=b"


def test_a_cookie_that_is_taken_back_is_gone() -> None:
    jar = answered("a=b; Path=/")
    answered("a=; Path=/; Max-Age=0", jar=jar)
    assert jar.header(HOME) == ""


def test_what_is_kept_is_bounded_and_one_that_is_kept_can_be_renewed() -> None:
    jar = answered(*(f"c{number}=x" for number in range(60)), "c0=new", "long=" + "x" * 5000)
    assert len(jar) == 50
    assert "c0=new" in jar.header(HOME)
    assert "long" not in jar.header(HOME)


@given(st.lists(st.text('abc=;, "\\/Pathdominsecuexrx-0123456789', max_size=40), max_size=6))
def test_any_cookie_is_kept_or_not_and_raises_nothing(cookies: list[str]) -> None:
    jar = answered(*cookies)
    jar.header(HOME)
    jar.lost(HOME)
