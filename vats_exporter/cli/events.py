"""``events``: what happened to the trunks, from the history that the exporter keeps."""

from __future__ import annotations

import difflib
import json
import re
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cli import options
from vats_exporter.cli.accounts import account_option
from vats_exporter.cli.output import FAILED, fail, printable, tell, write
from vats_exporter.config.units import parse_duration
from vats_exporter.history import HistoryError, export, is_known_phone, read_accounts, read_events
from vats_exporter.trunks import normalise_phone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vats_exporter.history import Event

POLL: Final = 1.0
"""Seconds between two looks at the file while following it."""

_BEFORE_FOLLOWING: Final = 10

_SWITCH: Final = {"0": "off", "1": "on"}
_TRUTH: Final = {"0": False, "1": True}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NO_PHONE: Final = "-"


def _since(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """A time as a person writes it, in seconds since the epoch."""
    if value is None:
        return None
    try:
        return time.time() - parse_duration(value)
    except ValueError:
        pass
    try:
        # Without a zone it is this machine's. Python 3.10 knows the zone Z by its number alone.
        written = f"{value[:-1]}+00:00" if value.endswith(("Z", "z")) else value
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"{value!r}; write 2h, 7d, 2026-11-01 or 2026-11-01T15:30"
        ) from None


def _phones(
    _context: click.Context, _option: click.Parameter, values: Sequence[str]
) -> tuple[str, ...]:
    for value in values:
        if not normalise_phone(value):
            raise click.BadParameter(f"{value!r}; write 79161234567")
    return tuple(map(normalise_phone, values))


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter events --since 2h\n"
    "  vats-exporter events --account office --phone '+7 916 123-45-67'\n"
    "  vats-exporter events --follow --format json | jq 'select(.flag == \"bound\")'\n"
    "  vats-exporter events --history.file /var/lib/vats-exporter/history.db\n",
)
@options.config_file
@click.option(
    "--history.file",
    "history_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The history file; the configuration is not read then.  [default: history.file of the "
    "configuration]",
)
@account_option
@click.option(
    "--phone",
    "phones",
    metavar="PHONE",
    multiple=True,
    callback=_phones,
    help="Only the trunk that has or had this phone; may be given several times.  [default: all]",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=_since,
    help="Only events since then: 2h, 7d, 2026-11-01, 2026-11-01T15:30.",
)
@click.option(
    "--follow",
    "-f",
    is_flag=True,
    help="Keep showing events as they come, until Ctrl-C; without --since, starts with the last "
    "ten.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="json is one object per line, with times in UTC.",
)
@click.option(
    "--export",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Copy the whole history to a new file instead, for a backup; the exporter may be running.",
)
def command(
    config_file: Path | None,
    *,
    history_file: Path | None,
    names: Sequence[str],
    phones: Sequence[str],
    since: float | None,
    follow: bool,
    format_: str,
    target: Path | None,
) -> None:
    """Show what happened to the trunks: which flag changed, which trunk came or went.

    Reads the exporter's history (history.file), whether or not the exporter is running. The time
    of an event is that of the snapshot that showed it. There are no events from before the exporter
    first read an account.

    Exits with 1 if the file cannot be read, or does not contain the account or phone.
    """
    path = history_file or _configured(config_file)
    write_events = _JsonLines() if format_ == "json" else _Table()

    def read(after_id: int, limit: int | None) -> list[Event]:
        return read_events(
            path, accounts=names, phones=phones, since=since, after_id=after_id, limit=limit
        )

    try:
        if target is not None:
            export(path, target)
            tell(f"copied to {target}")
            return
        _refuse_unknown(path, names, phones)
        events = read(0, _BEFORE_FOLLOWING if follow and since is None else None)
    except HistoryError as error:
        fail(str(error))
    write_events(events)
    if follow:
        follow_events(
            lambda after_id: read(after_id, None),
            write_events,
            last=events[-1].id or 0 if events else 0,
            wait=lambda: time.sleep(POLL),
        )
    elif format_ == "table":
        tell(f"{len(events)} event{'s' if len(events) != 1 else ''}")


def follow_events(
    read: Callable[[int], list[Event]],
    show: Callable[[list[Event]], None],
    *,
    last: int,
    wait: Callable[[], None],
) -> None:
    """Show events as they come, until Ctrl-C.

    A file that cannot be read for a while, because it is being replaced, is told once and tried
    again.

    Args:
        read: the events after a number.
        show: some events.
        last: the number of the last one shown.
        wait: until it is time to look again.
    """
    told = ""
    try:
        while True:
            wait()
            try:
                events = read(last)
            except HistoryError as error:
                if str(error) != told:
                    tell(str(error))
                told = str(error)
                continue
            told = ""
            if events:
                show(events)
                last = events[-1].id or 0
    except KeyboardInterrupt:
        return


def _configured(config_file: Path | None) -> Path:
    config = options.read_config(config_file)
    if config.history.file is None:
        fail(
            f"{config.file}: history.file is not set, so the history is in the exporter's memory "
            "alone"
        )
    return config.history.file


def _refuse_unknown(path: Path, names: Sequence[str], phones: Sequence[str]) -> None:
    known = read_accounts(path)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
            fail(f"no account {name!r} in {path}; {hint}")
    for phone in phones:
        if not is_known_phone(path, phone):
            fail(f"{phone}: no trunk has or had this phone", FAILED)


class _Table:
    """Lines in columns, which grow as wide as what they have held so far."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def __call__(self, events: Sequence[Event]) -> None:
        rows = [tuple(map(printable, _cells(event))) for event in events]
        if rows and not self._widths:
            titles = ("time", "account", "phone", "name", "event")
            self._widths = [len(title) for title in titles]
            rows.insert(0, titles)
        for place, column in enumerate(zip(*rows, strict=True)):
            self._widths[place] = max(self._widths[place], *map(len, column))
        lines = ("  ".join(map(str.ljust, row, self._widths)).rstrip() for row in rows)
        if rows:
            write("".join(f"{line}\n" for line in lines))


class _JsonLines:
    """One object a line."""

    def __call__(self, events: Sequence[Event]) -> None:
        if events:
            lines = (json.dumps(_object(event), ensure_ascii=False) for event in events)
            write("".join(f"{_escape(line)}\n" for line in lines))


def _escape(line: str) -> str:
    """Write lone surrogates, which UTF-8 has no place for, as JSON does."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04X}", line)


def _cells(event: Event) -> tuple[str, str, str, str, str]:
    at = datetime.fromtimestamp(event.time, timezone.utc).astimezone()
    return (
        at.strftime("%Y-%m-%d %H:%M:%S"),
        event.account,
        event.phone or _NO_PHONE,
        event.name,
        _what(event),
    )


def _what(event: Event) -> str:
    if event.kind == "changed":
        return f"{event.flag}: {_SWITCH[event.before]} → {_SWITCH[event.after]}"
    if event.before or event.after:
        return f"{event.kind}: {event.before} → {event.after}"
    return event.kind


def _object(event: Event) -> dict[str, object]:
    at = datetime.fromtimestamp(event.time, timezone.utc)
    changed = event.kind == "changed"
    return {
        "id": event.id,
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "account": event.account,
        "trunk": event.ref,
        "phone": event.phone,
        "name": event.name,
        "event": event.kind,
        "flag": event.flag or None,
        "before": _TRUTH[event.before] if changed else event.before or None,
        "after": _TRUTH[event.after] if changed else event.after or None,
    }
