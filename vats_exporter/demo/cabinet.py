"""The simulated cabinet as one thing to start, stop, look at and play with."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vats_exporter.demo import control
from vats_exporter.demo.accounts import make_accounts
from vats_exporter.demo.application import Application
from vats_exporter.demo.deployment import Deployment
from vats_exporter.demo.faults import Fault, FaultHook, Incoming
from vats_exporter.demo.server import Server
from vats_exporter.demo.stats import Stats

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from vats_exporter.demo.accounts import Account
    from vats_exporter.demo.http import Answer, HttpRequest


class SimulatedCabinet:
    """A cabinet over real HTTP, for the demo and for tests.

    >>> with SimulatedCabinet() as cabinet:
    ...     account = cabinet.account("demo")
    ...     settings = cabinet.url, account.login, account.password

    Args:
        accounts: the logins it knows; ``None`` for one with 25 trunks that stand still.
        address: host and port to listen on; port 0 chooses one at the first start and keeps it.
        deployment: names and habits; ``None`` draws one.
        tls: makes it HTTPS.
        clock: seconds since the epoch; for sessions and for the truth's time.

    Attributes:
        accounts: the logins it knows.
        faults: a hook that makes requests go wrong; ``None`` for none. Can be set at any time.
    """

    def __init__(
        self,
        accounts: Sequence[Account] | None = None,
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        deployment: Deployment | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = tuple(make_accounts(clock=clock) if accounts is None else accounts)
        for what in ("name", "login"):
            if len({getattr(account, what) for account in self.accounts}) < len(self.accounts):
                raise ValueError(f"two accounts have the same {what}")
        self.clock = clock
        self.faults: FaultHook | None = None
        self._address = address
        self._tls = tls
        self._stats = Stats()
        self._application = Application(
            self.accounts, deployment or Deployment.make(), self._stats, clock
        )
        self._deployments = itertools.count(1)
        self._server: Server | None = None

    def start(self) -> None:
        """Listen and serve, in threads of its own.

        Raises:
            RuntimeError: it does so already.
            OSError: the port is taken.
        """
        if self._server is not None:
            raise RuntimeError("the cabinet is running already")
        self._server = Server(self._address, self, self._tls)
        self._address = (self._address[0], self._server.server_port)
        self._server.start()

    def stop(self) -> None:
        """Stop listening and break all connections; it can be started again on the same port."""
        if self._server is not None:
            self._server.stop()
            self._server = None

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

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``; known from the first start on."""
        host, port = self._address
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    @property
    def deployment(self) -> Deployment:
        """The deployment that is running. Can be set; :meth:`redeploy` draws another one."""
        return self._application.deployment

    @deployment.setter
    def deployment(self, deployment: Deployment) -> None:
        self._application.deployment = deployment

    @property
    def session_lifetime(self) -> float | None:
        """Seconds from sign-in until a new session is over; ``None`` for never. Can be set."""
        return self._application.sessions.lifetime

    @session_lifetime.setter
    def session_lifetime(self, seconds: float | None) -> None:
        self._application.sessions.lifetime = seconds

    def account(self, name: str) -> Account:
        """Return an account by its name.

        Raises:
            LookupError: there is none.
        """
        for account in self.accounts:
            if account.name == name:
                return account
        raise LookupError(f"no account {name}")

    def redeploy(self) -> None:
        """Change permutations, hashes and signatures; sessions go on."""
        deployment = self._application.deployment
        seed = f"{deployment.permutations[0]} {next(self._deployments)}"
        self._application.deployment = deployment.redeployed(seed)

    def end_sessions(self, account: str | None = None) -> int:
        """End sessions.

        Args:
            account: whose; ``None`` for everybody's.

        Returns:
            How many there were.

        Raises:
            LookupError: there is no such account.
        """
        owner = None if account is None else self.account(account)
        return self._application.sessions.end(owner)

    def change_password(self, account: str, password: str) -> None:
        """Change a password, which ends the account's sessions.

        Raises:
            LookupError: there is no such account.
        """
        self.account(account).password = password
        self.end_sessions(account)

    def trunks(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return the truth about every trunk, as ``/_demo/trunks`` shows it.

        Args:
            account: whose; ``None`` for everybody's.

        Raises:
            LookupError: there is no such account.
        """
        accounts = self.accounts if account is None else [self.account(account)]
        return [
            control.truth(owner, trunk) for owner in accounts for trunk in owner.enterprise.trunks()
        ]

    def stats(self) -> dict[str, Any]:
        """Return the counts, as ``/_demo/stats`` shows them."""
        return {**self._stats.as_json(), "sessions": len(self._application.sessions)}

    def connected(self) -> None:
        """Count a connection; for the server."""
        self._stats.connection()

    @contextmanager
    def responding(self, request: HttpRequest) -> Iterator[tuple[Answer, Fault | None]]:
        """Answer a request, counting it until it is sent; for the server."""
        if request.path.startswith(control.PREFIX):
            yield control.answer(self, request), None
            return
        call, account = self._application.describe(request)
        with self._stats.request(call.name, account) as number:
            incoming = Incoming(call.name, number, account, call.page, call.trunk)
            fault = self.faults(incoming) if self.faults is not None else None
            if fault is not None and fault.instead is not None:
                yield fault.instead, fault
                return
            answer = self._application.answer(request)
            if fault is not None and fault.change is not None:
                answer = fault.change(answer)
            yield answer, fault
