"""What may be written for a cabinet's address, and what it is read as."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.address import parse_address, parse_proxy, proxy_of_environment


@pytest.mark.parametrize(
    ("written", "base_url"),
    [
        ("vpbx.mts.ru", "https://vpbx.mts.ru"),
        (" vpbx.mts.ru ", "https://vpbx.mts.ru"),
        ("vpbx.mts.ru:8443", "https://vpbx.mts.ru:8443"),
        ("https://vpbx.mts.ru", "https://vpbx.mts.ru"),
        ("https://VPBX.mts.ru/", "https://vpbx.mts.ru"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_address_is_read(written: str, base_url: str) -> None:
    assert parse_address(written) == base_url


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("https://", "no host"),
        ("https://:443", "no host"),
        ("vpbx.mts.ru:0", "port"),
        ("vpbx.mts.ru:65536", "not an address"),
        ("vpbx.mts.ru:https", "not an address"),
        ("https://[::1", "not an address"),
        ("ftp://vpbx.mts.ru", "https:// and http://"),
        ("https://login:geheim@vpbx.mts.ru", "login and password"),
        ("https://vpbx.mts.ru/vpbxGwt/", "without a path"),
        ("https://vpbx.mts.ru?a=b", "without a path"),
        ("https://vpbx.mts.ru#top", "without a path"),
        ("https://login:geheim/word@vpbx.mts.ru", "not an address"),
        ("https://login:geheim?word@vpbx.mts.ru", "not an address"),
        ("https://login:geheim#word@vpbx.mts.ru", "not an address"),
        ("2001:db8::1", "IPv6"),
        ("vpbx mts ru", "blanks"),
        ("vpbx.mts.ru\nHost: other", "blanks"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_address(written)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["vpbx.mts.ru", "10.0.0.1", "localhost.mts.ru", "127.0.0.1.mts.ru", "[fd00::1]"]
)
def test_plain_http_is_for_loopback_unless_it_is_allowed(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        parse_address(f"http://{host}:8080")
    assert parse_address(f"http://{host}:8080", allow_plain_http=True) == f"http://{host}:8080"


@given(st.text(max_size=60) | st.text("htps:/@[]?#.%0a1:", max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        base_url = parse_address(text)
        assert parse_address(base_url, allow_plain_http=True) == base_url


@pytest.mark.parametrize(
    ("written", "url", "credential"),
    [
        ("proxy.local", "http://proxy.local:3128", ""),
        ("http://proxy.local:8080/", "http://proxy.local:8080", ""),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080", ""),
        ("http://user:p%40ss@proxy.local:80", "http://proxy.local:80", "dXNlcjpwQHNz"),
        ("user:pass@proxy.local", "http://proxy.local:3128", "dXNlcjpwYXNz"),
    ],
)
def test_a_proxy_is_read_with_what_it_is_to_be_told(
    written: str, url: str, credential: str
) -> None:
    proxy = parse_proxy(written)
    assert proxy.url == url
    expected = {"Proxy-Authorization": f"Basic {credential}"} if credential else {}
    assert proxy.headers == expected
    assert "dXNlcjpw" not in repr(proxy)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "empty"),
        ("socks5://proxy.local:1080", "only http:// proxies"),
        ("https://proxy.local:3128", "only http:// proxies"),
        ("http://user:geheim@", "no host"),
        ("http://user:geheim@proxy.local/path", "without a path"),
        ("http://user:geheim@proxy.local:port", "not an address"),
    ],
)
def test_what_is_no_proxy_is_refused_with_the_reason(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_proxy(written)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "base_url", "url"),
    [
        ({}, "https://vpbx.mts.ru", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://vpbx.mts.ru", "http://p:1"),
        ({"https_proxy": "p:1"}, "https://vpbx.mts.ru", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://vpbx.mts.ru", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://vpbx.mts.ru", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https://vpbx.mts.ru", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "mts.ru"}, "https://vpbx.mts.ru", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://vpbx.mts.ru", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other"}, "https://vpbx.mts.ru", "http://p:1"),
    ],
)
def test_the_environment_is_read_as_everywhere(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], base_url: str, url: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_of_environment(base_url)
    assert (found.url if found else None) == url
