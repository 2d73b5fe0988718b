"""Bodies are read whole or refused, and cookies go back to their host; both within bounds."""

from __future__ import annotations

import contextlib
import gzip
import io
from email.message import Message
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.request import Request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.cabinet.answers import CookieRules, read_body
from vats_exporter.cabinet.errors import UndecodableError

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from http.cookiejar import CookieJar


class Pieces:
    """A source that gives as much as it is asked for at most, and counts it."""

    def __init__(self, data: bytes, encoding: str = "", at_once: int = 1 << 20) -> None:
        self.headers = {"content-encoding": encoding}
        self.length = None
        self.stream = io.BytesIO(data)
        self.at_once = at_once
        self.given = 0

    def read(self, amt: int) -> bytes:
        piece = self.stream.read(min(amt, self.at_once))
        self.given += len(piece)
        return piece


def read(data: bytes, encoding: str = "", *, limit: int = 1 << 20, at_once: int = 1 << 20) -> bytes:
    return whole(Pieces(data, encoding, at_once), limit)


def whole(source: Pieces, limit: int) -> bytes:
    return read_body(cast("HTTPResponse", source), limit=limit, where="list: host")


@given(st.binary(max_size=5000), st.integers(1, 700), st.integers(0, 9))
def test_what_was_packed_is_unpacked_whatever_the_pieces(
    body: bytes, at_once: int, level: int
) -> None:
    packed = gzip.compress(body, level)
    assert read(packed, "gzip", at_once=at_once) == body
    assert read(packed, " X-GZIP ", at_once=at_once) == body
    assert read(body, at_once=at_once) == body


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 99))
def test_members_of_a_packed_body_are_joined(bodies: list[bytes], at_once: int) -> None:
    packed = b"".join(gzip.compress(body) for body in bodies)
    assert read(packed, "gzip", at_once=at_once) == b"".join(bodies)


@given(st.data(), st.binary(min_size=1, max_size=500))
def test_a_packed_body_that_is_cut_off_is_refused(data: st.DataObject, body: bytes) -> None:
    packed = gzip.compress(body)
    length = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(UndecodableError, match="cut off"):
        read(packed[:length], "gzip")


@given(st.binary(max_size=300), st.sampled_from(["gzip", "identity", "br", "deflate", "x"]))
def test_any_bytes_are_a_body_or_undecodable(data: bytes, encoding: str) -> None:
    with contextlib.suppress(UndecodableError):
        read(data, encoding)


def test_nothing_is_an_empty_body_whatever_the_encoding() -> None:
    for encoding in ("", "identity", "gzip", "br"):
        assert read(b"", encoding) == b""


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_bound_is_exact(encoding: str) -> None:
    body = b"x" * 200_000
    sent = gzip.compress(body) if encoding else body
    assert read(sent, encoding, limit=200_000) == body
    with pytest.raises(UndecodableError, match="longer than 199999 bytes"):
        read(sent, encoding, limit=199_999)


def test_little_is_read_past_the_bound() -> None:
    source = Pieces(bytes(10_000_000))
    with pytest.raises(UndecodableError):
        whole(source, 100_000)
    assert source.given < 200_000


def test_a_bomb_is_noticed_early() -> None:
    packed = gzip.compress(bytes(100_000_000))
    source = Pieces(packed, "gzip", at_once=1000)
    with pytest.raises(UndecodableError, match="longer than 1000000 bytes"):
        whole(source, 1_000_000)
    assert source.given < len(packed) / 20


def test_an_error_says_where() -> None:
    with pytest.raises(UndecodableError, match=r"^list: host: "):
        read(b"no gzip", "gzip")


# -- cookies

URL = "http://127.0.0.1:8080/j_spring_security_check"
HOME = "http://127.0.0.1:8080/"


def answered(*cookies: str, url: str = URL, jar: CookieJar | None = None) -> CookieJar:
    jar = CookieRules().jar if jar is None else jar
    head = Message()
    for cookie in cookies:
        head["Set-Cookie"] = cookie
    jar.extract_cookies(cast("HTTPResponse", SimpleNamespace(info=lambda: head)), Request(url))
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
        "; Secure",
        "; Domain=other.example",
        "; Path=/elsewhere",
    ],
)
def test_a_cookie_goes_back_whatever_it_says(attributes: str) -> None:
    jar = answered(f"JSESSIONID=abc123{attributes}")
    assert sent(jar, HOME) == "JSESSIONID=abc123"
    assert [cookie.value for cookie in jar] == ["abc123"]


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
