"""Where a cabinet is: from what people write to the address calls are made to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def parse_address(text: str, *, allow_plain_http: bool = False) -> str:
    """Read a cabinet's address.

    Args:
        text: ``host``, ``host:port``, ``https://host:port`` or ``http://host:port``.
        allow_plain_http: lets an ``http://`` address be other than loopback, where passwords
            would go over the network in the clear.

    Returns:
        scheme, host and port, such as ``https://vpbx.mts.ru``, without a slash at the end.

    Raises:
        ValueError: what is wrong with it, in one sentence. It does not quote the text, which may
            hold a password.
    """
    written = text.strip()
    if not written:
        raise ValueError("the address is empty")
    if any(character.isspace() or not character.isprintable() for character in written):
        raise ValueError("blanks or control characters in the address")
    try:
        parts = urlsplit(written if "://" in written else f"https://{written}")
        port = parts.port
    except ValueError:
        raise ValueError("not an address: host, or host:port, with [] around an IPv6") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("only https:// and http:// addresses are known")
    if "@" in parts.netloc:
        raise ValueError("login and password do not belong in the address")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("only the host and the port are needed, without a path")
    host = parts.hostname or ""
    if not host or port == 0:
        raise ValueError("no host in the address" if not host else "the port cannot be 0")
    if parts.scheme == "http" and not allow_plain_http and not _is_loopback(host):
        raise ValueError(
            "plain http:// sends the password in the clear: allowed for loopback only, "
            "or with allow_plain_http: true"
        )
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}:{port}" if port else f"{parts.scheme}://{name}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
