"""A server that replays the captures of tests/wire, byte for byte.

It shares no code with the package, not even the reading of requests, so that the client is held to
what Google's server wrote and reads, and not to its own idea of it. Written on bare sockets, so
that it can also misbehave below HTTP: stop in the middle, drip, reset, never end.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self

WIRE: Final = Path(__file__).parents[1] / "wire"
SIGN_IN: Final = "/j_spring_security_check"
NOCACHE: Final = "/vpbxGwt/vpbxGwt.nocache.js"
LIST: Final = "/vpbxGwt/AbonentBrowserGwtService"
ENTERPRISE: Final = "/gwt/enterprise/2613189773/"
LOGIN: Final = "+7-9161234567"
PASSWORD: Final = "geheim-Пароль"
COOKIE: Final = "geheim-cookie"


def capture(name: str) -> bytes:
    return (WIRE / f"{name}.txt").read_bytes()


def truth(name: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((WIRE / f"{name}.json").read_text())
    return loaded


def rows(name: str) -> list[dict[str, Any]]:
    found = truth(name)["rows"]
    assert isinstance(found, list)
    return found


def ids(name: str) -> list[str]:
    return [row["id_b64"] for row in rows(name)]


def renamed(body: bytes, page: int) -> bytes:
    """A capture's page with other references, unlike those of other pages."""
    return re.sub(rb"'Ca(?=[^']{4}',2,)", b"'" + ALPHABET[page + 3].encode() + b"a", body)


_SCRIPT: Final = truth("permutation_cache")
PERMUTATION: Final = str(_SCRIPT["permutation"])


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def page(self) -> str:
        """The long that stands where a list request has its page."""
        return self.body.decode().split("|")[-5]


@dataclass(frozen=True)
class Reply:
    """What is sent back.

    Attributes:
        status: and reason.
        body: as is.
        headers: besides Content-Length, which is the body's unless it is among them.
        raw: sent instead of all that, piece by piece.
        then: what becomes of the connection.
    """

    status: str = "200 OK"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: Iterable[bytes] | None = None
    then: Literal["keep", "close", "reset", "hang", "garble"] = "keep"


Answerer = Callable[[Received], Reply]


def html(text: str = "<!DOCTYPE html><html><body>ok</body></html>") -> Reply:
    return Reply(body=text.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def redirect(location: str, status: str = "302 Found", cookie: str = "") -> Reply:
    headers = {"Location": location}
    if cookie:
        headers["Set-Cookie"] = cookie
    return Reply(status=status, headers=headers)


def gwt(body: bytes) -> Reply:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Disposition": "attachment",
    }
    return Reply(body=body, headers=headers)


