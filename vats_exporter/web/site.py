"""Which path answers what. Knows the collector and no socket."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from vats_exporter.exposition import accepts_gzip, negotiate
from vats_exporter.refresh import SystemClock
from vats_exporter.web.landing import render_landing_page
from vats_exporter.web.messages import Request, Response, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vats_exporter.collector import Collector
    from vats_exporter.exposition import Body, Negotiated
    from vats_exporter.refresh import Clock

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds a scrape may take where the scraper does not tell; Prometheus' own default."""

TIMEOUT_OFFSET: Final = 0.5
"""Seconds kept back of what the scraper allows, to send the page in."""

LONGEST_TIMEOUT: Final = 600.0
"""Seconds past which nobody is believed to wait."""

_READERS: Final = ("GET", "HEAD")


class Site:
    """The exporter's pages.

    Args:
        collector: of the metrics.
        clock: for ages on the landing page; the machine's, unless a test brings its own.

    Attributes:
        stopping: set when the exporter is about to end; it is then no longer ready.
    """

    def __init__(self, collector: Collector, *, clock: Clock | None = None) -> None:
        self.stopping = False
        self._collector = collector
        self._clock: Clock = clock or SystemClock()
        # By content type and encoding, of which there are a few.
        self._served: dict[tuple[str, bool], Response] = {}
        self._pages: Mapping[str, Callable[[Request], Response]] = {
            "/": self._landing,
            "/metrics": self._metrics,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
        }

    def respond(self, request: Request) -> Response:
        """Answer a request."""
        page = self._pages.get(request.path)
        if page is None:
            return say(404, f"There is no such page; there are {', '.join(self._pages)}.")
        if request.method not in _READERS:
            allowed = ", ".join(_READERS)
            return say(405, f"This page answers {' and '.join(_READERS)}.", ("Allow", allowed))
        return page(request)

    def _metrics(self, request: Request) -> Response:
        headers = request.headers
        wish = _read_wish(
            headers.get("accept", ""),
            headers.get("accept-encoding", ""),
            headers.get("x-prometheus-scrape-timeout-seconds", ""),
        )
        # Who asks for the head alone wants no metrics: the page as it is tells all there is to say.
        if request.method == "GET":
            page = self._collector.scrape(wish.negotiated.format, wish.timeout)
        else:
            page = self._collector.page(wish.negotiated.format)
        body = page.body(compress=wish.compress)
        key = (wish.negotiated.content_type, wish.compress)
        kept = self._served.get(key)
        if kept is None or kept.chunks is not body.chunks:
            kept = self._served[key] = _metrics_response(body, wish.negotiated.content_type)
        return kept

    def _landing(self, _request: Request) -> Response:
        page = render_landing_page(self._collector.states(), self._clock.now())
        return Response(
            200,
            (page.encode("utf-8", "replace"),),
            "text/html; charset=utf-8",
            (
                # The page needs nothing but its own style.
                ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
                ("Cache-Control", "no-store"),
            ),
        )

    def _healthy(self, _request: Request) -> Response:
        return say(200, "The exporter is healthy.")

    def _ready(self, _request: Request) -> Response:
        if self.stopping:
            return say(503, "The exporter is stopping.")
        return say(200, "The exporter is ready.")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a scraper asks for."""

    negotiated: Negotiated
    compress: bool
    timeout: float


@lru_cache(maxsize=64)
def _read_wish(accept: str, accept_encoding: str, timeout: str) -> _Wish:
    """Read the headers that matter; a scraper sends the same ones every time."""
    return _Wish(negotiate(accept), accepts_gzip(accept_encoding), scrape_timeout(timeout))


def _metrics_response(body: Body, content_type: str) -> Response:
    headers: tuple[tuple[str, str], ...] = (("Vary", "Accept, Accept-Encoding"),)
    if body.encoding:
        headers = (*headers, ("Content-Encoding", body.encoding))
    return Response(200, body.chunks, content_type, headers, body.length)


def scrape_timeout(header: str) -> float:
    """Return the seconds a scrape may wait for refreshes.

    Args:
        header: ``X-Prometheus-Scrape-Timeout-Seconds``, which tells how long the scraper waits;
            what is no positive number of seconds is ignored.
    """
    try:
        allowed = float(header)
    except ValueError:
        allowed = DEFAULT_TIMEOUT
    if not (math.isfinite(allowed) and allowed > 0):
        allowed = DEFAULT_TIMEOUT
    # Half of a timeout that is hardly longer than the offset is still time to refresh in.
    return min(max(allowed - TIMEOUT_OFFSET, allowed / 2), LONGEST_TIMEOUT)
