"""``trunks``: look at the trunks of all accounts, and move their selectors."""

from __future__ import annotations

import csv
import io
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options, selector
from vats_exporter.cli.accounts import account_option, choose, find, reading
from vats_exporter.cli.output import FAILED, printable, tell, write
from vats_exporter.cli.progress import track
from vats_exporter.cli.tables import Column, table
from vats_exporter.redaction import redact
from vats_exporter.trunks import ROW_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vats_exporter.cabinet.devices import TrunkDetails
    from vats_exporter.cli.accounts import Found
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

_SORT: Final[dict[str, Callable[[Found], object]]] = {
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

_FIELDS: Final = (
    "account",
    "phone",
    "name",
    *(flag.key for flag in ROW_FLAGS),
    "pattern",
    "known",
    "trunk",
    "id",
    "expected_off",
)


@click.group(
    epilog="\b\nExamples:\n"
    "  vats-exporter trunks list --only inactive\n"
    "  vats-exporter trunks show 79161234567\n"
    "  vats-exporter trunks disable 79161234567\n"
)
def command() -> None:
    """Show the trunks of all accounts, and switch their selectors.

    Reads the cabinets itself, with the exporter's configuration; the exporter need not be running.
    """


@command.command(
    "list",
    epilog="\b\nExamples:\n"
    "  vats-exporter trunks list --only inactive\n"
    "  vats-exporter trunks list --account office --sort name\n"
    "  vats-exporter trunks list --format csv > trunks.csv\n",
)
@options.config_file
@account_option
@click.option(
    "--only",
    type=click.Choice(list(_ONLY)),
    multiple=True,
    help="Only trunks in this state; given several times, only trunks in all of these states. "
    "unknown: with an unknown pattern.",
)
@click.option(
    "--sort",
    type=click.Choice(list(_SORT)),
    default="account",
    show_default=True,
    help="Sort order.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="csv uses semicolons and a byte order mark, which Excel needs for Cyrillic.",
)
def list_command(
    config_file: Path | None,
    *,
    names: Sequence[str],
    only: Sequence[str],
    sort: str,
    format_: str,
) -> None:
    """List the trunks and their flags.

    Exits with 1 if an account could not be read; the others are still listed.
    """
    accounts = choose(options.read_config(config_file), names)
    with reading(accounts) as (everything, whole):
        shown = [found for found in everything if all(_ONLY[name](found.trunk) for name in only)]
        shown.sort(key=_SORT[sort])  # type: ignore[arg-type]  # the keys of one sort are alike
        write(_FORMATS[format_](shown))
        if format_ == "table":
            among = f" of {len(everything)}" if only else ""
            tell(f"{len(shown)}{among} trunks")
    if not whole:
        sys.exit(FAILED)


@command.command(
    "show",
    epilog="\b\nExamples:\n"
    "  vats-exporter trunks show 79161234567\n"
    "  vats-exporter trunks show '+7 916 123-45-67' CaLztv --show-secrets\n",
)
@options.config_file
@account_option
@click.option("--show-secrets", is_flag=True, help="Also show the SIP login and the SIP password.")
@click.argument("phones", nargs=-1, required=True, metavar="PHONE...")
def show_command(
    config_file: Path | None, *, names: Sequence[str], show_secrets: bool, phones: Sequence[str]
) -> None:
    """Show everything the cabinet says about some trunks.

    PHONE is a phone number in any notation, or a trunk's reference. Reads each trunk's device form
    as well. Exits with 1 if a trunk does not exist or could not be read.
    """
    accounts = choose(options.read_config(config_file), names)
    with reading(accounts) as (everything, whole):
        chosen, problems = find(everything, phones)
        for problem in problems:
            tell(problem)
        failed = bool(problems) or not whole
        for number, found in enumerate(track(chosen, len(chosen), "reading the details")):
            try:
                details = found.cabinet.read_details(found.trunk.ref)
            except CabinetError as error:
                tell(f"{found.trunk.phone or found.trunk.ref}: {redact(str(error))}")
                failed = True
                continue
            write(("\n" if number else "") + _card(found, details, secrets=show_secrets))
    if failed:
        sys.exit(FAILED)


command.add_command(selector.enable)
command.add_command(selector.disable)


def _yes(value: bool) -> str:  # noqa: FBT001 - the one thing it is given
    return "yes" if value else "no"


def _row(found: Found) -> dict[str, str | int]:
    trunk = found.trunk
    return {
        "account": found.account,
        "phone": trunk.phone,
        "name": trunk.name,
        **{flag.key: bool(flag.of(trunk)) for flag in ROW_FLAGS},
        "pattern": trunk.pattern,
        "known": trunk.known,
        "trunk": trunk.ref,
        "id": trunk.id,
        "expected_off": trunk.expected_off,
    }


def _as_table(shown: Sequence[Found]) -> str:
    flags = [flag.title.en for flag in ROW_FLAGS]
    columns = ["Account", "Phone", "Name", *flags, "Pattern", "Trunk"]
    expected = [found.trunk.expected_off for found in shown]
    if any(expected):
        columns.append("Expected")
    return table(
        [Column(title) for title in columns],
        [
            [
                found.account,
                found.trunk.phone or "-",
                found.trunk.name or "-",
                *(_yes(bool(flag.of(found.trunk))) for flag in ROW_FLAGS),
                found.trunk.pattern + ("" if found.trunk.known else " ?"),
                found.trunk.ref,
                *(["off" if found.trunk.expected_off else ""] if any(expected) else []),
            ]
            for found in shown
        ],
        grey=expected,
    )


def _as_json(shown: Sequence[Found]) -> str:
    lines = ",\n".join(f" {json.dumps(_row(found), ensure_ascii=False)}" for found in shown)
    text = f"[\n{lines}\n]\n" if shown else "[]\n"
    # Lone surrogates, which UTF-8 can't hold, as JSON's own escapes.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _as_csv(shown: Sequence[Found]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, delimiter=";", lineterminator="\r\n")
    writer.writerow(_FIELDS)
    for found in shown:
        row = _row(found)
        writer.writerow([_cell(row[name]) for name in _FIELDS])
    return "\ufeff" + page.getvalue()


def _cell(value: str | int) -> str:
    """A cell as a spreadsheet takes it: a text that it would take for a formula stays a text."""
    if isinstance(value, bool):
        return str(int(value))
    text = printable(str(value))
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text


_FORMATS: Final = {"table": _as_table, "json": _as_json, "csv": _as_csv}


def _card(found: Found, details: TrunkDetails, *, secrets: bool) -> str:
    """One trunk, a line for each thing known of it."""
    trunk, device = found.trunk, details.device
    lines = {
        "phone": trunk.phone or details.phone or "-",
        "name": trunk.name or "-",
        "account": found.account,
        "trunk": f"{trunk.ref} ({trunk.id})",
        **{flag.key.replace("_", " "): _yes(bool(flag.of(trunk))) for flag in ROW_FLAGS},
        "pattern": trunk.pattern + ("" if trunk.known else " (unknown)"),
        "SIP device": device.ref if device else "none",
    }
    if trunk.expected_off:
        lines["expected"] = "off"
    if device:
        lines["selector"] = "on" if device.enabled else "off"
        lines["line"] = device.line or "-"
        if secrets:
            lines["SIP login"] = device.sip_login or "-"
            lines["SIP password"] = device.sip_password or "-"
    width = max(map(len, lines)) + 2
    return "".join(f"{name:<{width}}{printable(value)}\n" for name, value in lines.items())
