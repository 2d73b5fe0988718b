"""``trunks``: look at the trunks of all accounts, and move their selectors."""

from __future__ import annotations

import csv
import io
import json
import sys
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import click

from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.page import VARYING
from vats_exporter.cli import options, output, selector
from vats_exporter.cli.output import Table, _, count, facts, tell, track, words, write
from vats_exporter.trunks import ROW_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from vats_exporter.cabinet.devices import TrunkDetails
    from vats_exporter.cli.options import Found
    from vats_exporter.trunks import Flag, Trunk


def _has(flag: Flag, wanted: bool, trunk: Trunk) -> bool:  # noqa: FBT001 - bound below
    return flag.of(trunk) is wanted


_ONLY: Final[dict[str, Callable[[Trunk], bool]]] = {
    **{
        word: partial(_has, flag, wanted)
        for flag in ROW_FLAGS
        for word, wanted in zip(flag.only, (True, False), strict=True)
    },
    "expected-off": lambda trunk: trunk.expected_off,
    "unknown": lambda trunk: not trunk.known,
}

_SORT: Final[dict[str, Callable[[Found], Any]]] = {
    "account": lambda found: (found.account, found.trunk.phone),
    "phone": lambda found: (found.trunk.phone, found.account),
    "name": lambda found: (found.trunk.name.casefold(), found.trunk.phone),
    "state": lambda found: (
        found.trunk.expected_off,
        *(not flag.troubles(found.trunk) for flag in ROW_FLAGS),
        found.account,
        found.trunk.phone,
    ),
}


@click.group(
    epilog=options.examples(
        "trunks list --only inactive",
        "trunks show 79161234567",
        "trunks disable 79161234567",
    )
)
def command() -> None:
    """Show the trunks of all accounts, and switch their selectors.

    Reads the cabinets itself, with the exporter's configuration; the exporter need not be running.
    """


command.add_command(selector.enable)
command.add_command(selector.disable)


@command.command(
    "list",
    epilog=options.examples(
        "trunks list --only inactive",
        "trunks list --account office --sort name",
        "trunks list --format csv > trunks.csv",
    ),
)
@options.config_file
@options.accounts
@options.option(
    "--only",
    "Only trunks in this state; given several times, only trunks in all of these states. "
    "unknown: with an unknown pattern.",
    choices=list(_ONLY),
    multiple=True,
)
@options.option("--sort", "Sort order.", choices=list(_SORT), default="account")
@options.option(
    "--format",
    "csv uses semicolons and a byte order mark, which Excel needs for Cyrillic.",
    choices=["table", "json", "csv"],
    name="format_",
    default="table",
)
def list_command(
    config_file: Path | None,
    *,
    account: Sequence[str],
    only: Sequence[str],
    sort: str,
    format_: str,
) -> None:
    """List the trunks and their flags.

    Exits with 1 if an account could not be read; the others are still listed.
    """
    accounts = options.choose(options.read_config(config_file), account)
    read = 0

    def chosen(found: list[Found]) -> list[Found]:
        nonlocal read
        read += len(found)
        shown = [one for one in found if all(_ONLY[name](one.trunk) for name in only)]
        return sorted(shown, key=_SORT[sort])

    with options.reading(sorted(accounts, key=lambda one: one.name)) as (batches, failed):
        at_once = sort != "account" or format_ != "table"
        shown_batches = map(chosen, [list(chain.from_iterable(batches))] if at_once else batches)
        if format_ == "table":
            expected = any(one.expected_off or one.expected_off_file for one in accounts)
            shown, unknown = _write_table(shown_batches, expected=expected)
            if only:
                line = count(
                    read, "{shown} of {count} trunk", "{shown} of {count} trunks", shown=shown
                )
            else:
                line = count(shown, "{count} trunk", "{count} trunks")
            tell("{line}", line=line)
            positions = ", ".join(map(str, VARYING))
            tell("Pattern: a row's values at positions {positions}.", positions=positions)
            if unknown:
                tell("?: a pattern that is not known; vats-exporter inspect shows examples.")
        else:
            write({"json": _as_json, "csv": _as_csv}[format_](next(shown_batches)))
    if failed:
        sys.exit(output.FAILED)


