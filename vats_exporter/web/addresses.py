"""Where to listen: ``:9742``, ``127.0.0.1:9742``, ``[::1]:9742``, or what systemd listens on."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCAL: Final = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to reach it
"""How an address of all interfaces is reached from this machine."""

_FIRST_DESCRIPTOR: Final = 3
"""Of those that systemd passes. [sd_listen_fds(3)]"""


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
    def url(self) -> str:
        """A URL that reaches it from this machine, without a slash at the end."""
        return f"http://{ListenAddress(_LOCAL.get(self.host, self.host), self.port)}"

    def connect(self, timeout: float) -> socket.socket:
        """Open a connection from this machine, within so many seconds."""
        host = _LOCAL.get(self.host, self.host)
        return socket.create_connection((host, self.port), timeout)

    def listen(self) -> socket.socket:
        """Open a listening socket.

        Raises:
            OSError: the name does not resolve, or the address cannot be listened on; its
                ``filename`` is the address.
        """
        try:
            return self._listen()
        except OSError as error:
            error.filename = str(self)
            raise

    def _listen(self) -> socket.socket:
        if self.descriptor is not None:
            return socket.socket(fileno=self.descriptor)
        if self.host in {"", "::"} and socket.has_dualstack_ipv6():
            try:
                return socket.create_server(
                    ("", self.port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True
                )
            except OSError as error:
                # IPv6 may be compiled in and switched off, as in many containers.
                if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                    raise
        info = socket.getaddrinfo(
            self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = next(
            (one for one in info if self.host or one[0] == socket.AF_INET), info[0]
        )
        return socket.create_server(address, family=family, backlog=1024)


def parse_listen_address(text: str) -> ListenAddress:
    """Read ``:port``, ``host:port``, ``address:port`` or ``[IPv6 address]:port``.

    Raises:
        ValueError: with one sentence that quotes the text.
    """
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
    elif any(char.isspace() or char in "/[]@:" for char in host):
        raise ValueError(f'"{text}" is not an address to listen on')
    return ListenAddress(host, int(port))


def systemd_addresses(environment: Mapping[str, str]) -> list[ListenAddress]:
    """Return what systemd listens on for this process, as the environment says.

    Raises:
        ValueError: nothing, or no address of TCP.
    """
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        raise ValueError("systemd passed no socket; start the service through its .socket unit")
    addresses = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the system's own interface
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            if listening.family not in {socket.AF_INET, socket.AF_INET6}:
                raise ValueError("systemd passed a socket that is none of TCP; see ListenStream=")
            host, port = listening.getsockname()[:2]
        addresses.append(ListenAddress(host, port, descriptor))
    return addresses


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True
