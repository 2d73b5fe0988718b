"""Going through a fault: first all is well, then it comes, then all is well again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.faults.watched import BOUNDS, DETAILS_TTL, PATIENT, SHORT, STALE, TTL, Stopwatch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ended
    from tests.faults.page import Cell
    from tests.faults.watched import Page, Trouble, Watched
    from vats_exporter.demo import SimulatedCabinet

Run = Callable[..., "Ended"]

RETRY_AFTER: Final = 240.0

PAUSES: Final = {
    "cache.ttl": (TTL, TTL),
    "cache.ttl, then twice as long each time": (TTL, 2 * TTL, 4 * TTL),
    "Retry-After": (RETRY_AFTER, RETRY_AFTER),
}
"""Seconds after each failure in a row until the cabinet is asked again."""

_ALMOST: Final = 0.5
"""Seconds before the time, when it is not yet time."""

MOST_SIGN_INS: Final = 2


def lead_to(watched: Watched, step: str) -> None:
    """See to it that the next refresh goes through a step."""
    if step in {"sign-in", "GET /", "enterprise's page"}:
        watched.simulated.end_sessions()
    if step in {"nocache.js", "cache.js"}:
        watched.simulated.redeploy()


def refresh_in_spite_of_it(watched: Watched, cell: Cell, trouble: Trouble) -> None:
    """Meet a fault that does no harm."""
    before = watched.get_well()
    watched.wait_until(TTL)
    lead_to(watched, cell.step.name)
    trouble.start()
    page = watched.scrape()
    trouble.stop()
    assert trouble.met == 1
    assert watched.is_well(page)
    assert page.value("vats_refresh_timestamp_seconds") == watched.clock.now()
    assert watched.told(cell.step.line) == []
    assert watched.get_well().trunks == before.trunks


def refresh_in_vain(watched: Watched, cell: Cell, trouble: Trouble, *, once: bool) -> None:
    """Meet a fault while the list is read.

    Args:
        watched: the account.
        cell: what the page tells.
        trouble: the fault.
        once: not again after the first pause.
    """
    before = watched.get_well()
    over = TTL
    watched.wait_until(over)
    lead_to(watched, cell.step.name)
    pauses = PAUSES[cell.answer.again]
    for pause in pauses[:1] if once else pauses:
        trouble.start()
        page = fail_to_refresh(watched, cell, trouble)
        trouble.stop()  # whoever asks before the time finds that all is well
        _assert_told_of_the_pause(watched, page, cell, pause)
        asked = trouble.attempts()
        if over == TTL:
            _assert_served(page, before)
            watched.wait_until(STALE - _ALMOST)
            _assert_served(watched.scrape(), before)
            watched.wait_until(STALE)
            page = watched.look()
        assert_gone(page)
        over += pause
        watched.wait_until(over - _ALMOST)
        watched.scrape()
        assert trouble.attempts() == asked
        watched.wait_until(over)
    page = watched.scrape()
    assert trouble.attempts() > asked
    assert watched.is_well(page)
    assert page.trunks == before.trunks
    assert page.value("vats_refresh_timestamp_seconds") == watched.clock.now()


def fail_to_refresh(watched: Watched, cell: Cell, trouble: Trouble) -> Page:
    """Refresh in vain once, in no more time and with no more requests than are told."""
    answer = cell.answer
    label = f'result="{cell.result}"'
    has_failed = not watched.is_well()
    counted, sign_ins = watched.look().value("vats_refreshes_total", label), watched.sign_ins()
    with watched.waiting(answer.ends), Stopwatch() as stopwatch:
        page = watched.scrape()
    stopwatch.assert_ended(answer.ends, trouble.began)
    requests = requests_of(cell)
    # A connection that is new, as after a failure it may be, is not tried a second time.
    assert trouble.met in ({requests, min(requests, 1)} if has_failed else {requests})
    assert watched.sign_ins() - sign_ins <= MOST_SIGN_INS
    assert counted is not None
    assert page.value("vats_refreshes_total", label) == counted + 1
    (line,) = watched.told(cell.step.line)
    assert line["result"] == cell.result
    assert_says(line["error"], cell)
    return page


def read_details_in_vain(watched: Watched, cell: Cell, trouble: Trouble, trunk: str) -> None:
    """Meet a fault while one trunk's details are read.

    Args:
        watched: the account.
        cell: what the page tells.
        trouble: the fault.
        trunk: whose details are hit.
    """
    before = watched.get_well()
    assert before.text.count("\nvats_trunk_sip_device_enabled{") == len(watched.refs)
    label = f'result="{cell.result}"'
    counted, sign_ins = before.value("vats_details_total", label), watched.sign_ins()
    read, over = watched.read_details(), DETAILS_TTL
    watched.wait_until(over)
    trouble.start()
    with watched.waiting(cell.answer.ends), Stopwatch() as stopwatch:
        watched.scrape()
    trouble.stop()
    stopwatch.assert_ended(cell.answer.ends, trouble.began)
    assert trouble.met == requests_of(cell)
    assert watched.sign_ins() == sign_ins
    (line,) = watched.told(cell.step.line)
    assert line["result"] == cell.result
    assert_says(line["error"], cell)

    # What was known of the trunk stays, with its age; all flags are as fresh as ever. The trunk is
    # asked for with the first listing after its time. The others were read in the same run or with
    # the next listing, unless the cabinet asked for more time.
    assert cell.step.again == "a quarter of details.ttl, or Retry-After"
    is_to_wait = cell.answer.again == "Retry-After"
    pause = RETRY_AFTER if is_to_wait else DETAILS_TTL / 4
    expected = watched.read_details() if is_to_wait else read + len(watched.refs) - 1
    asked: list[str] = []
    watched.simulated.faults = lambda incoming: asked.append(incoming.trunk)
    while over + TTL < DETAILS_TTL + pause:
        over += TTL
        watched.wait_until(over)
        page = watched.scrape()
        assert watched.is_well(page)
        assert page.trunks == before.trunks
        for name, value in (
            ("vats_refresh_timestamp_seconds", watched.clock.now()),
            ("vats_details_timestamp_seconds", before.value("vats_details_timestamp_seconds")),
        ):
            assert page.value(name) == value
        assert watched.read_details() == expected
        assert trunk not in asked
    assert counted is not None
    assert page.value("vats_details_total", label) == counted + 1
    watched.wait_until(over + TTL)
    watched.scrape()
    assert asked.count(trunk) == 1
    assert watched.read_details() == read + len(watched.refs)
    assert watched.told(cell.step.line) == []


def write_config(
    folder: Path, simulated: SimulatedCabinet, ca_file: Path, cell: Cell
) -> tuple[str, ...]:
    """Configure the command that moves selectors; waits shortly where something is waited for."""
    (account,) = simulated.accounts
    timeouts = PATIENT if cell.answer.ends == "at once" else SHORT
    (folder / "password").write_text(account.password, "utf-8")
    file = folder / "config.yml"
    file.write_text(
        f"""
