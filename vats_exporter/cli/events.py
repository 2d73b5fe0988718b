"""``events``: what happened to the trunks, from the history that the exporter keeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from gettext import pgettext
from typing import Any, Final, NoReturn

import click

from vats_exporter.cli import options, output
from vats_exporter.cli.output import Table, _, count, fail, failing, sentence, tell, words, write
from vats_exporter.config.values import parse_duration
from vats_exporter.history.file import export, is_known_phone, read_events, read_phones
from vats_exporter.history.history import Event, HistoryError
from vats_exporter.trunks import FLAGS, Words, read_phone

_POLL: Final = 1.0  # seconds between two looks at the file while following it
_AT_FIRST: Final = 10  # events shown before following
_AsText = Callable[[list[Event]], str]
_FLAGS: Final = {flag.key: Words(flag.key, flag.on.ru) for flag in FLAGS}


def _since(text: str) -> float:
    """Read a time as a person writes it; return it in seconds since the epoch."""
    with suppress(ValueError):
        return time.time() - parse_duration(text)
    with suppress(ValueError, OverflowError, OSError):
        # Without a zone it is this machine's. Python 3.10 knows the zone Z by its number alone.
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00")).timestamp()
    hint = _("{value!r}; write 2h, 7d, 2026-11-01 or 2026-11-01T15:30", value=text)
    raise click.BadParameter(hint)


def _phone(text: str) -> str:
    if phone := read_phone(text):
        return phone
    raise click.BadParameter(_("{value!r}; write 79161234567", value=text))


@options.command(
    "events --since 2h",
    "events --account office --phone '+7 916 123-45-67'",
    "events --follow --format json | jq 'select(.flag == \"bound\")'",
)
@options.config_file
@options.option(
    "--history.file FILE",
    "The history file; the configuration is not read then.  [default: history.file of the "
    "configuration]",
)
@options.accounts
@options.option(
    "--phone PHONE",
    "Only the trunk that has or had this phone; may be given several times.  [default: all]",
    multiple=True,
    read=_phone,
    shell_complete=options.complete_phone,
)
@options.option("--since TIME", "Events since: 2h, 7d, 2026-11-01, 2026-11-01T15:30.", read=_since)
@options.option(
    "-f --follow", "Show events as they come, until Ctrl-C; without --since, from the last ten on."
)
@options.option(
    "--format [table|json]", "json is one object per line, with times in UTC.", default="table"
)
@options.option(
    "--export FILE",
    "Copy the whole history to a new file instead, for a backup; the exporter may be running.",
)
def command(**given: Any) -> None:
    """Show what happened to the trunks: which flag changed, which trunk came or went.

    Reads the exporter's history (history.file), whether or not the exporter is running. The time
    of an event is that of the snapshot that showed it. There are no events from before the exporter
    first read an account.

    Exits with 1 if the file cannot be read, or does not contain the account or phone.
    """
    path = given["history_file"]
    if path is None:
        config = options.read_config(given["config_file"])
        if not (path := config.history.file):
            fail("{file}: history.file is not set: history is in memory alone", file=config.file)
    accounts, phones, since = given["account"], given["phone"], given["since"]
    read = partial(read_events, path, accounts=accounts, phones=phones, since=since)
    as_text = _as_json if given["format"] == "json" else _table()
    with failing(HistoryError, "{error}"):
        if copy := given["export"]:
            export(path, copy)
            tell("copied to {file}", file=copy)
            return
        options.refuse_unknown_accounts(accounts, read_phones(path), path)
        for phone in phones:
            if not is_known_phone(path, phone):
                fail("{phone}: no trunk in {file} has or had this phone", phone=phone, file=path)
        events = read(limit=_AT_FIRST if given["follow"] and since is None else None)
    if events:
        write(as_text(events))
    if given["follow"]:
        with suppress(KeyboardInterrupt):
            follow_events(read, as_text, last=events[-1].id or 0 if events else 0)
        sys.exit(output.INTERRUPTED)
    elif given["format"] == "table":
        tell(count(len(events), "{count} event", "{count} events"))


def follow_events(read: Callable[..., list[Event]], as_text: _AsText, *, last: int) -> NoReturn:
    """Write the events after a number as they come; of a file that is being replaced, tell once."""
    told = ""
    while True:
        time.sleep(_POLL)
        try:
            events, problem = read(after_id=last), ""
        except HistoryError as error:
            events, problem = [], str(error)
        if problem and problem != told:
            tell("{error}", error=sentence(problem))
        told = problem
        if events:
            write(as_text(events))
            last = events[-1].id or 0


def _table() -> _AsText:
    table = Table(_("Time"), _("Account"), _("Phone"), _("Name"), _("Event"))

    def row(event: Event) -> list[str]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
        return [at, event.account, event.phone or "-", event.name, _what(event)]

    return lambda events: table.text(map(row, events))


def _what(event: Event) -> str:
    what, before, after = sentence(event.kind), event.before, event.after
    if event.kind == "changed":
        switch = {"0": pgettext("flag", "off"), "1": pgettext("flag", "on")}
        what, before, after = words(_FLAGS[event.flag]), switch[before], switch[after]
    return f"{what}: {before} → {after}" if before or after else what


def _as_json(events: list[Event]) -> str:
    lines = ""
    for event in events:
        at = datetime.fromtimestamp(event.time, timezone.utc)
        both = event.before, event.after
        before, after = (text == "1" if event.kind == "changed" else text or None for text in both)
        shown = {
            "id": event.id,
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "account": event.account,
            "trunk": event.ref,
            "phone": event.phone,
            "name": event.name,
            "event": event.kind,
            "flag": event.flag or None,
            "before": before,
            "after": after,
        }
        lines += f"{output.as_json(shown)}\n"
    return lines
