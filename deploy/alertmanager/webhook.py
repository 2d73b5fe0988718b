"""A receiver to try Alertmanager with: prints each alert that it is sent, a line each.

``docker compose -f deploy/compose.yaml logs -f webhook`` shows them. Replace it by your own.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PORT: Final = 9099


class Receiver(BaseHTTPRequestHandler):
    """Alertmanager's ``POST``, and a ``GET`` that says that it is there."""

    def do_GET(self) -> None:
        """Answer a health check."""
        self._answer()

    def do_POST(self) -> None:
        """Print the alerts."""
        message = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        for alert in message.get("alerts", []):
            labels, texts = alert["labels"], alert["annotations"]
            words = texts.get("resolved" if alert["status"] == "resolved" else "description", "")
            account = labels.get("account", "-")
            print(alert["status"], labels["alertname"], account, words, flush=True)  # noqa: T201
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print the alerts alone."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Receiver).serve_forever()
