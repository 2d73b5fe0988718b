"""``inspect``: what a cabinet shows, and how its rows are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vats_exporter.cabinet.page import VARYING
from vats_exporter.cli import options
from vats_exporter.cli.accounts import choose
from vats_exporter.cli.output import fail, printable, reason, tell, write
from vats_exporter.cli.tables import Column, table
from vats_exporter.logs import setup
from vats_exporter.redaction import redact
from vats_exporter.tools.inspection import Inspection, anonymous_answers, inspect
from vats_exporter.trunks import ROW_FLAGS

if TYPE_CHECKING:
    from vats_exporter.cabinet.settings import CabinetSettings


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

    Signs in, reads every page, and shows what was discovered, the patterns of rows with an example
    of each, which of them are known, and how the configured positions read them. Compare the
    examples with the cabinet's own screen to see whether the positions are right.

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
    if found.permutation:
        write(_report(account.name, account, found))
    if folder is not None and found.answers:
        _save(folder, found)
    if found.error:
        fail(f"{account.name}: {redact(found.error)}")


def _report(name: str, settings: CabinetSettings, found: Inspection) -> str:
    observed = set(found.observed)
    read = f" and {found.fragments} of its deferred fragments"
    rows = ", ".join(str(page.rows) for page in found.pages)
    totals = {page.total for page in found.pages if page.total is not None}
    total = ", ".join(map(str, sorted(totals))) or "not given"
    because = f" ({found.not_by_script})" if found.not_by_script else ""
    facts = {
        "account": name,
        "address": settings.address,
        "enterprise": f"{found.enterprise or '-'} ({found.reference})",
        "permutation": found.permutation + read * bool(found.fragments),
        "read by": f"{found.read_by or '-'}{because}",
        "pages": f"{len(found.pages)} ({rows} rows)",
        "trunks": f"{len(found.trunks)}; the cabinet's total: {total}",
    }
    width = max(map(len, facts)) + 2
    head = "".join(f"{key:<{width}}{printable(value)}\n" for key, value in facts.items())
    services = table(
        [Column("Service"), Column("Policy")], [[*item] for item in sorted(found.policies.items())]
    )
    classes = table(
        [Column("Class"), Column("Signature")],
        [
            [key, value.rpartition("/")[2] + " (seen once; not in the script)" * (key in observed)]
            for key, value in sorted(found.signatures.items())
        ],
    )
    positions = ", ".join(map(str, VARYING))
    patterns = table(
        [
            Column("Pattern"),
            Column("Trunks", right=True),
            Column("Example"),
            *(Column(flag.title.en) for flag in ROW_FLAGS),
            Column("Meaning"),
        ],
        [
            [
                one.pattern,
                str(one.count),
                one.example.phone or one.example.ref,
                *(_yes(bool(flag.of(one.example))) for flag in ROW_FLAGS),
                one.meaning or "unknown",
            ]
            for one in found.patterns
        ],
    )
    flags = ", ".join(
        f"{flag.on.en} at {position}"
        for flag, position in zip(ROW_FLAGS, settings.flags.in_order, strict=True)
    )
    reading = f"A pattern is a row's values at {positions}. Read as configured: {flags}.\n"
    warnings = "".join(f"! {printable(warning)}\n" for warning in found.warnings)
    sections = [head, services, classes, patterns + reading, warnings]
    return "\n".join(section for section in sections if section)


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
