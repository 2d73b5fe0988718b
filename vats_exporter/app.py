"""The exporter as one thing to start, reload and stop: the accounts, collected and served.

The one place that knows both the configuration and what is made of it. It knows no signals and no
command line, so that the demo and the tests start the same thing as ``serve`` does.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vats_exporter import __version__
from vats_exporter.cabinet.client import CLOSES_WITHIN, CabinetClient
from vats_exporter.config.display import display
from vats_exporter.config.problems import ConfigError
from vats_exporter.details import DetailedSource
from vats_exporter.history import History
from vats_exporter.logs.logger import get_logger
from vats_exporter.metrics.collector import Collector, MonitoredAccount
from vats_exporter.privacy import Privacy
from vats_exporter.redaction import describe_unexpected
from vats_exporter.web.addresses import Urls
from vats_exporter.web.connections import Limits
from vats_exporter.web.server import WebServer
from vats_exporter.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from vats_exporter.config.models import AccountSettings, Config, DetailsSettings
    from vats_exporter.metrics.counters import AccountCounters
    from vats_exporter.refresh import Source
    from vats_exporter.web.addresses import ListenAddress
    from vats_exporter.web.protection import Protection

STOPPING: Final = 4.0
"""Seconds for everything under way to end; who asked for the end waits no longer than five."""

ANSWERING: Final = 1.5
"""Seconds of them for clients to take their answers, which wait for no cabinet any more."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What is said on the command line, and stays as it is until the end.

    Attributes:
        protection: TLS and passwords of the exporter's own address; ``None`` for neither.
        limits: what clients may take.
        urls: where the pages are.
        lifecycle: whether the configuration may be reloaded over HTTP.
        privacy: what the trunks' labels hold back.
        probe_only: accounts are read for ``/probe`` alone.
    """

    protection: Protection | None = None
    limits: Limits = field(default_factory=Limits)
    urls: Urls = field(default_factory=Urls)
    lifecycle: bool = False
    privacy: Privacy = field(default_factory=Privacy)
    probe_only: bool = False


class Exporter:
    """All accounts of a configuration, served.

    Listens from its construction on, and answers from :meth:`start` on, whether or not a cabinet
    can be reached.

    Args:
        config: the accounts, and how long their snapshots are served.
        addresses: where to listen, one at least.
        options: how it is served.
        load: reads the configuration again; ``None`` where there is nothing to read.

    Raises:
        OSError: an address cannot be listened on; its ``filename`` is the address.
    """

    def __init__(
        self,
        config: Config,
        *addresses: ListenAddress,
        options: Options | None = None,
        load: Callable[[], Config] | None = None,
    ) -> None:
        self._config = config
        self._options = options or Options()
        self._load = load
        self._reloading = threading.Lock()
        self._closing: list[threading.Thread] = []
        self._history = _open_history(config)
        self._collector = Collector(
            (self._account(one, config) for one in config.accounts),
            history=self._history,
            probe_only=self._options.probe_only,
        )
        may_reload = self._options.lifecycle and load is not None
        self._site = Site(
            self._collector,
            urls=self._options.urls,
            reload=self.reload if may_reload else None,
            configuration=lambda: display(self._config, self._options.privacy),
            # The other half is for those who ask for what needs no waiting.
            max_waiting=max(1, self._options.limits.max_connections // 2),
        )
        self._server = WebServer(
            addresses,
            self._site.respond,
            limits=self._options.limits,
            protection=self._options.protection,
        )
        self._site.url = self._server.url

    @property
    def url(self) -> str:
        """A URL that reaches it from this machine, without a slash at the end."""
        return self._server.url

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return len(self._config.accounts)

    def is_alive(self) -> bool:
        """Tell whether connections are accepted and answered."""
        return self._server.is_alive()

    def start(self) -> None:
        """Answer requests, and begin to read the cabinets, so that the first scrape finds some."""
        self._server.start()
        for address in self._server.addresses:
            _log.info(
                "listening",
                address=str(address),
                accounts=len(self._config.accounts),
                config=str(self._config.file),
                version=__version__,
            )
        self._collector.refresh(timeout=0)

    def reload(self) -> tuple[str, ...]:
        """Read the configuration again, and go on with it if it is valid.

        Accounts whose settings are the same keep session, snapshot and history, and wait as long
        as they would have. Those that changed keep their counts, and serve their last good
        snapshot until there is another; one whose login was refused is tried again at once only
        with other credentials.

        Returns:
            what is wrong with the configuration, a line a problem; nothing if it is in use now.
        """
        if self._load is None:
            return ()
        with self._reloading:
            try:
                config = self._load()
            except ConfigError as error:
                return self._keep(error.lines())
            except Exception as bug:  # noqa: BLE001 - what runs goes on, as with a wrong file
                return self._keep([describe_unexpected(bug)])
            if self._site.stopping:
                return ("the exporter is stopping",)
            gone = self._swap(config)
            self._collector.config_loaded(successful=True)
            _log.info(
                "configuration reloaded", config=str(config.file), accounts=len(config.accounts)
            )
            # Nobody waits for the cabinets of accounts that are gone, until the end.
            still_closing = [thread for thread in self._closing if thread.is_alive()]
            self._closing = still_closing + _close(gone, STOPPING - CLOSES_WITHIN)
        self._collector.refresh(timeout=0)
        return ()

    def stop(self) -> None:
        """Let running answers and refreshes end, and close the cabinets; some seconds at most.

        Whoever waits for a refresh is answered with what there is. Refreshes may then take the time
        that is not kept back for signing out, and are broken after that, as is everything that
        hangs.
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
        refreshing = deadline - CLOSES_WITHIN - time.monotonic()
        self._closing += _close(accounts, refreshing)
        for thread in self._closing:
            thread.join(max(0.0, deadline - time.monotonic()))
        for account in accounts:
            account.retire()
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

    def _keep(self, problems: Sequence[str]) -> tuple[str, ...]:
        """Go on as it was, and say why."""
        self._collector.config_loaded(successful=False)
        for line in problems:
            _log.error("configuration not reloaded", error=line)
        return tuple(problems)

    def _swap(self, config: Config) -> list[MonitoredAccount]:
        """Put the accounts of a configuration in place; return those to be closed."""
        before = self._config
        if config.history != before.history:
            # One at a time: both may be the same file, kept for another time.
            self._history.close()
            self._history = self._collector.history = _open_history(config)
        settings = {one.name: one for one in before.accounts}
        # Details that are not read may be configured in any way.
        same_details = before.details == config.details or not (
            before.details.enabled or config.details.enabled
        )
        running = {account.name: account for account in self._collector.accounts}
        accounts = []
        for one in config.accounts:
            account = running.get(one.name)
            old = settings.get(one.name)
            if account is None or old is None:
                accounts.append(self._account(one, config))
            elif old.reads_like(one) and same_details:
                accounts.append(account)
                _configure(account, one)
                account.remember_in(self._history)
                account.refresher.retime(config.cache.ttl, config.cache.stale)
            else:
                same_login = _credentials(old) == _credentials(one)
                account = self._account(one, config, before=account, same_login=same_login)
                accounts.append(account)
        gone = [account for account in running.values() if account not in accounts]
        for account in gone:
            account.retire()
        self._config = config
        self._collector.accounts = tuple(accounts)
        return gone

    def _account(
        self,
        settings: AccountSettings,
        config: Config,
        *,
        before: MonitoredAccount | None = None,
        same_login: bool = False,
    ) -> MonitoredAccount:
        account = MonitoredAccount(
            settings.name,
            # As it is configured when it is asked for: a reload may change it.
            _connector(settings, config.details, lambda: self._config.cache.stale),
            ttl=config.cache.ttl,
            stale=config.cache.stale,
            history=self._history,
            privacy=self._options.privacy,
            before=before,
        )
        if before is not None:
            account.refresher.adopt(before.refresher, same_login=same_login)
        _configure(account, settings)
        return account


