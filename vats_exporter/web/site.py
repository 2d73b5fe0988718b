"""Which path answers what."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

from prometheus_client.exposition import gzip_accepted

from vats_exporter.address import PATH
from vats_exporter.metrics.collector import Collector, MonitoredAccount
from vats_exporter.metrics.exposition import Exposition, Format, negotiate
from vats_exporter.metrics.probe import Probe, latest_refreshes
from vats_exporter.web import HTML, JSON, Request, Response, say

_NOT_KEPT: Final = ("Cache-Control", "no-store")
_OWN_STYLE: Final = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
_VARY: Final = ("Vary", "Accept, Accept-Encoding")
_OTHERS: Final = ("/probe", "/sd", "/config", "/refreshes", "/-/healthy", "/-/ready", "/-/reload")
_Refreshed = TypeVar("_Refreshed")


class Urls(NamedTuple):
    """Where the pages are. What they begin with has no slash at its end."""

    metrics: str = "/metrics"
    prefix: str = ""  # of all paths here
    external: str = ""  # of all URLs for clients; empty where they reach the exporter itself


class Site:
    """The exporter's pages.

    ``reload`` loads the configuration again, and returns why that failed, a line a reason;
    ``configuration`` writes the one in use, without secrets. At most ``max_waiting`` requests wait
    for refreshes at the same time.
    """

    stopping = False
    url = "http://localhost"  # where clients of this machine find it

    def __init__(
        self,
        collector: Collector,
        *,
        urls: Urls | None = None,
        reload: Callable[[], Sequence[str]] | None = None,
        configuration: Callable[[], str] = str,
        max_waiting: int = 256,
    ) -> None:
        self._collector = collector
        self._urls = urls or Urls()
        self._reload = reload
        self._max_waiting = max_waiting
        self._waiting: list[Request] = []  # single operations on a list are atomic
        pages: dict[str, Callable[[Request], Response]] = {
            "/": self._landing,
            self._urls.metrics: self._metrics,
            "/probe": self._of_account(self._probe),
            "/refreshes": self._of_account(self._refreshes),
            "/sd": self._targets,
            "/config": lambda _: say(200, configuration()),
            "/-/healthy": lambda _: say(200, "The exporter is healthy."),
            "/-/ready": self._ready,
            "/-/reload": self._load_again,
        }
        self._pages = {f"{self._urls.prefix}{path}": page for path, page in pages.items()}

    def respond(self, request: Request) -> Response:
        """Answer a request."""
        page, prefix = self._pages.get(request.path), self._urls.prefix
        if page is None and prefix and request.path in {"/", prefix}:
            # A relative one, which holds behind a proxy as well.
            path = f"{prefix[1:] if request.path == '/' else prefix.rpartition('/')[2]}/"
            return say(302, f"The pages are at {path}.", ("Location", path))
        if page is None:
            pages = [path for path in self._pages if self._reload or "/-/reload" not in path]
            return say(404, f"There is no such page; there are {', '.join(pages)}.")
        one, other = ("POST", "PUT") if page == self._load_again else ("GET", "HEAD")
        if request.method not in {one, other}:
            return say(405, f"This page answers {one} and {other}.", ("Allow", f"{one}, {other}"))
        return page(request)

    def _metrics(self, request: Request) -> Response:
        if request.method != "HEAD":  # a request for the head alone starts no refresh
            self._wait(request, self._collector.refresh)
        return _exposition(request, self._collector.page)

    def _wait(self, request: Request, refresh: Callable[[float], _Refreshed]) -> _Refreshed:
        """Refresh within the seconds that a request may wait: 0 where too many wait already.

        One that waits gives its connection to no other, so a hanging cabinet could take them all.
        """
        timeout = request.headers.get("x-prometheus-scrape-timeout-seconds", "")
        may_wait = len(self._waiting) < self._max_waiting
        self._waiting.append(request)
        try:
            return refresh(scrape_timeout(timeout) if may_wait else 0.0)
        finally:
            self._waiting.pop()

    def _of_account(
        self, page: Callable[[Request, MonitoredAccount], Response]
    ) -> Callable[[Request], Response]:
        """Make a page of the account that a parameter names."""

        def respond(request: Request) -> Response:
            if not (name := request.parameter("account")):
                example = f"{request.path}?account=NAME"
                return say(400, f"Which account? Ask for {example}; /sd lists the names.")
            if (account := self._collector.account(name)) is None:
                return say(404, "There is no account of this name; /sd lists the names.")
            return page(request, account)

        return respond

    def _refreshes(self, _request: Request, account: MonitoredAccount) -> Response:
        return say(200, latest_refreshes(account), _NOT_KEPT)

    def _probe(self, request: Request, account: MonitoredAccount) -> Response:
        probe = self._wait(request, partial(Probe, account))
        if request.parameter("debug") == "true":
            return Response(200, probe.debug_page(), headers=(_NOT_KEPT,))
        return _exposition(request, probe.page)

    def _targets(self, request: Request) -> Response:
        """List the accounts' probes for Prometheus, so that no relabelling is needed."""
        scheme, _, address = self.url.partition("://")
        here = f"{scheme}://{request.headers.get('host') or address}{self._urls.prefix}"
        scheme, _, rest = (self._urls.external or here).partition("://")
        address, slash, path = rest.partition("/")
        if not re.search("[^:]:[0-9]+$", address):
            address += ":443" if scheme == "https" else ":80"
        where = {"__scheme__": scheme, "__metrics_path__": f"{slash}{path}/probe"}
        targets = []
        for one in self._collector.accounts:
            labels = {**where, "__param_account": one.name, "instance": one.name, **one.labels}
            targets.append({"targets": [address], "labels": labels})
        return say(200, json.dumps(targets, ensure_ascii=False), content_type=JSON)

    def _load_again(self, _request: Request) -> Response:
        if self._reload is None:
            return say(403, "Reloading over HTTP is off; --web.enable-lifecycle turns it on.")
        if problems := self._reload():
            return say(500, "\n".join(("The configuration stays as it was:", *problems)))
        return say(200, "The configuration was loaded again.")

    def _landing(self, request: Request) -> Response:
        from vats_exporter.web import landing  # noqa: PLC0415 - no scrape needs it

        language = landing.choose_language(request.headers.get("accept-language", ""))
        accounts = self._collector.accounts
        shown = [
            landing.Shown(one.refresher.peek(), one.history.changes(one.name), one.privacy)
            for one in accounts
        ]
        page = landing.render_landing_page(shown, time.time(), language, self._urls.metrics)
        headers = (("Content-Language", language), ("Vary", "Accept-Language"))
        return say(200, page, _OWN_STYLE, *headers, _NOT_KEPT, content_type=HTML)

    def _ready(self, _request: Request) -> Response:
        if self.stopping:
            return say(503, "The exporter is stopping.")
        return say(200, "The exporter is ready.")


def _exposition(request: Request, make: Callable[[Format], Exposition]) -> Response:
    """Answer with a page of metrics, in the format and encoding that the client takes."""
    form, content_type = negotiate(request.headers.get("accept", ""))
    page = make(form)
    if gzip_accepted(request.headers.get("accept-encoding", "")):
        headers = (_VARY, ("Content-Encoding", "gzip"))
        return Response(200, (page.gzipped(),), content_type, headers)
    return Response(200, page.chunks, content_type, (_VARY,))


def scrape_timeout(header: str) -> float:
    """Return the seconds a scrape may wait, by its ``X-Prometheus-Scrape-Timeout-Seconds``."""
    try:
        allowed = float(header)
    except ValueError:
        allowed = 0.0
    if not 0 < allowed < math.inf:
        allowed = 10.0  # Prometheus' own default
    # Half a second is kept back to send the page in, or half of a timeout that is hardly longer.
    return min(max(allowed - 0.5, allowed / 2), 600.0)


def parse_metrics_path(text: str) -> str:
    """Read ``--web.telemetry-path``."""
    if not PATH.fullmatch(text):
        raise ValueError('must be a path such as "/metrics"')
    if text in _OTHERS:
        raise ValueError(f'"{text}" is the path of another page')
    return text
