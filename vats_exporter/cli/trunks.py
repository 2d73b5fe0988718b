"""``trunks``: look at the trunks of all accounts, and move their selectors."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import click

from vats_exporter.cabinet.devices import TrunkDetails
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.page import VARYING
from vats_exporter.cli import options, output, selector
from vats_exporter.cli.options import Found
from vats_exporter.cli.output import Table, _, count, facts, tell, track, words, write
from vats_exporter.trunks import ROW_FLAGS, TRUNK_FIELDS, Trunk

_ONLY: Final[dict[str, tuple[Callable[[Trunk], bool | None], bool]]] = {
    **{
        word: (flag.of, wanted)
        for flag in ROW_FLAGS
        for word, wanted in zip(flag.only, (True, False), strict=True)
    },
    "expected-off": (attrgetter("expected_off"), True),
    "unknown": (attrgetter("known"), False),
}
"""What is looked at in a trunk, and what it has to be."""

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
    f"--only [{'|'.join(_ONLY)}]",
    "Only trunks in this state; given several times, only trunks in all of these states. "
    "unknown: with an unknown pattern.",
    multiple=True,
)
@options.option(f"--sort [{'|'.join(_SORT)}]", "Sort order.", default="account")
@options.option(
    "--format [table|json|csv]",
    "csv uses semicolons and a byte order mark, which Excel needs for Cyrillic.",
    default="table",
)
def list_command(**given: Any) -> None:
    """List the trunks and their flags.

    Exits with 1 if an account could not be read; the others are still listed.
    """
    accounts = options.choose(options.read_config(given["config_file"]), given["account"])
    expected = any(one.expected_off or one.expected_off_file for one in accounts)
    form, sort = given["format"], given["sort"]
    as_text = {"table": _table(expected=expected), "json": _as_json, "csv": _as_csv}[form]
    wanted = [_ONLY[word] for word in given["only"]]
    read = shown = 0
    unknown = False
    with options.reading(sorted(accounts, key=attrgetter("name"))) as (batches, failed):
        # A table sorted by account is written as the accounts are read.
        at_once = sort != "account" or form != "table"
        for batch in [list(chain.from_iterable(batches))] if at_once else batches:
            chosen = [one for one in batch if all(of(one.trunk) is value for of, value in wanted)]
            write(as_text(sorted(chosen, key=_SORT[sort])))
            read += len(batch)
            shown += len(chosen)
            unknown |= not all(found.trunk.known for found in chosen)
    if form == "table":
        if wanted:
            tell(count(read, "{shown} of {count} trunk", "{shown} of {count} trunks", shown=shown))
        else:
            tell(count(shown, "{count} trunk", "{count} trunks"))
        positions = ", ".join(map(str, VARYING))
        tell("Pattern: a row's values at positions {positions}.", positions=positions)
        if unknown:
            tell("?: a pattern that is not known; vats-exporter inspect shows examples.")
    if failed:
        sys.exit(output.FAILED)


def _table(*, expected: bool) -> Callable[[Sequence[Found]], str]:
    titles = [_("Account"), _("Phone"), _("Name"), *(words(flag.title) for flag in ROW_FLAGS)]
    table = Table(*titles, _("Pattern"), _("Trunk"), *([_("Expected")] if expected else []))
    yes, no, off = _("yes"), _("no"), _("off")

    def as_text(chosen: Sequence[Found]) -> str:
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
            for found in chosen
        ]
        return table.text(rows, grey=[found.trunk.expected_off for found in chosen])

    return as_text


def _row(found: Found) -> dict[str, Any]:
    of_trunk = {key: of(found.trunk) for key, of in TRUNK_FIELDS.items()}
    return {"account": found.account, **of_trunk, "expected_off": found.trunk.expected_off}


def _as_json(chosen: Sequence[Found]) -> str:
    lines = ",\n".join(f" {output.as_json(_row(found))}" for found in chosen)
    return f"[\n{lines}\n]\n" if chosen else "[]\n"


def _as_csv(chosen: Sequence[Found]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, delimiter=";")
    writer.writerow(["account", *TRUNK_FIELDS, "expected_off"])
    writer.writerows(map(_cell, _row(found).values()) for found in chosen)
    return "\ufeff" + page.getvalue()


def _cell(value: str | int) -> str | int:
    """A cell as a spreadsheet takes it: a text that it would take for a formula stays a text."""
    if not isinstance(value, str):
        return int(value)
    text = output.printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


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
def show_command(**given: Any) -> None:
    """Show everything the cabinet says about some trunks.

    PHONE is a phone number in any notation, its last seven digits, or a trunk's reference. Reads
    each trunk's device form as well. Exits with 1 if a trunk does not exist or could not be read.
    """
    accounts = options.choose(options.read_config(given["config_file"]), given["account"])
    with options.reading(accounts) as (batches, unread):
        chosen, problems = options.find(chain.from_iterable(batches), given["phones"])
        failed = bool(problems or unread)
        one_by_one = track(chosen, len(chosen), "reading the details: {done} of {total}")
        for number, found in enumerate(one_by_one):
            try:
                details = found.cabinet.read_details(found.trunk.ref)
            except CabinetError as error:
                tell("{phone}: {error}", phone=found.label, error=error)
                failed = True
                continue
            write(("\n" if number else "") + _card(found, details, secrets=given["show_secrets"]))
    if failed:
        sys.exit(output.FAILED)


def _card(found: Found, details: TrunkDetails, *, secrets: bool) -> str:
    """One trunk, a line for each thing known of it."""
    trunk = found.trunk
    yes, no, on, off = _("yes"), _("no"), _("on"), _("off")
    lines = {
        _("phone"): trunk.phone or details.phone or "-",
        _("name"): trunk.name or "-",
        _("account"): found.account,
        _("trunk"): f"{trunk.ref} ({trunk.id})",
        **{words(flag.on): yes if flag.of(trunk) else no for flag in ROW_FLAGS},
        _("pattern"): trunk.pattern + ("" if trunk.known else _(" (unknown)")),
        _("SIP device"): details.device or _("none"),
    }
    if trunk.expected_off:
        lines[_("expected")] = off
    if details.device:
        lines[_("selector")] = on if details.enabled else off
        lines[_("line")] = details.line or "-"
        if secrets:
            lines[_("SIP login")] = details.sip_login or "-"
            lines[_("SIP password")] = details.sip_password or "-"
    return facts(lines)
