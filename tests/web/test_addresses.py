"""Where to listen."""

from __future__ import annotations

import errno
import socket

import pytest

from vats_exporter.web import ListenAddress, parse_listen_address


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
        ("", "no port"),
        ("9742", "no port"),
        ("localhost", "no port"),
        (":", "port from 0 to 65535"),
        (":http", "port from 0 to 65535"),
        (":65536", "port from 0 to 65535"),
        (":-1", "port from 0 to 65535"),
        (":٣", "port from 0 to 65535"),
        ("::1:9742", r"write it as \"\[::1\]:9742\""),
        ("[::g]:9742", "no IPv6 address"),
        ("[127.0.0.1]:9742", "no IPv6 address"),
        ("http://localhost:9742", "IPv6|not an address"),
        ("a b:9742", "not an address"),
        ("user@host:9742", "not an address"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_listen_address(text)
    assert f'"{text}"' in str(caught.value)


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
    assert parse_listen_address(text).url == url


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_no_host_listens_on_every_family_the_machine_has() -> None:
    with parse_listen_address(":0").listen() as listener:
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


def test_a_port_in_use_is_an_error() -> None:
    with parse_listen_address(":0").listen() as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            parse_listen_address(f":{port}").listen()
