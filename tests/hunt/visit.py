"""A browser's recording of a visit to the cabinet, with everything in it that should stay there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from tests.demo.browser import Client

if TYPE_CHECKING:
    from vats_exporter.demo import SimulatedCabinet


def record_visit(cabinet: SimulatedCabinet) -> dict[str, Any]:
    """Sign in, look at trunks, move a selector; what a browser's tools note of it."""
    (account,) = cabinet.accounts
    trunks = [one for one in account.enterprise.trunks() if one.device is not None]
    with requests.Session() as session:
        session.trust_env = False
        browser = Client(cabinet, session)
        answers = [
            browser.sign_in(account),
            browser.get("/"),
            browser.get(f"/gwt/enterprise/{account.enterprise.number}/"),
            browser.list(),
            *(browser.form(trunk.ref, 31) for trunk in trunks),
            browser.selector(trunks[0].ref, on=True),
        ]
    return {"log": {"version": "1.2", "entries": [_entry(answer) for answer in answers]}}


def _entry(answer: requests.Response) -> dict[str, Any]:
    sent = answer.request
    request: dict[str, Any] = {
        "method": sent.method,
        "url": sent.url,
        "headers": _headers(sent.headers),
    }
    if sent.body is not None:
        text = sent.body.decode() if isinstance(sent.body, bytes) else sent.body
        request["postData"] = {"mimeType": sent.headers["Content-Type"], "text": text}
    response = {
        "status": answer.status_code,
        "headers": _headers(answer.headers),
        "cookies": [{"name": name, "value": value} for name, value in answer.cookies.items()],
        "content": {"mimeType": answer.headers.get("Content-Type", ""), "text": answer.text},
    }
    return {"request": request, "response": response}


def _headers(headers: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]
