"""The exporter as one thing to start and stop: the configuration's accounts, collected and served.

The one place that knows both the configuration and what is made of it. It knows no signals and no
command line, so that the demo and the tests start the same thing as ``serve`` does.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from vats_exporter import __version__
from vats_exporter.cabinet.client import Cabinet
from vats_exporter.collector import Account, Collector
from vats_exporter.details import DetailedSource
from vats_exporter.history import History
from vats_exporter.web import Site, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.config import Config, Details
    from vats_exporter.refresh import Source
    from vats_exporter.tally import Tally
    from vats_exporter.web import ListenAddress

STOPPING: Final = 4.0
"""Seconds for everything under way to end; who asked for the end waits no longer than five."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Exporter:
    """All accounts of a configuration, behind one address.

    Listens from its construction on, and answers from :meth:`start` on, whether or not a cabinet
    can be reached.

    Args:
        config: the accounts, and how long their snapshots are served.
        address: where to listen.

    Raises:
        OSError: the address is not to be had.
    """

    def __init__(self, config: Config, address: ListenAddress) -> None:
        self._config = config
        self._history = History(config.history.file, keep=config.history.keep)
        self._collector = Collector(
            (
                Account(
                    account.name,
                    _connector(account.cabinet, config.details),
                    ttl=config.cache.ttl,
                    stale=config.cache.stale,
                    history=self._history,
                )
                for account in config.accounts
            ),
            history=self._history,
        )
        self._site = Site(self._collector)
        self._server = WebServer(address, self._site.respond)

    @property
    def url(self) -> str:
        """A URL that reaches it from this machine, without a slash at the end."""
        return self._server.url

    def start(self) -> None:
        """Answer requests, and begin to read the cabinets, so that the first scrape finds some."""
        self._server.start()
        _log.info(
            "listening",
            address=str(self._server.address),
            accounts=len(self._config.accounts),
            config=str(self._config.file),
            version=__version__,
        )
        self._collector.refresh(timeout=0)

    def stop(self) -> None:
        """Let running answers and refreshes end, and close the cabinets; some seconds at most."""
        deadline = time.monotonic() + STOPPING
        self._site.stopping = True
        self._server.stop(timeout=STOPPING / 2)
        # Side by side, and in threads that do not keep the process: a refresh may be waiting for a
        # cabinet that hangs, and its connection is lost with the process anyway.
        closing = [
            threading.Thread(
                target=account.refresher.close,
                kwargs={"timeout": max(0.0, deadline - time.monotonic())},
                name=f"close {account.name}",
                daemon=True,
            )
            for account in self._collector.accounts
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._history.close()
        _log.info("stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _connector(settings: CabinetSettings, details: Details) -> Callable[[Tally], Source]:
    def connect(tally: Tally) -> Source:
        cabinet = Cabinet(settings, trace=tally.trace)
        if not details.enabled:
            return cabinet
        return DetailedSource(
            cabinet,
            ttl=details.ttl,
            concurrency=details.concurrency,
            on_details=tally.detailed,
        )

    return connect
