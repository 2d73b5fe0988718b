"""The simulated cabinet as one thing to start, stop, look at and play with.

Under ``/_demo/`` it tells the truth, and can be changed by hand:

====== ========================== =============================================================
method path                       does
====== ========================== =============================================================
GET    /_demo/trunks              shows every trunk of every account (``?account=NAME`` of one)
GET    /_demo/stats               shows counts
POST   /_demo/trunks              adds a trunk: ``{"account": "demo"}``
POST   /_demo/trunks/PHONE        changes a trunk: ``{"active": false}``; also ``bound``,
                                  ``marked_for_deletion``, ``sip_device_enabled``, ``name``
DELETE /_demo/trunks/PHONE        takes a trunk from the list
POST   /_demo/redeploy            changes permutations, hashes and signatures
POST   /_demo/end-sessions        ends all sessions: ``{}`` or ``{"account": "demo"}``
POST   /_demo/password            ``{"account": "demo", "password": "…"}``; sessions end, too
POST   /_demo/pace                ``{"seconds": 0}`` stops what changes by itself
====== ========================== =============================================================

Everything answers JSON; what can't be done answers ``{"error": "…"}`` with status 400 or 404.
Nobody has to sign in. SIP logins and passwords are never shown.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event
from typing import Any, Final
from urllib.parse import parse_qsl

from typing_extensions import Self

from vats_exporter.demo import http
from vats_exporter.demo.application import Application
from vats_exporter.demo.deployment import Deployment
from vats_exporter.demo.enterprise import Account, SimulatedTrunk, make_accounts
from vats_exporter.demo.http import Answer, Fault, HttpRequest, Incoming, Server

_PREFIX: Final = "/_demo/"

_FLAGS: Final = ("active", "bound", "marked_for_deletion", "sip_device_enabled")
_CHANGES: Final[Mapping[str, type]] = {**dict.fromkeys(_FLAGS, bool), "name": str}
"""What :meth:`Enterprise.change` can change of a trunk."""


class SimulatedCabinet(Application):
    """A cabinet over real HTTP, for the demo and for tests.

    >>> with SimulatedCabinet() as cabinet:
    ...     account = cabinet.account("demo")
    ...     settings = cabinet.url, account.login, account.password

    By default it has one account, with 25 trunks that stand still, and draws its deployment. Port 0
    chooses a port at the first start, which is kept.
    """

    def __init__(
        self,
        accounts: Iterable[Account] | None = None,
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        deployment: Deployment | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        accounts = make_accounts(clock=clock) if accounts is None else accounts
        super().__init__(accounts, deployment or Deployment.make(), "https" if tls else "http")
        # Sees each request before it is answered, in several threads; can be set at any time.
        self.faults: Callable[[Incoming], Fault | None] | None = None
        self._clock = clock
        self._address = address
        self._tls = tls
        self._server: Server | None = None
        self._stopping = Event()

    def start(self) -> None:
        """Listen and serve, in threads of its own."""
        self._stopping.clear()
        self._server = Server(self._address, self._responding, self._stats, self._tls)
        self._address = (self._address[0], self._server.server_port)

    def stop(self) -> None:
        """Stop listening and break all connections; it can be started again on the same port."""
        self._stopping.set()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``; known from the first start on."""
        host, port = self._address
        return f"{self._scheme}://{host}:{port}"

    def account(self, name: str) -> Account:
        """Return an account by its name; a ``LookupError`` if there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        raise LookupError(f"no account {name}")

    def redeploy(self) -> None:
        """Change permutations, hashes, signatures and the rows' layout; sessions go on."""
        self.deployment = self.deployment.redeployed(self.deployment.permutations[0])

    def end_sessions(self, account: str | None = None) -> int:
        """End the sessions of an account, or of all, and return how many there were."""
        whose = self._those(account)
        ended = [cookie for cookie, owner in list(self.sessions.items()) if owner in whose]
        for cookie in ended:
            self.sessions.pop(cookie, None)
        return len(ended)

    def change_password(self, account: str, password: str) -> None:
        """Change a password, which ends the account's sessions."""
        self.account(account).password = password
        self.end_sessions(account)

    def trunks(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return the true state of an account's trunks, or of all, as ``/_demo/trunks`` does."""
        return [
            _truth(owner, trunk)
            for owner in self._those(account)
            for trunk in owner.enterprise.trunks()
        ]

    def stats(self) -> dict[str, Any]:
        """Return the counts, as ``/_demo/stats`` shows them."""
        return {**self._stats.as_json(), "sessions": len(self.sessions)}

    def _those(self, account: str | None) -> Iterable[Account]:
        return self.accounts if account is None else [self.account(account)]

    @contextmanager
    def _responding(self, request: HttpRequest) -> Iterator[tuple[Answer, Fault]]:
        """Answer a request, counting it until it is sent."""
        if request.path.startswith(_PREFIX):
            yield self._control(request), Fault()
            return
        incoming = self.describe(request)
        with self._stats.request(incoming.call, incoming.account) as number:
            hook = self.faults
            fault = (hook and hook(replace(incoming, number=number))) or Fault()
            answer = fault.instead or self.answer(request)
            if fault.change is not None:
                answer = fault.change(answer)
            while fault.wait and not fault.wait.wait(http.LOOKS_EVERY):
                if self._stopping.is_set():
                    raise ConnectionAbortedError
            yield answer, fault

    def _control(self, request: HttpRequest) -> Answer:
        status = 200
        try:
            shown = self._controlled(request)
        except (ValueError, LookupError) as error:
            shown = {"error": str(error)}
            status = 400 if isinstance(error, ValueError) else 404
        text = json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
        return http.text(text, http.JSON, status=status)

    def _controlled(  # noqa: PLR0911 - one each of what can be done
        self, request: HttpRequest
    ) -> dict[str, Any]:
        """Do what is asked for; see the table above."""
        asked = _parse(request.body) if request.method == "POST" else {}
        match request.method, request.path.removeprefix(_PREFIX).split("/"):
            case "GET", ["trunks"]:
                asked = dict(parse_qsl(request.query))
                return {"trunks": self.trunks(asked.get("account")), "at": self._clock()}
            case "GET", ["stats"]:
                return self.stats()
            case "POST", ["trunks"]:
                owner = self.account(_get(asked, "account", str))
                return _truth(owner, owner.enterprise.add())
            case "POST", ["trunks", phone]:
                return self._change(phone, asked)
            case "DELETE", ["trunks", phone]:
                owner = self._owner(phone)
                return _truth(owner, owner.enterprise.remove(phone))
            case "POST", ["redeploy"]:
                self.redeploy()
                return {"permutations": list(self.deployment.permutations)}
            case "POST", ["end-sessions"]:
                account = _get(asked, "account", str) if "account" in asked else None
                return {"ended": self.end_sessions(account)}
            case "POST", ["password"]:
                self.change_password(_get(asked, "account", str), _get(asked, "password", str))
                return {"changed": True}
            case "POST", ["pace"]:
                seconds = _get(asked, "seconds", (int, float))
                for account in self.accounts:
                    account.enterprise.set_pace(seconds)
                return {"seconds": seconds}
        raise LookupError("no such thing to do")

    def _change(self, phone: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        for name in asked:
            if name not in _CHANGES:
                raise ValueError(f"{name}: can't be changed, only {', '.join(_CHANGES)}")
            _get(asked, name, _CHANGES[name])
        owner = self._owner(phone)
        return _truth(owner, owner.enterprise.change(phone, **asked))

    def _owner(self, phone: str) -> Account:
        for account in self.accounts:
            with suppress(LookupError):
                account.enterprise.find(phone)
                return account
        raise LookupError(f"no trunk {phone}")


def _truth(account: Account, trunk: SimulatedTrunk) -> dict[str, Any]:
    """Return what a client should find out about a trunk, and when it last changed."""
    device = trunk.device
    return {
        "account": account.name,
        "ref": trunk.ref,
        "id": trunk.id,
        "phone": trunk.phone,
        "name": trunk.name,
        "active": trunk.state.active,
        "bound": trunk.state.bound,
        "marked_for_deletion": trunk.state.marked_for_deletion,
        "pattern": trunk.state.pattern,
        "line": device.line if device else None,
        "sip_device_enabled": device.enabled if device else None,
        "changed_at": trunk.changed_at,
    }


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return {**json.loads(body or b"{}")}
    except (ValueError, TypeError):
        raise ValueError("the body is not a JSON object") from None


def _get(asked: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = asked.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}: missing, or of the wrong type")
    return value
