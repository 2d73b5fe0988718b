"""The exporter as one thing to start, reload and stop, without signals and command line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

from typing_extensions import Self

from vats_exporter import __version__
from vats_exporter.address import ListenAddress
from vats_exporter.cabinet.client import CLOSES_WITHIN, CabinetClient
from vats_exporter.config.loading import display
from vats_exporter.config.models import AccountSettings, Config
from vats_exporter.config.problems import ConfigError
from vats_exporter.details import DetailedSource
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.history.kept import open_history
from vats_exporter.logs import get_logger
from vats_exporter.metrics.collector import AccountCounters, Collector, MonitoredAccount
from vats_exporter.redaction import Privacy, describe_unexpected
from vats_exporter.refresh import Source
from vats_exporter.web.protection import Protection
from vats_exporter.web.server import Limits, WebServer
from vats_exporter.web.site import Site, Urls

# Seconds for everything under way to end (a stop may take five), and of these the seconds for
# clients to take their answers, which no longer wait for a cabinet.
STOPPING: Final = 4.0
ANSWERING: Final = 1.5

_log = get_logger(__name__)


class Options(NamedTuple):
    """Settings of the command line; a reload does not change them."""

    protection: Protection | None = None  # TLS and passwords of the exporter's own address
    limits: Limits = Limits()
    urls: Urls = Urls()
    lifecycle: bool = False  # the configuration may be reloaded over HTTP
    privacy: Privacy = Privacy()
    probe_only: bool = False  # accounts are read for /probe alone


class Exporter:
    """All accounts of a configuration, served, whether or not a cabinet can be reached.

    Listens from its construction on, and answers from :meth:`start` on. ``load`` reads the
    configuration again. An address that cannot be listened on is the ``filename`` of an
    :exc:`OSError`.
    """

    def __init__(
        self,
        config: Config,
        *addresses: ListenAddress,
        options: Options | None = None,
        load: Callable[[], Config] | None = None,
    ) -> None:
        options = options or Options()
        self._config = config
        self._privacy = options.privacy
        self._load = load or (lambda: config)
        self._reloading = threading.Lock()
        self._closing: list[threading.Thread] = []
        self._running: dict[str, tuple[AccountSettings, MonitoredAccount]] = {}
        history = open_history(config.history.file, config.history.keep)
        self._collector = Collector(history=history, probe_only=options.probe_only)
        self._swap(config)
        self._site = Site(
            self._collector,
            urls=options.urls,
            reload=self.reload if options.lifecycle else None,
            configuration=lambda: display(self._config, options.privacy),
            # The other half is for requests that wait for no refresh.
            max_waiting=max(1, options.limits.max_connections // 2),
        )
        self._server = WebServer(
            addresses, self._site.respond, limits=options.limits, protection=options.protection
        )
        self.url = self._site.url = self._server.url  # from this machine, with no slash at the end
        self.is_alive = self._server.is_alive

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return len(self._config.accounts)

    def start(self) -> None:
        """Answer requests, and start reading the cabinets before the first scrape."""
        self._server.start()
        facts = {"accounts": self.accounts, "config": self._config.file, "version": __version__}
        for address in self._server.addresses:
            _log.info("listening", address=str(address), **facts)
        self._collector.refresh(timeout=0)

    def reload(self) -> tuple[str, ...]:
        """Reload the configuration, and use it if it is valid; return its problems.

        Accounts with unchanged settings keep running. Those that changed keep their counts, and
        serve their last good snapshot until there is another; a refused login is tried again at
        once only with other credentials.
        """
        with self._reloading:
            try:
                config, problems = self._load(), []
            except ConfigError as error:
                problems = error.lines()
            except Exception as bug:  # noqa: BLE001 - the running accounts continue, as with a wrong file
                problems = [describe_unexpected(bug)]
            if problems:
                self._collector.config_loaded(successful=False)
                for line in problems:
                    _log.error("configuration not reloaded", error=line)
                return tuple(problems)
            if self._site.stopping:
                return ("the exporter is stopping",)
            gone = self._swap(config)
            self._collector.config_loaded(successful=True)
            _log.info("configuration reloaded", config=str(config.file), accounts=self.accounts)
            self._close(gone, STOPPING - CLOSES_WITHIN)  # not waited for until the end
        self._collector.refresh(timeout=0)
        return ()

    def stop(self) -> None:
        """Let running answers and refreshes end, and close the cabinets; some seconds at most.

        Scrapes that wait for a refresh get the latest snapshot. Refreshes may take the time that
        is not reserved for signing out; after that they are broken off, as is all that hangs.
        """
        deadline = time.monotonic() + STOPPING
        self._site.stopping = True
        # One under way ends first: it would leave accounts behind. Later ones find the end begun.
        if self._reloading.acquire(timeout=ANSWERING):
            self._reloading.release()
        accounts = self._collector.accounts
        for account in accounts:
            account.refresher.release()
        self._server.stop(timeout=ANSWERING)
        self._close(accounts, deadline - CLOSES_WITHIN - time.monotonic())
        for thread in self._closing:
            thread.join(max(0.0, deadline - time.monotonic()))
        for account in accounts:
            account.retire()
        self._collector.history.close()
        _log.info("stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _swap(self, config: Config) -> list[MonitoredAccount]:
        """Put the accounts of a configuration in place; return those to be closed."""
        before, running = self._config, self._running
        if config.history != before.history:
            # One at a time: both may be the same file, kept for another time.
            self._collector.history.close()
            self._collector.history = open_history(config.history.file, config.history.keep)
        # Details that are not read may be configured in any way.
        read = before.details.enabled or config.details.enabled
        same_details = before.details == config.details or not read
        self._config, self._running = config, {}
        for one in config.accounts:
            old, account = running.get(one.name, (None, None))
            if account and old and old.reads_like(one) and same_details:
                account.remember_in(self._collector.history)
                account.refresher.retime(config.cache.ttl, config.cache.stale)
            else:
                account = self._account(one, account, old)
            account.labels = one.labels
            marks = one.expected_off or one.expected_off_file
            if account.expected_off.file != one.expected_off_file:  # its entries are not another's
                account.expected_off = ExpectedOff(file=one.expected_off_file)
            account.expected_off.entries = one.expected_off
            account.refresher.mark = account.expected_off.mark if marks else None
            self._running[one.name] = one, account
        self._collector.accounts = tuple(account for _, account in self._running.values())
        gone = [one for _, one in running.values() if one not in self._collector.accounts]
        for account in gone:
            account.retire()
        return gone

    def _account(
        self,
        settings: AccountSettings,
        before: MonitoredAccount | None,
        old: AccountSettings | None,
    ) -> MonitoredAccount:
        """Make an account; ``before`` is the same one as ``old`` settings had it."""
        cache, details = self._config.cache, self._config.details
        counters = before.counters if before else AccountCounters(settings.name)
        cabinet = CabinetClient(settings, trace=counters.trace)
        source: Source = cabinet
        if details.enabled:
            source = DetailedSource(
                cabinet,
                ttl=details.ttl,
                # As it is configured when it is asked for: a reload may change it.
                stale=lambda: self._config.cache.stale,
                on_details=counters.detailed,
            )
        account = MonitoredAccount(
            settings.name,
            source,
            counters,
            ttl=cache.ttl,
            stale=cache.stale,
            history=self._collector.history,
            privacy=self._privacy,
        )
        if before is not None and old is not None:
            login = (settings.address, settings.login, settings.password)
            same_login = login == (old.address, old.login, old.password)
            account.refresher.adopt(before.refresher, same_login=same_login)
        return account

    def _close(self, accounts: Iterable[MonitoredAccount], timeout: float) -> None:
        """Close accounts concurrently, in threads that do not keep the process alive."""
        self._closing = [thread for thread in self._closing if thread.is_alive()]
        for account in accounts:
            close = partial(account.refresher.close, max(0.0, timeout))
            thread = threading.Thread(target=close, name=f"close {account.name}", daemon=True)
            thread.start()
            self._closing.append(thread)
