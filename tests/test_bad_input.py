"""Whatever a cabinet does wrong is one count, one log line, and nothing else.

A real client reads the simulated cabinet over HTTP, through a refresher, a collector and the real
log. First all is well; then something goes wrong; then it is mended. What each fault comes to
stands in one table.
"""

from __future__ import annotations

import gzip
import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest

from tests.doubles import make_due
from tests.faults.faults import changed, content_of
from tests.process import process_put_back
from vats_exporter import logs
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts
from vats_exporter.gwt import decode, encode_response
from vats_exporter.metrics.collector import AccountCounters, Collector, MonitoredAccount
from vats_exporter.metrics.exposition import Format
from vats_exporter.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vats_exporter.demo import SimulatedTrunk

PATIENCE = 20.0
TRUNKS = 25
PAGE_SIZE = 10
HTML = (("Content-Type", "text/html"),)
PASSWORD = "geheim" + "".join(map(chr, range(32, 127))) + "Пароль-Ёё"


def answers(call: str, answer: Answer, page: int | None = None) -> Callable[..., Fault | None]:
    """Another answer to one kind of call."""
    return faulty(call, Fault(instead=answer), page)


def changes(call: str, change: Callable[[Answer], Answer], page: int | None = None) -> Hook:
    """The right answer, changed."""
    return faulty(call, Fault(change=change), page)


def faulty(call: str, fault: Fault, page: int | None = None) -> Hook:
    def hook(incoming: Incoming) -> Fault | None:
        meant = incoming.call == call and (page is None or incoming.page == page)
        return fault if meant else None

    return hook


Hook = Callable[[Incoming], "Fault | None"]


