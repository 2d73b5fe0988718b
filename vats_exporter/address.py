"""Addresses of cabinets and proxies, as people write them and as calls use them.

Nothing here quotes what was written, which may hold a password.
"""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

PROXY_PORT: Final = 3128


def parse_address(text: str, *, allow_plain_http: bool = False) -> str:
    """Read a cabinet's address: ``host``, ``host:port``, or either after ``https://``, ``http://``.

    Plain HTTP, where passwords go in the clear, is for loopback unless it is allowed.

    Returns:
        scheme, host and port, such as ``https://vpbx.mts.ru``, without a slash at the end.

    Raises:
        ValueError: what is wrong with it, in one sentence.
    """
    parts = _split(text, "https")
    if parts.scheme not in ("http", "https"):
        raise ValueError("only https:// and http:// addresses are supported")
    if "@" in parts.netloc:
        raise ValueError("login and password do not belong in the address")
    host = parts.hostname or ""
    if parts.scheme == "http" and not allow_plain_http and not _is_loopback(host):
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
    """Read a proxy's address: ``http://host:port``, with ``login:password@`` if it needs them.

    Raises:
        ValueError: what is wrong with it, in one sentence.
    """
    parts = _split(text, "http")
    if parts.scheme != "http":
        raise ValueError("only http:// proxies are supported; they work for https:// cabinets too")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    credential = b64encode(login.encode("utf-8", "replace")).decode("ascii")
    headers = {"Proxy-Authorization": f"Basic {credential}"} if parts.username else {}
    return Proxy(f"http://{_with_port(parts, PROXY_PORT)}", headers)


def proxy_of_environment(base_url: str) -> Proxy | None:
    """Return the proxy that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name.

    Raises:
        ValueError: what is wrong with it, in one sentence.
    """
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
    if any(character.isspace() or not character.isprintable() for character in written):
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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