class ReplayServer:
    """A cabinet made of captures.

    Attributes:
        login: whom it lets in.
        password: and with what.
        pages: bodies of the list's pages, from the first; after them comes the empty page.
        permutation: strong name in force; a script of another one is not there.
        policy: the policy hash in force for the list; another gives the capture's ``//EX``.
        received: every request, in order.
        forms: what was sent to sign in, decoded.
        connections: how many were opened.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.login = LOGIN
        self.password = PASSWORD
        self.pages: list[bytes] = [capture("list_page3")]
        self.permutation = PERMUTATION
        self.policy = PERMUTATION_POLICY
        self.received: list[Received] = []
        self.forms: list[dict[str, str]] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._sessions: set[str] = set()
        self._scripted: dict[str, list[Reply | Answerer]] = defaultdict(list)
        self._context = context
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        host = "localhost" if self._context else "127.0.0.1"
        return f"{'https' if self._context else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *self._threads]:
            thread.join(5)

    def answer(self, path: str, *replies: Reply | Answerer) -> None:
        """Answer the next requests of a path with these, one each, before the usual answers."""
        self._scripted[path] += replies

    def always(self, path: str, reply: Reply | Answerer) -> None:
        """Answer all requests of a path with this."""
        self._scripted[path] = [reply] * 1000

    def end_sessions(self) -> None:
        self._sessions.clear()

    def redeploy(self, permutation: str = "49826FB6F3AD24BF916A9026ED9BE186") -> None:
        """Give the permutation and the list's policy other names, as a new build does."""
        self.permutation = permutation
        self.policy = "0123456789ABCDEF0123456789ABCDEF"

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.received)

    def calls(self) -> list[str]:
        return [request.path for request in self.received]

    # -- the cabinet

    def _reply(self, request: Received) -> Reply:
        scripted = self._scripted[request.path]
        if scripted:
            reply = scripted.pop(0)
            return reply if isinstance(reply, Reply) else reply(request)
        usual: dict[str, Answerer] = {
            SIGN_IN: self._sign_in,
            "/login": lambda _: html(capture("login_page").decode()),
            "/": self._behind_login(lambda _: redirect(ENTERPRISE)),
            ENTERPRISE: self._behind_login(lambda _: html()),
            NOCACHE: lambda _: _script("nocache_one", PERMUTATION, self.permutation),
            f"/vpbxGwt/{self.permutation}.cache.js": lambda _: _script(
                "permutation_cache", PERMUTATION_POLICY, self.policy
            ),
            LIST: self._behind_login(self._list),
        }
        answer = usual.get(request.path.partition(";")[0])
        if answer is None:
            return Reply(status="404 Not Found", body=b"<html>nothing here</html>")
        return answer(request)

    def _behind_login(self, answer: Answerer) -> Answerer:
        def check(request: Received) -> Reply:
            match = re.search(r"JSESSIONID=([^;]+)", request.headers.get("cookie", ""))
            return answer(request) if match and match[1] in self._sessions else redirect("/login")

        return check

    def _sign_in(self, request: Received) -> Reply:
        form = dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True))
        self.forms.append(form)
        if form != {"j_username": self.login, "j_password": self.password}:
            return redirect("/login?error=1")
        session = f"{COOKIE}-{len(self._sessions)}-{len(self.forms)}"
        self._sessions.add(session)
        return redirect("/", cookie=f"JSESSIONID={session}; Path=/; HttpOnly")

    def _list(self, request: Received) -> Reply:
        """Answer a list request, as strictly as the captures let us know."""
        if "x-gwt-permutation" not in request.headers or (
            request.headers.get("content-type") != "text/x-gwt-rpc; charset=utf-8"
        ):
            text = b"The call failed on the server; see server log for details"
            return Reply(status="500 Internal Server Error", body=text)
        parts = request.body.decode().split("|")
        if parts[:3] != ["7", "0", "8"] or parts[-1] != "":
            raise AssertionError(f"not a list request: {request.body!r}")
        strings = parts[3:11]
        if strings[1] != self.policy:
            return gwt(capture("ex_incompatible_policy"))
        if strings[4] not in SIGNATURES:
            return gwt(capture("ex_incompatible_type"))
        page = request.page
        number = ALPHABET.index(page[-1]) + 64 * (ALPHABET.index(page[0]) if page[1:] else 0)
        return gwt(self.pages[number] if number < len(self.pages) else capture("list_empty"))

    # -- the wire

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self.connections += 1
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            if self._context is None and connection.recv(1, socket.MSG_PEEK) == b"\x16":
                # The first byte of TLS: answered as web servers do.
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return
            stream = connection.makefile("rb")
            with stream:
                for request in _requests(stream.readline, stream.read):
                    self.received.append(request)
                    if not self._send(connection, self._reply(request)):
                        return
        except OSError:
            pass  # the client went away, which is its right
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _send(self, connection: socket.socket, reply: Reply) -> bool:
        """Send a reply; whether the connection stays."""
        if reply.raw is not None:
            for piece in reply.raw:
                if self.stopping.is_set():
                    return False
                connection.sendall(piece)
        else:
            headers = {"Content-Length": str(len(reply.body)), **reply.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            start = f"HTTP/1.1 {reply.status}\r\n{head}\r\n".encode("latin-1")
            connection.sendall(start + reply.body)
        if reply.then == "hang":
            self.stopping.wait()
        if reply.then == "garble":
            # Below TLS, where nothing that is no TLS may stand.
            socket.socket.send(connection, b"this is no TLS record, and never was one")
        if reply.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return reply.then == "keep"


def _script(name: str, old: str, new: str) -> Reply:
    body = capture(name).replace(old.encode(), new.encode())
    return Reply(body=body, headers={"Content-Type": "text/javascript"})


def _requests(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Iterator[Received]:
    while line := readline():
        method, target, _ = line.decode("latin-1").split(" ")
        headers: dict[str, str] = {}
        while (header := readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = read(int(headers.get("content-length", "0")))
        # A proxy gets, and passes on, whole addresses.
        path = re.sub(r"^http://[^/]*", "", target).partition("?")[0]
        yield Received(method, path, headers, body)


def _policies() -> dict[str, str]:
    policies = _SCRIPT["service_policies"]
    assert isinstance(policies, dict)
    return policies


def _signatures() -> list[str]:
    signatures = _SCRIPT["type_signatures"]
    assert isinstance(signatures, list)
    return signatures


PERMUTATION_POLICY: Final = _policies()["AbonentBrowserGwtService"]
SIGNATURES: Final = frozenset(_signatures())
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$_"
