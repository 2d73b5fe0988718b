"""``inspect``: what a cabinet shows, and how its rows are read."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet import contract
from vats_exporter.cabinet.errors import DifferError
from vats_exporter.cabinet.page import KNOWN_PATTERNS, VARYING
from vats_exporter.cli import options
from vats_exporter.cli.accounts import choose
from vats_exporter.cli.output import fail, printable, reason, tell, write
from vats_exporter.cli.tables import Column, table
from vats_exporter.gwt import encode_long
from vats_exporter.logs import setup
from vats_exporter.redaction import redact
from vats_exporter.tools.inspection import Inspection, anonymous_answers, inspect
from vats_exporter.trunks import ROW_FLAGS

if TYPE_CHECKING:
    from vats_exporter.cabinet.discovery import Discovery
    from vats_exporter.cabinet.settings import CabinetSettings

_MOST_DIFFERING: Final = 20
"""Rows that are shown where both readings differ."""


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter inspect --account office\n"
    "  vats-exporter inspect --account office --save report\n"
)
@options.config_file
@click.option("--account", "name", metavar="NAME", help="Which account.  [default: the only one]")
@click.option(
    "--save",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Save the cabinet's responses there, with everything personal and secret replaced, to "
    "attach to a bug report.",
)
def command(*, config_file: Path | None, name: str | None, folder: Path | None) -> None:
    """Show what an account's cabinet says, and how it is read.

    Signs in, reads every page, and shows what was discovered, whether the cabinet's script or the
    block of each row was read by, and why; rows that the two read differently; the patterns of rows
    with an example of each, which of them are known, and how the configured positions read them.
    Compare the examples with the cabinet's own screen to see whether the positions are right.

    Exits with 1 if the cabinet cannot be read, after showing and saving what it sent until then.
    """
    config = options.read_config(config_file)
    accounts = choose(config, [name] if name else [])
    if len(accounts) > 1:
        known = ", ".join(account.name for account in accounts)
        fail(f"which account? there are {known}; say --account NAME")
    (account,) = accounts
    setup.configure(level="error")
    found = inspect(account, details=folder is not None)
    if found.discovery is not None:
        write(_report(account.name, account, found, found.discovery))
    if folder is not None and found.answers:
        _save(folder, found)
    if found.error:
        fail(f"{account.name}: {redact(found.error)}")


def _report(name: str, settings: CabinetSettings, found: Inspection, names: Discovery) -> str:
    pages = [page for page in found.pages if not isinstance(page, DifferError)]
    rows = ", ".join(str(len(page.records)) for page in pages)
    totals = {page.total for page in pages if page.total is not None}
    total = ", ".join(map(str, sorted(totals))) or "not given"
    read_by = found.listing.read_by or ", ".join(dict.fromkeys(page.read_by for page in pages))
    reasons = dict.fromkeys(page.not_by_script for page in pages if page.not_by_script)
    number = found.enterprise
    shown = f"{number} ({encode_long(int(number))})" if number.isdecimal() else f"- ({number})"
    fragments = f" and {names.fragments} of its deferred fragments" if names.fragments else ""
    facts = {
        "account": name,
        "address": settings.address,
        "enterprise": shown,
        "permutation": names.permutation + fragments,
        "read by": (read_by or "-") + "".join(f" ({reason})" for reason in reasons),
        "pages": f"{len(pages)} ({rows} rows)",
        "trunks": f"{len(found.listing.trunks)}; the cabinet's total: {total}",
    }
    width = max(map(len, facts)) + 2
    head = "".join(f"{key:<{width}}{printable(value)}\n" for key, value in facts.items())
    warnings = "".join(f"! {printable(warning)}\n" for warning in found.listing.warnings)
    sections = [head, *_names(names), _differing(found), _patterns(settings, found), warnings]
    return "\n".join(section for section in sections if section)


def _names(found: Discovery) -> tuple[str, str]:
    """The services, and the classes that requests name."""
    services = table(
        [Column("Service"), Column("Policy")], [[*item] for item in sorted(found.policies.items())]
    )
    classes = []
    for name in sorted({*contract.LIST.classes, *contract.DETAILS.classes}):
        number = found.signature(name).rpartition("/")[2]
        once = "" if name in found.signatures else " (seen once; not in the script)"
        classes.append([name, number + once])
    return services, table([Column("Class"), Column("Signature")], classes)


def _differing(found: Inspection) -> str:
    """Both readings of the rows in which they differ."""
    rows = [
        [str(number), str(row), by_script or "-", by_block or "-"]
        for number, page in enumerate(found.pages, start=1)
        if isinstance(page, DifferError)
        for row, (by_script, by_block) in enumerate(
            zip_longest(page.by_script, page.by_block), start=1
        )
        if by_script != by_block
    ]
    if not rows:
        return ""
    columns = [Column("Page", right=True), Column("Row", right=True)]
    columns += [Column("By the script"), Column("By its block")]
    more = f"and {len(rows) - _MOST_DIFFERING} more\n" if len(rows) > _MOST_DIFFERING else ""
    return table(columns, rows[:_MOST_DIFFERING]) + more


def _patterns(settings: CabinetSettings, found: Inspection) -> str:
    """The patterns of rows, each with an example: a trunk with a phone, if any has one."""
    rows = []
    for pattern, trunks in found.patterns:
        example = next((trunk for trunk in trunks if trunk.phone), trunks[0])
        flags = (_yes(bool(flag.of(example))) for flag in ROW_FLAGS)
        meaning = KNOWN_PATTERNS.get(pattern, "unknown")
        rows.append([pattern, str(len(trunks)), example.phone or example.ref, *flags, meaning])
    columns = [Column("Pattern"), Column("Trunks", right=True), Column("Example")]
    columns += [*(Column(flag.title.en) for flag in ROW_FLAGS), Column("Meaning")]
    positions = ", ".join(map(str, VARYING))
    configured = ", ".join(
        f"{flag.on.en} at {position}"
        for flag, position in zip(ROW_FLAGS, settings.flags.in_order, strict=True)
    )
    reading = f"A pattern is a row's values at {positions}. Read as configured: {configured}.\n"
    return table(columns, rows) + reading


def _save(folder: Path, found: Inspection) -> None:
    answers = anonymous_answers(found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in answers:
            (folder / name).write_bytes(body)
    except OSError as error:
        fail(f"{folder}: cannot be written: {reason(error)}")
    tell(f"{folder}: {len(answers)} answers saved, without phones, names, ids and credentials")
    if left_out := len(found.answers) - len(answers):
        tell(f"{folder}: {left_out} left out, since what is personal in them cannot be told")


def _yes(value: bool) -> str:  # noqa: FBT001 - the one thing it is given
    return "yes" if value else "no"
