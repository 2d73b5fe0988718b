"""Serving over HTTP: the metrics, probes, service discovery, a landing page, health, reload.

:mod:`~vats_exporter.web.server`, :mod:`~vats_exporter.web.handler` and
:mod:`~vats_exporter.web.connections` know sockets, threads and limits, and no path;
:mod:`~vats_exporter.web.site` knows which path answers what, and no socket; between them,
:mod:`~vats_exporter.web.protection` knows who may ask.
"""

from vats_exporter.web.addresses import ListenAddress, parse_listen_address
from vats_exporter.web.connections import Limits
from vats_exporter.web.messages import Request, Response
from vats_exporter.web.protection import Protection
from vats_exporter.web.server import WebServer
from vats_exporter.web.site import Site
from vats_exporter.web.urls import DIRECT, Urls

__all__ = [
    "DIRECT",
    "Limits",
    "ListenAddress",
    "Protection",
    "Request",
    "Response",
    "Site",
    "Urls",
    "WebServer",
    "parse_listen_address",
]
