"""The paths of the pages, here and for clients beyond a proxy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
_OWN: Final = ("/probe", "/sd", "/config", "/refreshes", "/-/healthy", "/-/ready", "/-/reload")


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the pages are.

    Attributes:
        metrics: the path of the metrics.
        prefix: what all paths begin with here; without a slash at the end.
        external: what they begin with for clients, scheme and host included; without a slash at the
            end. Empty where clients reach the exporter itself.
    """

    metrics: str = "/metrics"
    prefix: str = ""
    external: str = ""


DIRECT: Final = Urls()
"""Clients reach the exporter itself, at the usual paths."""


def parse_metrics_path(text: str) -> str:
    """Read ``--web.telemetry-path``; a :class:`ValueError` says what is wrong with it."""
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
