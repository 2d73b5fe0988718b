"""Which path answers what. Knows the collector and no socket."""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from vats_exporter.clock import SystemClock
from vats_exporter.metrics.exposition import accepts_gzip, negotiate
from vats_exporter.metrics.probe import debug_probe, latest_refreshes, probe
from vats_exporter.web.landing import Shown, choose_language, render_landing_page
from vats_exporter.web.messages import HTML, JSON, Request, Response, say, text
from vats_exporter.web.targets import make_targets
from vats_exporter.web.urls import DIRECT, Urls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vats_exporter.clock import Clock
    from vats_exporter.metrics.collector import Account, Collector
    from vats_exporter.metrics.exposition import Body, Negotiated, Page
    from vats_exporter.trunks import Snapshot, Trunk

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds a scrape may take where the scraper does not tell; Prometheus' own default."""

TIMEOUT_OFFSET: Final = 0.5
"""Seconds kept back of what the scraper allows, to send the page in."""

LONGEST_TIMEOUT: Final = 600.0
"""Seconds past which nobody is believed to wait."""

_READERS: Final = ("GET", "HEAD")
_ACTORS: Final = ("POST", "PUT")


class Site:
    """The exporter's pages.

    Args:
        collector: of the metrics.
        urls: where the pages are.
        clock: for ages on the landing page; the machine's, unless a test brings its own.
        reload: loads the configuration again, and returns why that failed, a line a reason;
            ``None`` where that is off.
        configuration: writes the configuration in use, without secrets.
        max_waiting: requests that may wait for refreshes at the same time; one more is answered
            with what there is.

    Attributes:
        stopping: set when the exporter is about to end; it is then no longer ready.
        address: where it listens, as host and port, for a client that does not say whom it asked.
        scheme: ``http`` or ``https``.
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
        self.address = ""
        self.scheme = "http"
        self._collector = collector
        self._urls = urls
        self._clock: Clock = clock or SystemClock()
        self._reload = reload
        self._write_configuration = configuration
        # By account, looked for once in a snapshot.
        self._troubled: dict[str, tuple[Snapshot | None, Sequence[Trunk]]] = {}
        self._may_wait = threading.Semaphore(max_waiting)
        self._pages: Mapping[str, _Page] = {
            "/": _Page(_READERS, self._landing),
            urls.metrics: _Page(_READERS, self._metrics),
            "/probe": _Page(_READERS, self._probe),
            "/refreshes": _Page(_READERS, self._refreshes),
            "/sd": _Page(_READERS, self._targets),
            "/config": _Page(_READERS, self._configuration),
            "/-/healthy": _Page(_READERS, self._healthy),
            "/-/ready": _Page(_READERS, self._ready),
            "/-/reload": _Page(_ACTORS, self._load_again),
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
            pages = [prefix + path for path in self._pages]
            if self._reload is None:
                pages.remove(f"{prefix}/-/reload")
            return say(404, f"There is no such page; there are {', '.join(pages)}.")
        if request.method not in page.methods:
            allowed = ", ".join(page.methods)
            sentence = f"This page answers {' and '.join(page.methods)}."
            return say(405, sentence, ("Allow", allowed))
        return page.answer(request)

    def _metrics(self, request: Request) -> Response:
        headers = request.headers
        wish = _read_wish(
            headers.get("accept", ""),
            headers.get("accept-encoding", ""),
            headers.get("x-prometheus-scrape-timeout-seconds", ""),
        )
        # Who asks for the head alone wants no metrics: the page as it is tells all there is to say.
        if request.method == "GET":
            page = self._scrape(wish)
        else:
            page = self._collector.page(wish.negotiated.format)
        body = page.body(compress=wish.compress)
        return _metrics_response(body, wish.negotiated.content_type)

    def _scrape(self, wish: _Wish) -> Page:
        """Return the page, refreshed if that is due and somebody may wait for it."""
        form = wish.negotiated.format
        page = self._collector.settled(form)
        if page is None:
            with self._waiting(wish.timeout) as timeout:
                page = self._collector.scrape(form, timeout)
        return page

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[float]:
        """Give the seconds that a request may wait for a refresh: 0 where too many wait already.

        One that waits for a cabinet cannot be ended to make room for another, as an idle connection
        can: as many as there may be connections would keep all others from every page.
        """
        if not self._may_wait.acquire(blocking=False):
            yield 0.0
            return
        try:
            yield seconds
        finally:
            self._may_wait.release()

    def _account(self, request: Request) -> Account | Response:
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
        return text(200, latest_refreshes(account), headers=(("Cache-Control", "no-store"),))

    def _probe(self, request: Request) -> Response:
        account = self._account(request)
        if isinstance(account, Response):
            return account
        headers = request.headers
        allowed = scrape_timeout(headers.get("x-prometheus-scrape-timeout-seconds", ""))
        with self._waiting(allowed) as timeout:
            if request.parameter("debug") == "true":
                return _debug_response(account, timeout, self._clock)
            wish = _read_wish(headers.get("accept", ""), headers.get("accept-encoding", ""), "")
            page = probe(account, wish.negotiated.format, timeout)
        return _metrics_response(page.body(compress=wish.compress), wish.negotiated.content_type)

    def _targets(self, request: Request) -> Response:
        accounts = {account.name: account.labels for account in self._collector.accounts}
        address = request.headers.get("host") or self.address
        base = self._urls.external or f"{self.scheme}://{address}{self._urls.prefix}"
        targets = make_targets(accounts, base)
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
        shown = [self._shown(account) for account in self._collector.accounts]
        page = render_landing_page(shown, self._clock.now(), language, self._urls.metrics)
        # The page needs nothing but its own style.
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        headers = (
            ("Content-Security-Policy", policy),
            ("Content-Language", language),
            ("Vary", "Accept-Language"),
            ("Cache-Control", "no-store"),
        )
        return text(200, page, HTML, headers)

    def _shown(self, account: Account) -> Shown:
        state = account.refresher.peek()
        snapshot, troubled = self._troubled.get(account.name, (None, ()))
        if snapshot is not state.snapshot:
            trunks = () if state.snapshot is None else state.snapshot.trunks
            troubled = tuple(trunk for trunk in trunks if trunk.troubles)
            self._troubled[account.name] = (state.snapshot, troubled)
        return Shown(state, troubled, account.changes(), account.privacy)

    def _configuration(self, _request: Request) -> Response:
        return text(200, self._write_configuration())

    def _healthy(self, _request: Request) -> Response:
        return say(200, "The exporter is healthy.")

    def _ready(self, _request: Request) -> Response:
        if self.stopping:
            return say(503, "The exporter is stopping.")
        return say(200, "The exporter is ready.")


@dataclass(frozen=True, slots=True)
class _Page:
    """Which methods a path answers, and how."""

    methods: tuple[str, ...]
    answer: Callable[[Request], Response]


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


def _debug_response(account: Account, timeout: float, clock: Clock) -> Response:
    pieces = debug_probe(account, timeout, clock.now)
    headers = (("Cache-Control", "no-store"),)
    return Response(200, pieces, headers=headers, length=sum(map(len, pieces)))


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
