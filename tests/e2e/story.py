"""Stories: what happens in a cabinet, and every message that people are sent of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.stack import Message, Stack
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vats_exporter.demo.enterprise import Enterprise

ACCOUNT = "demo"
QUIET = 8
"""Minutes after a story's end in which a late or double message would come."""

BESIDES = {"VatsCabinetChanged"}
"""A trunk that is off, and not marked, has a pattern that no real cabinet has shown yet."""


@contextmanager
def story(
    folder: Path,
    *,
    accounts: int = 1,
    trunks: int = 12,
    prepare: Callable[[Enterprise], None] = lambda _: None,
    **options: Any,
) -> Iterator[Stack]:
    """Everything, with trunks that are all in order, but for what ``prepare`` does to them."""
    with SimulatedCabinet(make_accounts(accounts, trunks=trunks)) as cabinet:
        for account in cabinet.accounts:
            enterprise = account.enterprise
            for trunk in enterprise.trunks():
                enterprise.change(trunk.ref, active=True)
                enterprise.change(trunk.ref, bound=True)
                enterprise.change(trunk.ref, marked_for_deletion=False)
            prepare(enterprise)
        with Stack(cabinet, folder, **options) as stack:
            count = accounts * trunks
            stack.webhook.until(
                "every trunk is in Prometheus",
                lambda: len(stack.query("vats_trunk_active")) == count,
            )
            # What the rules compare with: some minutes of readings.
            stack.webhook.until(
                "every account was read for three minutes",
                lambda: len(stack.query("account:vats_up:read_timestamp > 0")) == accounts,
            )
            yield stack


def between_refreshes(stack: Stack) -> None:
    """Wait until a list was read: what changes now is in the next one altogether."""

    def read_at() -> list[Any]:
        return [one["value"][1] for one in stack.query("vats_refresh_timestamp_seconds")]

    before = read_at()
    stack.webhook.until("another refresh", lambda: read_at() != before)


def refs(stack: Stack, account: str = ACCOUNT) -> list[str]:
    return [trunk.ref for trunk in stack.cabinet.account(account).enterprise.trunks()]


def firing(receiver: str, alert: str, *of: str, account: str = ACCOUNT) -> Message:
    return Message(receiver, alert, account, "firing", frozenset(of))


def resolved(receiver: str, alert: str, *of: str, account: str = ACCOUNT) -> Message:
    return Message(receiver, alert, account, "resolved", frozenset(of))


def expect(stack: Stack, *messages: Message, quiet: float = QUIET) -> None:
    """Wait for what comes late, or twice: these are all messages, each once."""
    stack.minutes(quiet)
    told = [one for one in stack.webhook.told() if one.alert not in BESIDES]
    assert sorted(told, key=str) == sorted(messages, key=str)
