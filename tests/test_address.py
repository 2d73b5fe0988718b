"""Addresses of cabinets, of proxies and of the exporter: what may be written, and what it is."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.address import (
    ListenAddress,
    parse_address,
    parse_external_url,
    parse_listen_address,
    parse_prefix,
    parse_proxy,
    proxy_of_environment,
    systemd_addresses,
)


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


# -- addresses to listen on


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9742", "", 9742),
        ("127.0.0.1:9742", "127.0.0.1", 9742),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:9742", "::1", 9742),
        ("[::]:65535", "::", 65535),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        ("metrics.example.org:80", "metrics.example.org", 80),
    ],
)
def test_addresses_are_read_as_exporters_write_them(text: str, host: str, port: int) -> None:
    address = parse_listen_address(text)
    assert address == ListenAddress(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "port from 0 to 65535"),
        ("9742", "port from 0 to 65535"),
        ("localhost", "port from 0 to 65535"),
        (":", "port from 0 to 65535"),
        (":http", "port from 0 to 65535"),
        (":65536", "port from 0 to 65535"),
        (":000000", "port from 0 to 65535"),
        (":-1", "port from 0 to 65535"),
        (":٣", "port from 0 to 65535"),
        ("::1:9742", r"write \"\[::1\]:9742\""),
        ("2001:db8::1", r"write \"\[2001:db8::1\]:9742\""),
        ("fe80::1%eth0:80", r"write \"\[fe80::1%eth0\]:80\""),
        ("[::g]:9742", "not an address"),
        ("[]:9742", "not an address"),
        ("[127.0.0.1]:9742", "not an address"),
        ("http://localhost:9742", "is a URL; write only where to listen"),
        ("https://example.org/vats", "--web.external-url"),
        ("a:b:9742", "not an address"),
        ("a b:9742", "not an address"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_listen_address(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize("text", ["user@host:9742", "http://u:geheim@host:9742", "geheim@"])
def test_an_address_that_may_hold_a_password_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="without a user") as caught:
        parse_listen_address(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (":9742", "http://localhost:9742"),
        ("0.0.0.0:9742", "http://127.0.0.1:9742"),
        ("[::]:9742", "http://[::1]:9742"),
        ("[::1]:9742", "http://[::1]:9742"),
        ("exporter:80", "http://exporter:80"),
    ],
)
def test_the_url_reaches_the_address_from_this_machine(text: str, url: str) -> None:
    assert f"http://{parse_listen_address(text).reached}" == url


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("text", [":0", "[::]:0"])
def test_all_addresses_are_those_of_every_family_the_machine_has(text: str) -> None:
    if text != ":0" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with parse_listen_address(text).listen() as listener:
        port = listener.getsockname()[1]
        assert connects("127.0.0.1", port)
        assert connects("::1", port) == (listener.family == socket.AF_INET6)


def test_one_address_listens_on_it_alone() -> None:
    with parse_listen_address("127.0.0.1:0").listen() as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_server

    def create(address: tuple[str, int], *, family: int, **options: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(address, family=family, backlog=5)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: True)
    monkeypatch.setattr(socket, "create_server", create)
    with parse_listen_address(":0").listen() as listener:
        assert listener.family == socket.AF_INET


IN_A_CHILD = """
import os, socket, sys
from tests.web.clients import passed_by_systemd
from vats_exporter.address import systemd_addresses
{body}
"""


def in_a_child(body: str) -> str:
    """Run some lines where descriptors can be put anywhere."""
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_CHILD.format(body=body)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    return ended.stdout


def test_sockets_that_systemd_passes_are_listened_on() -> None:
    told = in_a_child(
        """
first, second = (socket.create_server((host, 0)) for host in ("127.0.0.1", "127.0.0.2"))
ports = [one.getsockname()[1] for one in (first, second)]
addresses = systemd_addresses(passed_by_systemd(first, second))
assert [str(one) for one in addresses] == [f"127.0.0.{n}:{p}" for n, p in zip((1, 2), ports)]
assert not os.get_inheritable(3)
with addresses[1].listen() as listening:
    socket.create_connection(("127.0.0.2", ports[1])).close()
    print(listening.accept()[0].getsockname()[0])
"""
    )
    assert told == "127.0.0.2\n"


def test_a_socket_that_is_not_tcp_is_refused() -> None:
    told = in_a_child(
        """
near, far = socket.socketpair()
try:
    systemd_addresses(passed_by_systemd(near))
except ValueError as error:
    print(error)
"""
    )
    assert "not TCP" in told


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_without_a_socket_of_systemds_there_is_a_sentence(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="systemd passed no socket"):
        systemd_addresses(environment)


# -- the URL and the prefix under which clients find the exporter


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("/vats", "/vats"),
        ("vats/", "/vats"),
        ("/a/b/", "/a/b"),
    ],
)
def test_a_prefix_has_a_slash_before_it_and_none_after_it(text: str, prefix: str) -> None:
    assert parse_prefix(text) == prefix


@pytest.mark.parametrize("text", ["/a//b", "/a?b", "/a b", "/а", "/a/#"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as"):
        parse_prefix(text)


@pytest.mark.parametrize(
    ("text", "url", "path"),
    [
        ("https://example.org", "https://example.org", ""),
        ("http://example.org:8080/", "http://example.org:8080", ""),
        ("https://example.org/vats/", "https://example.org/vats", "/vats"),
        ("https://[2001:db8::1]/a/b", "https://[2001:db8::1]/a/b", "/a/b"),
    ],
)
def test_an_external_url_ends_without_a_slash(text: str, url: str, path: str) -> None:
    assert parse_external_url(text) == url
    assert urlsplit(url).path == path


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "/vats",
        "ftp://example.org",
        "https://",
        "https://example.org/?a=b",
        "https://example.org/#top",
        "https://example.org:port",
        "https://[example.org",
    ],
)
def test_what_is_no_external_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a URL such as"):
        parse_external_url(text)


def test_an_external_url_holds_no_password_and_the_refusal_does_not_quote_it() -> None:
    with pytest.raises(ValueError, match="must not hold a password") as caught:
        parse_external_url("https://prometheus:hunter2@example.org/")
    assert "hunter2" not in str(caught.value)
