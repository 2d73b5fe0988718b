"""Where to listen: ``:9742``, ``127.0.0.1:9742``, ``[::1]:9742``, as Prometheus' exporters do."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

_LOCAL: Final = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to reach it
"""How an address for everybody is reached from this machine."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on.

    Attributes:
        host: a name or an address without brackets; empty for every address of the machine.
        port: 0 takes a free one.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """A URL that reaches it from this machine, without a slash at the end."""
        return f"http://{ListenAddress(_LOCAL.get(self.host, self.host), self.port)}"

    def connect(self, timeout: float) -> socket.socket:
        """Open a connection from this machine.

        Args:
            timeout: seconds.

        Raises:
            OSError: nobody answers.
        """
        host = _LOCAL.get(self.host, self.host)
        return socket.create_connection((host, self.port), timeout)

    def listen(self) -> socket.socket:
        """Open a listening socket.

        Raises:
            OSError: if the name does not resolve or the address is not to be had.
        """
        if not self.host and socket.has_dualstack_ipv6():
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
    """Read an address to listen on.

    Args:
        text: ``:port``, ``host:port``, ``address:port`` or ``[IPv6 address]:port``.

    Raises:
        ValueError: with one sentence that quotes the text.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f'"{text}" has no port; write for example ":9742"')
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f'"{text}" does not end with a port from 0 to 65535')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            raise ValueError(f'"{text}" has no IPv6 address between the brackets') from None
    elif ":" in host:
        raise ValueError(f'"{text}" holds an IPv6 address; write it as "[{host}]:{port}"')
    elif any(char.isspace() or char in "/[]@" for char in host):
        raise ValueError(f'"{text}" is not an address to listen on')
    return ListenAddress(host, int(port))
