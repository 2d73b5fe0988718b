"""One account's page, for ``/probe``: its own series and how the probe went, nothing else.

As blackbox_exporter does it: Prometheus decides which exporter reads which account, and how often.
The snapshot is the one that ``/metrics`` serves; a probe refreshes it if that is due. One whose
refresh does not end in time has not succeeded, though it serves the snapshot before.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

from vats_exporter.metrics import table as metrics
from vats_exporter.metrics.collector import MonitoredAccount, write_accounts
from vats_exporter.metrics.exposition import Exposition, Format, encode, family
from vats_exporter.redaction import redact


class Probe:
    """A probe of one account: made, it has waited ``timeout`` seconds at most for a refresh."""

    def __init__(self, account: MonitoredAccount, timeout: float) -> None:
        began, self._asked_at = time.monotonic(), time.time()
        self._account, self._timeout = account, timeout
        self._in_time = account.refresher.wait(account.refresher.start(), timeout)
        self._state = account.refresher.peek()
        self._duration = time.monotonic() - began

    def page(self, form: Format) -> Exposition:
        """Return the account's page."""
        return Exposition(self._chunks(form), form)

    def _chunks(self, form: Format) -> list[bytes]:
        probed = (
            family(metrics.PROBE_SUCCESS, ((), self._in_time and self._state.up)),
            family(metrics.PROBE_DURATION, ((), self._duration)),
        )
        states = ((self._state, None),)
        return [*write_accounts(form, (self._account,), states), encode(probed, form)]

    def debug_page(self) -> tuple[bytes, ...]:
        """Tell a person how it went, step by step, without anything secret.

        Of the pieces, all but the first and the last are shared by all readers.
        """
        account, state, moment = self._account, self._state, time.time()
        result = state.result or "not read yet"
        if not self._in_time:
            result = "not in time, so no success; the refresh continues, for the next probe to find"
        allowed = f"of {self._timeout:g} s that the scraper gives"
        waited = allowed if self._timeout else "since too many wait already"
        lines = [f'Probe of account "{account.name}"', "", f"result    {result}"]
        lines.append(f"took      {self._duration:.3f} s, {waited}")
        if state.error:
            lines.append(f"error     {redact(state.error)}")
        if state.login_retry_at is not None:
            left = max(0.0, state.login_retry_at - moment)
            lines.append(f"login     tried again in {left:.0f} s")
        if (snapshot := state.snapshot) is None:
            lines.append("snapshot  none")
        else:
            age = max(0.0, moment - snapshot.taken_at)
            served = "read by this probe" if snapshot.taken_at >= self._asked_at else "served again"
            lines.append(f"snapshot  {len(snapshot.trunks)} trunks, {age:.1f} s old, {served}")
            lines += [f"warning   {redact(warning)}" for warning in snapshot.warnings]
        lines += ["", "Latest steps, by seconds before now:", ""]
        steps = [
            f"  {moment - at:9.3f}  {redact(text)}" for at, text in account.counters.steps.copy()
        ]
        text = "\n".join([*lines, *(steps or ["  none yet"]), "", "Metrics:", "", ""])
        return (text.encode("utf-8", "replace"), *self._chunks(Format.TEXT))


def latest_refreshes(account: MonitoredAccount) -> str:
    """Describe an account's latest refreshes and their steps, newest first."""
    steps = account.counters.steps.copy()
    told: list[str] = []
    before = 0.0
    for ended_at, what in account.counters.refreshes.copy():
        when = datetime.fromtimestamp(ended_at, timezone.utc)
        # There is one at a time: what was done since the one before was done for this one.
        own = [(at, redact(text)) for at, text in steps if before < at <= ended_at]
        lines = [f"  {at - own[0][0]:9.3f}  {text}\n" for at, text in own]
        told.append(f"\n{when:%Y-%m-%d %H:%M:%S}  {redact(what)}\n{''.join(lines)}")
        before = ended_at
    head = f'Latest refreshes of account "{account.name}", newest first, in UTC:\n'
    return head + ("".join(reversed(told)) or "\nnone yet\n")
