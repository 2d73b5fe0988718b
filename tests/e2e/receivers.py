"""Stand-ins for what Alertmanager sends to: a webhook, Telegram's API and a mail server."""

from __future__ import annotations

import email
import json
import socketserver
import threading
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from typing_extensions import Self

PATIENCE = 180.0
"""Seconds that anything is waited for; everything comes much sooner."""


class Receivers:
    """All three, each on a port of its own.

    Attributes:
        posts: what the webhook was sent, in order.
        telegrams: the texts that Telegram was sent.
        mails: the mails, parsed.
        patience: seconds that anything is waited for.
    """

    def __init__(self) -> None:
        self.news = threading.Condition()
        self.posts: list[dict[str, Any]] = []
        self.telegrams: list[str] = []
        self.mails: list[EmailMessage] = []
        self.sizes: list[int] = []
        self.patience = PATIENCE
        receivers = self

        class Http(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = b"{}"
                if "/bot" in self.path:
                    chat = {"id": 1, "type": "private"}
                    result = {"message_id": 1, "date": 1, "chat": chat}
                    answer = json.dumps({"ok": True, "result": result}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                receivers.take(self.path, json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        class Smtp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    word = line.split()[0].upper() if line.split() else b""
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        lines = []
                        while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                            lines.append(part.removeprefix(b"."))
                        receivers.take_mail(b"".join(lines))
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                    if word == b"QUIT":
                        return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
        self._smtp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)
        self._smtp.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.smarthost = f"127.0.0.1:{self._smtp.server_address[1]}"
        for server in (self._http, self._smtp):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def take(self, path: str, message: dict[str, Any]) -> None:
        with self.news:
            if "/bot" in path:
                self.telegrams.append(message["text"])
            else:
                self.posts.append(message)
            self.news.notify_all()

    def take_mail(self, data: bytes) -> None:
        message = email.message_from_bytes(data, policy=policy.default)
        with self.news:
            self.mails.append(message)
            self.sizes.append(len(data))
            self.news.notify_all()

    def until(self, what: str, seen: Callable[[], Any], patience: float = 0.0) -> Any:
        """Wait until something is so, looked at again with each message and five times a second."""
        patience = patience or self.patience
        with self.news:
            for _ in range(int(patience * 5)):
                result = seen()
                if result:
                    return result
                self.news.wait(0.2)
        raise AssertionError(f"{what}: not within {patience:g} s")

    def close(self) -> None:
        for server in (self._http, self._smtp):
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
