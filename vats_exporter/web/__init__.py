"""Serving over HTTP: ``/metrics``, ``/probe``, ``/sd``, the landing page, health, reload.

Layers, each knowing only the next one's types:

* :mod:`~vats_exporter.web.server`, :mod:`~vats_exporter.web.handler` and
  :mod:`~vats_exporter.web.connections`: sockets, threads, limits; know no path
* :mod:`~vats_exporter.web.protection`: TLS, passwords, headers, a rate limit
* :mod:`~vats_exporter.web.site`: which path answers what; knows no socket
"""

from vats_exporter.web.addresses import ListenAddress, parse_listen_address
from vats_exporter.web.connections import Limits
from vats_exporter.web.messages import Request, Response
from vats_exporter.web.protection import Protection, ProtectionError
from vats_exporter.web.server import WebServer
from vats_exporter.web.site import Site
from vats_exporter.web.urls import DIRECT, Urls

__all__ = [
    "DIRECT",
    "Limits",
    "ListenAddress",
    "Protection",
    "ProtectionError",
    "Request",
    "Response",
    "Site",
    "Urls",
    "WebServer",
    "parse_listen_address",
]