def cut_in_half(answer: Answer) -> Answer:
    content = content_of(answer)
    return changed(answer, content[: len(content) // 2])


def garbled(answer: Answer) -> Answer:
    return changed(answer, content_of(answer).replace(b",0,7]", b",0,]"))


def broken_gzip(answer: Answer) -> Answer:
    whole = gzip.compress(content_of(answer))
    spoilt = whole[:40] + bytes(byte ^ 0xFF for byte in whole[40:60]) + whole[60:]
    return Answer(200, (*changed(answer, b"").headers, ("Content-Encoding", "gzip")), spoilt)


def another_total(answer: Answer) -> Answer:
    response = decode(content_of(answer))
    tokens = [TRUNKS + 1, *response.tokens[1:]]
    return changed(answer, encode_response(replace(response, tokens=tokens)).encode())


def endless() -> Iterator[bytes]:
    yield b"//OK["
    while True:
        yield b"0," * 32_768


def repeated_page(cabinet: SimulatedCabinet) -> Hook:
    """The second page is the first one again."""
    first: list[bytes] = []

    def change(answer: Answer) -> Answer:
        return changed(answer, first[0])

    def keep(answer: Answer) -> Answer:
        first[:] = [content_of(answer)]
        return answer

    def hook(incoming: Incoming) -> Fault | None:
        if incoming.call != "list":
            return None
        return Fault(change=keep) if incoming.page == 0 else Fault(change=change)

    return hook


def removed_between_pages(cabinet: SimulatedCabinet) -> Hook:
    """A new first trunk moves every row on by one, so that the last of page 1 comes again."""

    def hook(incoming: Incoming) -> Fault | None:
        if incoming.call == "list" and incoming.page == 1:
            enterprise = cabinet.account("demo-1").enterprise
            first = enterprise.trunks()[0]
            enterprise.remove(first.ref)
        return None

    return hook


def circle(incoming: Incoming) -> Fault | None:
    answer = Answer(302, (("Location", "/round"),))
    return Fault(instead=answer) if incoming.call in ("sign_in", "other") else None


def logged_out(cabinet: SimulatedCabinet, hook: Hook) -> Hook:
    """A fault at sign-in shows once the session is gone."""
    cabinet.end_sessions()
    return hook


@dataclass(frozen=True)
class Case:
    """A fault and what it comes to.

    ``break_`` makes it; ``result`` is the word in metrics and log; ``says`` stands in the line.
    """

    name: str
    break_: Callable[[SimulatedCabinet], Hook | None]
    result: str
    says: str


EX = b'//EX[2,1,["ru.cti.vpbx.shared.exceptions.VpbxGwtException/928778411","x"],0,7]'
LOGIN_PAGE = b'<form action="/j_spring_security_check"><input type="password" name="j_password">'

CASES = [
    Case("a truncated answer", lambda _: changes("list", cut_in_half), "undecodable", "list: "),
    Case("a body cut off", lambda _: faulty("list", Fault(cut=99)), "undecodable", "cut off"),
    Case(
        "a reset in the body",
        lambda _: faulty("list", Fault(cut=99, reset=True)),
        "unreachable",
        "list: ",
    ),
    Case("a connection dropped", lambda _: faulty("list", Fault(drop=True)), "unreachable", "list"),
    Case("an empty body", lambda _: answers("list", Answer()), "not_gwt", "empty"),
    Case("HTML", lambda _: answers("list", Answer(200, HTML, b"<html>")), "not_gwt", "HTML"),
    Case("JSON", lambda _: answers("list", Answer(200, (), b'{"error": 1}')), "not_gwt", "list: "),
    Case(
        "the login page again and again",
        lambda _: answers("list", Answer(200, HTML, LOGIN_PAGE)),
        "not_gwt",
        "login page",
    ),
    Case("500", lambda _: answers("list", Answer(500, (), b"oops")), "not_gwt", "HTTP 500"),
    Case(
        "503 with Retry-After",
        lambda _: answers("list", Answer(503, (("Retry-After", "120"),), b"")),
        "not_gwt",
        "HTTP 503, to be tried again after 120 s",
    ),
    Case("broken gzip", lambda _: changes("list", broken_gzip), "undecodable", "compress"),
    Case(
        "an endless answer",
        lambda _: answers("list", Answer(200, (), endless())),
        "undecodable",
        "longer than",
    ),
    Case(
        "an answer that never comes",
        lambda _: faulty("list", Fault(wait=threading.Event())),
        "timeout",
        "nothing received for 1.5 s",
    ),
    Case(
        "redirects in a circle",
        lambda cabinet: logged_out(cabinet, circle),
        "not_gwt",
        "redirects in a circle",
    ),
    Case(
        "a redirect to another host",
        lambda cabinet: logged_out(
            cabinet,
            answers("sign_in", Answer(302, (("Location", "http://127.0.0.2:9/x"),))),
        ),
        "not_gwt",
        "another host",
    ),
    Case(
        "a wrong password",
        lambda cabinet: cabinet.change_password("demo-1", "another"),
        "login_refused",
        "refused login and password",
    ),
    Case(
        "an exception of the application",
        lambda _: answers("list", Answer(200, (), EX)),
        "gwt_exception",
        "VpbxGwtException",
    ),
    Case("a garbled answer", lambda _: changes("list", garbled), "undecodable", " at "),
    Case("a page that comes twice", repeated_page, "incomplete", "page 2 is page 1 again"),
    Case(
        "rows that move between two pages",
        removed_between_pages,
        "incomplete",
        "the list changed while it was read",
    ),
    Case(
        "a total that does not match",
        lambda _: changes("list", another_total),
        "incomplete",
        "but the cabinet says 26",
    ),
    Case("a cabinet that is down", lambda cabinet: cabinet.stop(), "unreachable", "refused"),
]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log, at its most talkative."""
    stream = io.StringIO()
    with process_put_back():
        logs.configure(stream=stream, level="debug")
        yield stream


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    cabinet = SimulatedCabinet(make_accounts(2, trunks=TRUNKS))
    cabinet.change_password("demo-1", PASSWORD)
    with cabinet:
        yield cabinet


@pytest.fixture
def collector(cabinet: SimulatedCabinet) -> Iterator[Collector]:
    def account(name: str) -> MonitoredAccount:
        simulated = cabinet.account(name)
        settings = CabinetSettings(
            address=cabinet.url,
            login=simulated.login,
            password=simulated.password,
            page_size=PAGE_SIZE,
            max_response=256 * 1024,
            timeouts=Timeouts(connect=5.0, read=1.5, call=10.0),
        )
        counters = AccountCounters(name)
        client = CabinetClient(settings, trace=counters.trace)
        return MonitoredAccount(name, client, counters, ttl=0)

    collector = Collector([account("demo-1"), account("demo-2")])
    yield collector
    for one in collector.accounts:
        one.refresher.close()


def scrape(collector: Collector) -> str:
    for account in collector.accounts:
        make_due(account.refresher)
    collector.refresh(PATIENCE)
    return b"".join(collector.page(Format.TEXT).chunks).decode()


def trunks(page: str, account: str) -> list[str]:
    """The samples of an account's trunks."""
    names = {metric.name for metric in METRICS if metric.scope == "trunk"}
    return [
        line
        for line in page.splitlines()
        if line.partition("{")[0] in names and f'account="{account}"' in line
    ]


def value(page: str, name: str, **labels: str) -> float:
    text = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    (line,) = [one for one in page.splitlines() if one.startswith(f"{name}{{{text}}} ")]
    return float(line.rpartition(" ")[2])


def refreshes(page: str) -> Mapping[str, float]:
    return {
        match[1]: float(match[2])
        for match in re.finditer(
            r'^vats_refreshes_total\{account="demo-1",result="(\w+)"\} (\S+)$', page, re.MULTILINE
        )
    }


def secrets(cabinet: SimulatedCabinet) -> set[str]:
    def credentials(trunk: SimulatedTrunk) -> set[str]:
        device = trunk.device
        return {device.sip_login, device.sip_password} if device else set()

    found = {PASSWORD, quote_plus(PASSWORD), "geheim", "JSESSIONID"}
    for account in cabinet.accounts:
        found |= {account.login, quote_plus(account.login)}
        for trunk in account.enterprise.trunks():
            found |= credentials(trunk)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_a_fault_is_counted_told_once_and_costs_nothing_else(
    case: Case, cabinet: SimulatedCabinet, collector: Collector, lines: io.StringIO
) -> None:
    good = scrape(collector)
    assert value(good, "vats_up", account="demo-1") == 1
    active = [line for line in trunks(good, "demo-1") if line.startswith("vats_trunk_active{")]
    assert len(active) == TRUNKS
    lines.truncate(0)
    lines.seek(0)

    hook = case.break_(cabinet)
    if hook is not None:
        cabinet.faults = lambda incoming: hook(incoming) if incoming.account != "demo-2" else None
    bad = scrape(collector)

    assert value(bad, "vats_up", account="demo-1") == 0
    before, after = refreshes(good), refreshes(bad)
    assert {result for result in after if after[result] != before[result]} == {case.result}
    assert after[case.result] == before[case.result] + 1
    # The last good snapshot stays, with its true time.
    assert trunks(bad, "demo-1") == trunks(good, "demo-1")
    taken = "vats_refresh_timestamp_seconds"
    assert value(bad, taken, account="demo-1") == value(good, taken, account="demo-1")
    told = [
        line
        for line in lines.getvalue().splitlines()
        if "level=warn" in line and "account=demo-1" in line
    ]
    assert len(told) == 1, told
    assert f"result={case.result} " in told[0]
    assert case.says in told[0]
    if case.name != "a cabinet that is down":
        # The other account of the same cabinet goes on as it was.
        assert value(bad, "vats_up", account="demo-2") == 1
        assert trunks(bad, "demo-2") == trunks(good, "demo-2")
    for secret in secrets(cabinet):
        assert secret not in lines.getvalue()
        assert secret not in bad

    cabinet.faults = None
    if hook is None and case.result == "login_refused":
        cabinet.change_password("demo-1", PASSWORD)
    elif hook is None:
        cabinet.start()
    mended = scrape(collector)
    assert value(mended, "vats_up", account="demo-1") == 1


@pytest.mark.parametrize("what", ["session", "deployment"])
def test_what_ends_between_two_pages_is_renewed_and_nothing_is_lost(
    what: str, cabinet: SimulatedCabinet, collector: Collector, lines: io.StringIO
) -> None:
    good = scrape(collector)
    done: list[str] = []

    def end(incoming: Incoming) -> None:
        if incoming.call == "list" and incoming.page == 1 and not done:
            done.append(what)
            if what == "session":
                cabinet.end_sessions("demo-1")
            else:
                cabinet.redeploy()

    cabinet.faults = end
    page = scrape(collector)
    assert done == [what]
    assert value(page, "vats_up", account="demo-1") == 1
    assert trunks(page, "demo-1") == trunks(good, "demo-1")
    sign_ins = value(page, "vats_logins_total", account="demo-1", result="success")
    redeployments = value(page, "vats_redeployments_total", account="demo-1")
    assert (sign_ins, redeployments) == ((2, 0) if what == "session" else (1, 1))
    for secret in secrets(cabinet):
        assert secret not in lines.getvalue()
