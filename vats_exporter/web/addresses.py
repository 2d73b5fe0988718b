"""Where the exporter listens, and where clients find its pages, as given on the command line.

The functions that read an option raise a :class:`ValueError` with one sentence.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCAL: Final = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to reach it
_IPV4: Final = {"": "0.0.0.0", "::": "0.0.0.0"}  # noqa: S104 - it is asked for
_FIRST_DESCRIPTOR: Final = 3  # of those that systemd passes [sd_listen_fds(3)]
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
_OWN: Final = ("/probe", "/sd", "/config", "/refreshes", "/-/healthy", "/-/ready", "/-/reload")


@dataclass(frozen=True, slots=True)
class ListenAddress:
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
    host, colon, port = text.rpartition(":")
    for address, rest in ((host, f":{port}"), (text, ":9742")):
        if _is_ipv6(address):
            raise ValueError(
                f'"{text}" holds an IPv6 address without brackets; write "[{address}]{rest}"'
            )
    if not colon:
        raise ValueError(f'"{text}" has no port; write for example ":9742"')
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f'"{text}" does not end with a port from 0 to 65535')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ipv6(host):
            raise ValueError(f'"{text}" has no IPv6 address between the brackets')
    elif re.search(r"[\s/\[\]@:]", host):
        raise ValueError(f'"{text}" is not an address to listen on')
    return ListenAddress(host, int(port))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True


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


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the pages are. What they begin with has no slash at its end."""

    metrics: str = "/metrics"
    prefix: str = ""  # of all paths here
    external: str = ""  # of all URLs for clients; empty where they reach the exporter itself


def parse_metrics_path(text: str) -> str:
    """Read ``--web.telemetry-path``."""
    if not _PATH.fullmatch(text):
        raise ValueError('must be a path such as "/metrics"')
    if text in _OWN:
        raise ValueError(f'"{text}" is the path of another page')
    return text


def parse_prefix(text: str) -> str:
    """Read ``--web.route-prefix``, which may lack a slash before it and have one after it."""
    path = "/" + text.strip("/")
    if path != "/" and not _PATH.fullmatch(path):
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