accounts:
  - name: office
    login: '{account.login}'
    password_file: password
    address: '{simulated.url}'
    selector_method: setEnabled
    sign_out_path: ''
    max_response: 256KB
    tls: {{ca_file: '{ca_file}', security_level: 2}}
    timeouts:
      connect: {timeouts.connect * 1000:.0f}ms
      read: {timeouts.read * 1000:.0f}ms
      call: {timeouts.call * 1000:.0f}ms
""",
        "utf-8",
    )
    return "--config.file", str(file)


def move_a_selector_in_vain(
    run: Run, config: tuple[str, ...], simulated: SimulatedCabinet, cell: Cell, trouble: Trouble
) -> None:
    """Meet a fault while a person moves a selector."""
    enterprise = simulated.accounts[0].enterprise
    ref = enterprise.trunks()[0].ref

    def is_on() -> bool:
        device = enterprise.find(ref).device
        assert device is not None
        return device.enabled

    wanted = not is_on()
    line = ("trunks", "enable" if wanted else "disable", *config, "--yes", ref)
    sign_ins = simulated.stats()["sign_ins"]
    trouble.start()
    with Stopwatch() as stopwatch:
        ended = run(*line)
    trouble.stop()
    stopwatch.assert_ended(cell.answer.ends, trouble.began)
    assert ended.status == 1
    assert trouble.met == requests_of(cell)
    assert simulated.stats()["sign_ins"] - sign_ins <= MOST_SIGN_INS
    told = re.search(r"to be checked in the cabinet: (.*)$", ended.stdout, re.MULTILINE)
    assert told is not None, ended
    assert_says(told[1], cell)

    moved = simulated.stats()["requests"].get("selector", 0)
    assert run(*line).status == 0
    assert is_on() is wanted
    assert simulated.stats()["requests"].get("selector", 0) - moved <= 1


def requests_of(cell: Cell) -> int:
    """How often the step is to be asked for."""
    return int(cell.answer.requests)


def assert_says(error: str, cell: Cell) -> None:
    """See that an error tells where and what."""
    # An exception is of the call that was answered with it, whichever step led to it.
    where = "list" if cell.result == "gwt_exception" else cell.step.named
    assert re.search(rf"\b{where}\b", error), error
    assert cell.answer.says in error
    if cell.answer.ends != "at once":
        # Which of the timeouts it was that ended it, on however busy a machine.
        assert f"{cell.answer.says} {BOUNDS[cell.answer.ends]:g} s" in error


def _assert_told_of_the_pause(watched: Watched, page: Page, cell: Cell, pause: float) -> None:
    due = watched.clock.now() + pause if cell.result == "login_refused" else None
    assert page.value("vats_login_retry_timestamp_seconds") == due


def _assert_served(page: Page, before: Page) -> None:
    """See that the last good snapshot is there as it was, and said to be no more than that."""
    assert page.value("vats_up") == 0
    timestamp = "vats_refresh_timestamp_seconds"
    assert page.value(timestamp) == before.value(timestamp)
    assert page.trunks == before.trunks
    assert page.value("vats_trunks") == before.value("vats_trunks")


def assert_gone(page: Page) -> None:
    """See that what is too old is not there any more."""
    assert page.value("vats_up") == 0
    assert page.value("vats_refresh_timestamp_seconds") is None
    assert page.trunks == []
    assert page.value("vats_trunks") is None
