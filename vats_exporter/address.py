"""Addresses of cabinets, proxies and the exporter itself, as people write them.

The functions that read one raise a :class:`ValueError` with one sentence, which does not quote what
may hold a password.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

PROXY_PORT: Final = 3128
PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
_LOCAL: Final = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to reach it
_IPV4: Final = {"": "0.0.0.0", "::": "0.0.0.0"}  # noqa: S104 - it is asked for
_FIRST_DESCRIPTOR: Final = 3  # of those that systemd passes [sd_listen_fds(3)]
_LISTEN: Final = re.compile(r"(?:\[([^\]]+)\]|([^\s/\[\]@:]*)):([0-9]{1,5})", re.ASCII)


def parse_address(text: str, *, allow_plain_http: bool = False) -> str:
    """Read a cabinet's address: ``host``, ``host:port``, or either after ``https://``, ``http://``.

    Plain HTTP, where passwords go in the clear, is for loopback unless it is allowed. Returns
    scheme, host and port, such as ``https://vpbx.mts.ru``, without a slash at the end.
    """
    parts = _split(text, "https")
    if parts.scheme not in ("http", "https"):
        raise ValueError("only https:// and http:// addresses are supported")
    if "@" in parts.netloc:
        raise ValueError("login and password do not belong in the address")
    ip = read_ip(parts.hostname or "")
    is_loopback = ip.is_loopback if ip else parts.hostname == "localhost"
    if parts.scheme == "http" and not allow_plain_http and not is_loopback:
        raise ValueError(
            "plain http:// sends the password in the clear: allowed for loopback only, "
            "or with allow_plain_http: true"
        )
    return f"{parts.scheme}://{_with_port(parts)}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: its address without credentials, and the header that holds them."""

    url: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


def parse_proxy(text: str) -> Proxy:
    """Read a proxy's address: ``http://host:port``, with ``login:password@`` if it needs them."""
    parts = _split(text, "http")
    if parts.scheme != "http":
        raise ValueError("only http:// proxies are supported; they work for https:// cabinets too")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    credential = b64encode(login.encode("utf-8", "replace")).decode("ascii")
    headers = {"Proxy-Authorization": f"Basic {credential}"} if parts.username else {}
    return Proxy(f"http://{_with_port(parts, PROXY_PORT)}", headers)


def proxy_of_environment(base_url: str) -> Proxy | None:
    """Return the proxy that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY`` name."""
    # Imported here: it is large, and few want it.
    from urllib.request import getproxies_environment, proxy_bypass  # noqa: PLC0415

    parts = urlsplit(base_url)
    found = getproxies_environment()
    text = found.get(parts.scheme) or found.get("all")
    if not text or proxy_bypass(parts.netloc):
        return None
    return parse_proxy(text)


def _split(text: str, scheme: str) -> SplitResult:
    written = text.strip()
    if not written:
        raise ValueError("the address is empty")
    if not written.isprintable() or len(written.split()) > 1:
        raise ValueError("blanks or control characters in the address")
    try:
        parts = urlsplit(written if "://" in written else f"{scheme}://{written}")
        port = parts.port
    except ValueError:
        raise ValueError("not an address; write host or host:port, IPv6 in []") from None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("only the host and the port are needed, without a path")
    if not parts.hostname or port == 0:
        raise ValueError("no host in the address" if not parts.hostname else "the port cannot be 0")
    return parts


def _with_port(parts: SplitResult, usual: int | None = None) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or usual
    return f"{host}:{port}" if port else f"{host}"


def read_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an IP address; ``None`` for any other text."""
    with suppress(ValueError):
        return ipaddress.ip_address(text.strip())
    return None


class ListenAddress(NamedTuple):
    """An address to listen on: an empty host is every address of the machine, port 0 a free one.

    With a ``descriptor``, it is that of a socket that listens there already.
    """

    host: str
    port: int
    descriptor: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def reached(self) -> ListenAddress:
        """The address that reaches it from this machine."""
        return ListenAddress(_LOCAL.get(self.host, self.host), self.port)

    def listen(self) -> socket.socket:
        """Open a listening socket."""
        if self.descriptor is not None:
            return socket.socket(fileno=self.descriptor)
        if self.host in _IPV4 and socket.has_dualstack_ipv6():
            try:
                return socket.create_server(
                    ("", self.port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True
                )
            except OSError as error:
                # IPv6 may be compiled in and switched off, as in many containers.
                if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                    raise
        host = _IPV4.get(self.host, self.host)
        family, _, _, _, address = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=1024)


def parse_listen_address(text: str) -> ListenAddress:
    """Read ``:port``, ``host:port``, ``address:port`` or ``[IPv6 address]:port``."""
    if "@" in text:  # not quoted: a password may stand before it
        raise ValueError('must be an address to listen on, such as ":9742", without a user')
    if "://" in text:
        raise ValueError(
            f'"{text}" is a URL; write only where to listen, as in ":9742" or "127.0.0.1:9742". '
            "TLS is set in --web.config.file, the URL behind a proxy with --web.external-url"
        )
    host, _, port = text.rpartition(":")
    for address, rest in ((host, port), (text, "9742")):
        if _is_ipv6(address):
            raise ValueError(
                f'"{text}" holds an IPv6 address without brackets; write "[{address}]:{rest}"'
            )
    match = _LISTEN.fullmatch(text)
    if match is None or int(port) > 65535 or (match[1] and not _is_ipv6(match[1])):
        raise ValueError(
            f'"{text}" is not an address to listen on; write ":9742", "127.0.0.1:9742" or '
            '"[::1]:9742", with a port from 0 to 65535'
        )
    return ListenAddress(match[1] or match[2], int(port))


def _is_ipv6(text: str) -> bool:
    return isinstance(read_ip(text), ipaddress.IPv6Address)


def systemd_addresses(environment: Mapping[str, str]) -> list[ListenAddress]:
    """Return what systemd listens on for this process, as the environment says."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        raise ValueError("systemd passed no socket; start the service through its .socket unit")
    addresses = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the system's own interface
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            if listening.family not in {socket.AF_INET, socket.AF_INET6}:
                raise ValueError("systemd passed a socket that is not TCP; see ListenStream=")
            host, port = listening.getsockname()[:2]
        addresses.append(ListenAddress(host, port, descriptor))
    return addresses


def parse_prefix(text: str) -> str:
    """Read ``--web.route-prefix``, which may lack a slash before it and have one after it."""
    path = "/" + text.strip("/")
    if path != "/" and not PATH.fullmatch(path):
        raise ValueError('must be a path such as "/vats"')
    return path.rstrip("/")


def parse_external_url(text: str) -> str:
    """Read ``--web.external-url``; return it without a slash at the end."""
    try:
        url = urlsplit(text.rstrip("/"))
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in {"http", "https"} or url.query or url.fragment:
        raise ValueError('must be a URL such as "https://example.org/vats"')
    if "@" in url.netloc:
        raise ValueError("must not hold a password; pages quote it")
    return f"{url.scheme}://{url.netloc}{parse_prefix(url.path)}"