def _configure(account: MonitoredAccount, settings: AccountSettings) -> None:
    """Hand over what changes without a new session."""
    account.labels = settings.labels
    account.expected_off.entries = settings.expected_off
    account.expected_off.file = settings.expected_off_file


def _credentials(settings: AccountSettings) -> tuple[str, str, str]:
    return (settings.address, settings.login, settings.password)


def _open_history(config: Config) -> History:
    return History(config.history.file, keep=config.history.keep)


def _close(accounts: Iterable[MonitoredAccount], timeout: float) -> list[threading.Thread]:
    """Close accounts side by side.

    In threads that do not keep the process: a refresh may be waiting for a cabinet that hangs, and
    its connection is lost with the process anyway.
    """
    closing = [
        threading.Thread(
            target=account.refresher.close,
            kwargs={"timeout": max(0.0, timeout)},
            name=f"close {account.name}",
            daemon=True,
        )
        for account in accounts
    ]
    for thread in closing:
        thread.start()
    return closing


def _connector(
    settings: AccountSettings, details: DetailsSettings, stale: Callable[[], float]
) -> Callable[[AccountCounters], Source]:
    def connect(counters: AccountCounters) -> Source:
        cabinet = CabinetClient(settings, trace=counters.trace)
        if not details.enabled:
            return cabinet
        return DetailedSource(cabinet, ttl=details.ttl, stale=stale, on_details=counters.detailed)

    return connect
