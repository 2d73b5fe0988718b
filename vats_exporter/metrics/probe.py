"""One account's page, for ``/probe``: its own series and how the probe went, nothing else.

As blackbox_exporter does it: a scrape of its own for each account, so that Prometheus decides which
exporter reads which account, and how often. The account's snapshot is the one that ``/metrics``
serves; a probe refreshes it if that is due. One whose refresh does not end in time has not
succeeded: it serves what there is, and what there is says nothing of the cabinet as it is now.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.exposition import Block, Format, Page, Part, sample_line
from vats_exporter.metrics.rendering import ACCOUNT_METRICS
from vats_exporter.metrics.table import METRICS
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.metrics.collector import Account
    from vats_exporter.metrics.table import Metric
    from vats_exporter.trunks import AccountState


def probe(account: Account, form: Format, timeout: float) -> Page:
    """Refresh an account if that is due, and return its page.

    Args:
        account: the one asked for.
        form: the page's.
        timeout: seconds to wait for the refresh.
    """
    began = time.monotonic()
    in_time = _refresh(account, timeout)
    state = account.refresher.peek()
    return _page(account, state, form, time.monotonic() - began, in_time=in_time)


def debug_probe(account: Account, timeout: float, now: Callable[[], float]) -> tuple[bytes, ...]:
    """Do the same, and tell a person how it went, step by step, without anything secret.

    Args:
        account: the one asked for.
        timeout: seconds to wait for the refresh; 0 where none may be waited for.
        now: gives seconds since the epoch.

    Returns:
        UTF-8, in pieces; all but the first are those of the account's page, which every reader
        shares.
    """
    began, asked_at = time.monotonic(), now()
    in_time = _refresh(account, timeout)
    state = account.refresher.peek()
    duration = time.monotonic() - began
    waited = (
        f"of {timeout:g} s that the scraper gives" if timeout else "since too many wait already"
    )
    page = _page(account, state, Format.TEXT, duration, in_time=in_time).body(compress=False)
    lines = [
        f'Probe of account "{account.name}"',
        "",
        f"result    {_result(state, in_time=in_time)}",
        f"took      {duration:.3f} s, {waited}",
    ]
    if state.error:
        lines.append(f"error     {redact(state.error)}")
    if state.login_retry_at is not None:
        lines.append(f"login     tried again in {max(0.0, state.login_retry_at - now()):.0f} s")
    snapshot = state.snapshot
    if snapshot is None:
        lines.append("snapshot  none")
    else:
        age = max(0.0, now() - snapshot.taken_at)
        served = "read by this probe" if snapshot.taken_at >= asked_at else "served again"
        lines.append(f"snapshot  {len(snapshot.trunks)} trunks, {age:.1f} s old, {served}")
        lines += [f"warning   {redact(warning)}" for warning in snapshot.warnings]
    lines += ["", "Latest steps, by seconds before now:", ""]
    moment = now()
    steps = account.tally.steps()
    lines += [f"  {moment - at:9.3f}  {redact(text)}" for at, text in steps]
    if not steps:
        lines.append("  none yet")
    text = "\n".join([*lines, "", "Metrics:", "", ""])
    return (text.encode("utf-8", "replace"), *page.chunks)


def latest_refreshes(account: Account) -> str:
    """Tell of an account's latest refreshes and their steps, newest first."""
    steps = account.tally.steps()
    told: list[list[str]] = []
    before = 0.0
    for ended_at, outcome, trunks in account.refreshes.copy():
        when = datetime.fromtimestamp(ended_at, timezone.utc)
        what = redact(outcome.error) or f"{trunks} trunks on {outcome.pages} pages"
        took = f"{outcome.duration:.3f} s"
        # There is one at a time: what was done since the one before was done for this one.
        own = [(at, redact(text)) for at, text in steps if before < at <= ended_at]
        told.append(
            [
                f"{when:%Y-%m-%d %H:%M:%S}  {outcome.result} after {took}: {what}",
                *(f"  {at - own[0][0]:9.3f}  {text}" for at, text in own),
                "",
            ]
        )
        before = ended_at
    head = [f'Latest refreshes of account "{account.name}", newest first, in UTC:', ""]
    lines = [line for one in reversed(told) for line in one]
    return "\n".join([*head, *(lines or ["none yet", ""])])


def _refresh(account: Account, timeout: float) -> bool:
    """Refresh an account if that is due; tell whether it is as fresh as it was to be, in time."""
    refresher = account.refresher
    return refresher.wait(refresher.start(), timeout)


def _result(state: AccountState, *, in_time: bool) -> str:
    if not in_time:
        return (
            "not in time, and so no success; the refresh goes on, and the next probe finds what it "
            "brings"
        )
    return state.result or "not read yet"


def _page(
    account: Account, state: AccountState, form: Format, duration: float, *, in_time: bool
) -> Page:
    samples = account.samples(state, account.tally.version)
    lines: dict[Metric, str] = {metric: samples[metric] for metric in ACCOUNT_METRICS}
    success = in_time and state.up
    lines[metrics.PROBE_SUCCESS] = sample_line(metrics.PROBE_SUCCESS.name, "", success)
    lines[metrics.PROBE_DURATION] = sample_line(metrics.PROBE_DURATION.name, "", duration)
    end = b"# EOF\n" if form is Format.OPENMETRICS else b""
    live = b"".join(
        metric.family.header(form) + lines[metric].encode()
        for metric in METRICS
        if lines.get(metric)
    )
    return Page(account.trunk_part(form, state.snapshot), Part((Block(live + end),)))