def _write_table(batches: Iterator[list[Found]], *, expected: bool) -> tuple[int, bool]:
    """Write the trunks as their accounts are read.

    Returns:
        how many there are, and whether there is one with an unknown pattern.
    """
    titles = [_("Account"), _("Phone"), _("Name"), *(words(flag.title) for flag in ROW_FLAGS)]
    table = Table(*titles, _("Pattern"), _("Trunk"), *([_("Expected")] if expected else []))
    yes, no, off = _("yes"), _("no"), _("off")
    total, unknown = 0, False
    for batch in batches:
        rows = [
            [
                found.account,
                found.trunk.phone or "-",
                found.trunk.name or "-",
                *(yes if flag.of(found.trunk) else no for flag in ROW_FLAGS),
                found.trunk.pattern + ("" if found.trunk.known else " ?"),
                found.trunk.ref,
                *([off if found.trunk.expected_off else ""] if expected else []),
            ]
            for found in batch
        ]
        write(table.text(rows, grey=[found.trunk.expected_off for found in batch]))
        total += len(batch)
        unknown |= not all(found.trunk.known for found in batch)
    return total, unknown


_FIELDS: Final = (
    *("account", "phone", "name"),
    *(flag.key for flag in ROW_FLAGS),
    *("pattern", "known", "trunk", "id", "expected_off"),
)


def _row(found: Found) -> dict[str, str | int]:
    trunk = found.trunk
    flags = (bool(flag.of(trunk)) for flag in ROW_FLAGS)
    rest = (trunk.pattern, trunk.known, trunk.ref, trunk.id, trunk.expected_off)
    values: list[str | int] = [found.account, trunk.phone, trunk.name, *flags, *rest]
    return dict(zip(_FIELDS, values, strict=True))


def _as_json(shown: Sequence[Found]) -> str:
    lines = ",\n".join(f" {json.dumps(_row(found), ensure_ascii=False)}" for found in shown)
    return output.as_json_text(f"[\n{lines}\n]\n" if shown else "[]\n")


def _as_csv(shown: Sequence[Found]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, delimiter=";", lineterminator="\r\n")
    writer.writerow(_FIELDS)
    writer.writerows(map(_cell, _row(found).values()) for found in shown)
    return "\ufeff" + page.getvalue()


def _cell(value: str | int) -> str:
    """A cell as a spreadsheet takes it: a text that it would take for a formula stays a text."""
    if isinstance(value, bool):
        return str(int(value))
    text = output.printable(str(value))
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text


@command.command(
    "show",
    epilog=options.examples(
        "trunks show 79161234567",
        "trunks show '+7 916 123-45-67' CaLztv --show-secrets",
    ),
)
@options.config_file
@options.accounts
@options.option("--show-secrets", "Also show the SIP login and the SIP password.")
@selector.phones(required=True, metavar="PHONE...")
def show_command(
    config_file: Path | None,
    *,
    account: Sequence[str],
    show_secrets: bool,
    phones: Sequence[str],
) -> None:
    """Show everything the cabinet says about some trunks.

    PHONE is a phone number in any notation, its last seven digits, or a trunk's reference. Reads
    each trunk's device form as well. Exits with 1 if a trunk does not exist or could not be read.
    """
    accounts = options.choose(options.read_config(config_file), account)
    with options.reading(accounts) as (batches, unread):
        chosen, problems = options.find(chain.from_iterable(batches), phones)
        for problem in problems:
            tell("{problem}", problem=problem)
        failed = bool(problems or unread)
        one_by_one = track(chosen, len(chosen), "reading the details: {done} of {total}")
        for number, found in enumerate(one_by_one):
            try:
                details = found.cabinet.read_details(found.trunk.ref)
            except CabinetError as error:
                tell("{phone}: {error}", phone=found.label, error=error)
                failed = True
                continue
            write(("\n" if number else "") + _card(found, details, secrets=show_secrets))
    if failed:
        sys.exit(output.FAILED)


def _card(found: Found, details: TrunkDetails, *, secrets: bool) -> str:
    """One trunk, a line for each thing known of it."""
    trunk, device = found.trunk, details.device
    yes, no, on, off = _("yes"), _("no"), _("on"), _("off")
    lines = {
        _("phone"): trunk.phone or details.phone or "-",
        _("name"): trunk.name or "-",
        _("account"): found.account,
        _("trunk"): f"{trunk.ref} ({trunk.id})",
        **{words(flag.on): yes if flag.of(trunk) else no for flag in ROW_FLAGS},
        _("pattern"): trunk.pattern + ("" if trunk.known else _(" (unknown)")),
        _("SIP device"): device.ref if device else _("none"),
    }
    if trunk.expected_off:
        lines[_("expected")] = off
    if device:
        lines[_("selector")] = on if device.enabled else off
        lines[_("line")] = device.line or "-"
        if secrets:
            lines[_("SIP login")] = device.sip_login or "-"
            lines[_("SIP password")] = device.sip_password or "-"
    return facts(lines)
