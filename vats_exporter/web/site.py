"""Which path answers what. Knows the collector and no socket."""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from vats_exporter.clock import SystemClock
from vats_exporter.metrics.exposition import accepts_gzip, negotiate
from vats_exporter.metrics.probe import Probe, latest_refreshes
from vats_exporter.web.landing import Shown, choose_language, render_landing_page
from vats_exporter.web.messages import HTML, JSON, Request, Response, say, text
from vats_exporter.web.targets import make_targets
from vats_exporter.web.urls import DIRECT, Urls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vats_exporter.clock import Clock
    from vats_exporter.metrics.collector import Collector, MonitoredAccount
    from vats_exporter.metrics.exposition import Page
    from vats_exporter.trunks import Snapshot, Trunk

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds a scrape may take where the scraper does not tell; Prometheus' own default."""

TIMEOUT_OFFSET: Final = 0.5
"""Seconds kept back of what the scraper allows, to send the page in."""

LONGEST_TIMEOUT: Final = 600.0
"""Seconds that a scraper is believed to wait at most."""

_NOT_KEPT: Final = ("Cache-Control", "no-store")


class Site:
    """The exporter's pages.

    Args:
        collector: of the metrics.
        urls: where the pages are.
        clock: for ages on the landing page.
        reload: loads the configuration again, and returns why that failed, a line a reason;
            ``None`` where that is off.
        configuration: writes the configuration in use, without secrets.
        max_waiting: requests that may wait for refreshes at the same time; one more gets the page
            as it is.

    Attributes:
        stopping: set when the exporter is about to end; it is then no longer ready.
        url: where clients of this machine find it.
    """

    def __init__(
        self,
        collector: Collector,
        *,
        urls: Urls = DIRECT,
        clock: Clock | None = None,
        reload: Callable[[], Sequence[str]] | None = None,
        configuration: Callable[[], str] = str,
        max_waiting: int = 256,
    ) -> None:
        self.stopping = False
        self.url = "http://localhost"
        self._collector = collector
        self._urls = urls
        self._clock: Clock = clock or SystemClock()
        self._reload = reload
        # By account, looked for once in a snapshot.
        self._troubled: Mapping[str, tuple[Snapshot | None, tuple[Trunk, ...]]] = {}
        self._may_wait = threading.Semaphore(max_waiting)
        self._pages: Mapping[str, Callable[[Request], Response]] = {
            "/": self._landing,
            urls.metrics: self._metrics,
            "/probe": self._probe,
            "/refreshes": self._refreshes,
            "/sd": self._targets,
            "/config": lambda _: text(200, configuration()),
            "/-/healthy": lambda _: say(200, "The exporter is healthy."),
            "/-/ready": self._ready,
            "/-/reload": self._load_again,
        }

    def respond(self, request: Request) -> Response:
        """Answer a request."""
        prefix = self._urls.prefix
        if prefix and request.path in {"/", prefix}:
            # A relative one, which holds behind a proxy as well.
            path = f"{prefix[1:] if request.path == '/' else prefix.rpartition('/')[2]}/"
            return say(302, f"The pages are at {path}.", ("Location", path))
        within = request.path.startswith(f"{prefix}/")
        page = self._pages.get(request.path[len(prefix) :]) if within else None
        if page is None:
            pages = [prefix + path for path in self._pages if self._reload or "reload" not in path]
            return say(404, f"There is no such page; there are {', '.join(pages)}.")
        methods = ("POST", "PUT") if page == self._load_again else ("GET", "HEAD")
        if request.method not in methods:
            sentence = f"This page answers {' and '.join(methods)}."
            return say(405, sentence, ("Allow", ", ".join(methods)))
        return page(request)

    def _metrics(self, request: Request) -> Response:
        form = negotiate(request.headers.get("accept", "")).format
        if request.method == "HEAD":  # who asks for the head alone wants no refresh
            return _metrics(request, self._collector.page(form))
        with self._waiting(request) as timeout:
            return _metrics(request, self._collector.scrape(form, timeout))

    @contextmanager
    def _waiting(self, request: Request) -> Iterator[float]:
        """Give the seconds that a request may wait for a refresh: 0 where too many wait already.

        One that waits for a cabinet cannot be ended to make room for another, as an idle connection
        can: as many as there may be connections would keep all others from every page.
        """
        if not self._may_wait.acquire(blocking=False):
            yield 0.0
            return
        try:
            yield scrape_timeout(request.headers.get("x-prometheus-scrape-timeout-seconds", ""))
        finally:
            self._may_wait.release()

    def _account(self, request: Request) -> MonitoredAccount | Response:
        """Return the account that is asked for, or what is wrong with asking so."""
        name = request.parameter("account")
        if not name:
            example = f"{request.path}?account=NAME"
            return say(400, f"Which account? Ask for {example}; /sd lists the names.")
        account = self._collector.account(name)
        return account or say(404, "There is no account of this name; /sd lists the names.")

    def _refreshes(self, request: Request) -> Response:
        account = self._account(request)
        if isinstance(account, Response):
            return account
        return text(200, latest_refreshes(account), headers=(_NOT_KEPT,))

    def _probe(self, request: Request) -> Response:
        account = self._account(request)
        if isinstance(account, Response):
            return account
        with self._waiting(request) as timeout:
            probe = Probe(account, timeout, self._clock.now)
        if request.parameter("debug") == "true":
            pieces = probe.debug_page()
            return Response(200, pieces, headers=(_NOT_KEPT,), length=sum(map(len, pieces)))
        form = negotiate(request.headers.get("accept", "")).format
        return _metrics(request, probe.page(form))

    def _targets(self, request: Request) -> Response:
        accounts = {account.name: account.labels for account in self._collector.accounts}
        scheme, _, address = self.url.partition("://")
        here = f"{scheme}://{request.headers.get('host') or address}{self._urls.prefix}"
        targets = make_targets(accounts, self._urls.external or here)
        return text(200, json.dumps(targets, ensure_ascii=False), JSON)

    def _load_again(self, _request: Request) -> Response:
        if self._reload is None:
            return say(403, "Reloading over HTTP is off; --web.enable-lifecycle turns it on.")
        problems = self._reload()
        if problems:
            return say(500, "\n".join(("The configuration stays as it was:", *problems)))
        return say(200, "The configuration was loaded again.")

    def _landing(self, request: Request) -> Response:
        language = choose_language(request.headers.get("accept-language") or "")
        accounts = self._collector.accounts
        self._troubled = {one.name: self._find_troubled(one) for one in accounts}
        shown = [
            Shown(one.refresher.peek(), self._troubled[one.name][1], one.changes(), one.privacy)
            for one in accounts
        ]
        page = render_landing_page(shown, self._clock.now(), language, self._urls.metrics)
        headers = (
            # The page needs nothing but its own style.
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
            ("Content-Language", language),
            ("Vary", "Accept-Language"),
            _NOT_KEPT,
        )
        return text(200, page, HTML, headers)

    def _find_troubled(
        self, account: MonitoredAccount
    ) -> tuple[Snapshot | None, tuple[Trunk, ...]]:
        snapshot = account.refresher.peek().snapshot
        kept = self._troubled.get(account.name)
        if kept is not None and kept[0] is snapshot:
            return kept
        trunks = () if snapshot is None else snapshot.trunks
        return snapshot, tuple(trunk for trunk in trunks if trunk.troubles)

    def _ready(self, _request: Request) -> Response:
        if self.stopping:
            return say(503, "The exporter is stopping.")
        return say(200, "The exporter is ready.")


def _metrics(request: Request, page: Page) -> Response:
    """Answer with a page of metrics, as the client takes it."""
    body = page.body(compress=accepts_gzip(request.headers.get("accept-encoding", "")))
    headers: tuple[tuple[str, str], ...] = (("Vary", "Accept, Accept-Encoding"),)
    if body.encoding:
        headers = (*headers, ("Content-Encoding", body.encoding))
    content_type = negotiate(request.headers.get("accept", "")).content_type
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
