"""``check``: is the configuration right, and does it work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import click

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options, output
from vats_exporter.cli.output import Table, _, count, failing, printable, sentence, tell, write
from vats_exporter.config.loading import readable_passwords
from vats_exporter.config.models import AccountSettings
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.redaction import redact


@click.command(
    epilog=options.examples(
        "check",
        "check --config.file /etc/vats-exporter/vats-exporter.yml",
        "check --web.config.file /etc/vats-exporter/web.yml",
        "check --online || echo 'some account does not work'",
    )
)
@options.config_file
@options.web_config_file
@options.option("--online", "Also sign in to each account's cabinet and read one page of trunks.")
def command(config_file: Path | None, web_config_file: Path | None, *, online: bool) -> None:
    """Check a configuration and, with --online, whether it works.

    Reads the file as serve does, with the password files and environment variables that it names.
    Prints ok, or every mistake, one per line with the path of its key. Nothing is started, and
    without --online no cabinet is contacted. With --web.config.file, that file and the certificates
    it names are checked as well. What is valid but most likely wrong is a warning on standard
    error.

    With --online it signs in to each account's cabinet, discovers what the exporter discovers,
    reads the first page of trunks, and prints a table of what it found. Where trunks are expected
    to be off, it reads the whole list and warns of those that are not in it.

    Exits with 2 if the configuration is invalid, and with 1 if an account does not work.
    """
    config = options.read_config(config_file)
    file, number = config.file, len(config.accounts)
    for warning in (*config.warnings, *readable_passwords(config)):
        tell("{file}: warning: {problem}", file=file, problem=sentence(str(warning)))
    if history := config.history.file:
        with failing(
            OSError, "{file}: history.file: {error}", status=output.WRONG_CONFIGURATION, file=file
        ):
            TemporaryFile(dir=history.parent).close()  # SQLite writes files beside it
            if history.exists():
                history.open("rb+").close()
    ok = count(number, "{file}: ok, {count} account", "{file}: ok, {count} accounts", file=file)
    write(printable(ok) + "\n")
    if web_config_file is not None:
        options.read_web_config(web_config_file)
        write(printable(_("{file}: ok", file=web_config_file)) + "\n")
    if online and not _works(config.accounts):
        sys.exit(output.FAILED)


def _works(accounts: Sequence[AccountSettings]) -> bool:
    """Ask every account's cabinet, and write what was found; return whether all of them work."""
    titles = _("Account"), _("Result"), _("Trunks"), _("Enterprise"), _("Permutation")
    rows, lines, works = [], [], True
    for account, cabinet, outcome in options.at_once(accounts, _read):
        if isinstance(outcome, CabinetError):
            problem, trunks, notes = outcome.result, "-", [str(outcome)]
        else:
            problem, (trunks, notes) = "", outcome
        if misfit := cabinet.discovery.misfit if cabinet.discovery else "":
            problem = problem or "undecodable"
            notes += [] if any(misfit in note for note in notes) else [misfit]
        enterprise = cabinet.enterprise or account.enterprise or "-"
        permutation = cabinet.discovery.permutation if cabinet.discovery else "-"
        rows.append([account.name, problem or _("ok"), trunks, enterprise, permutation])
        lines += [f"{account.name}: {sentence(redact(note))}" for note in notes]
        works = works and not problem
    write("\n" + Table(*titles, right={2, 3}).text(rows))
    if any(row[2].endswith("+") for row in rows):
        lines.append(_("+ means that there may be more: only the first page was read."))
    if lines:
        write("".join(f"{printable(line)}\n" for line in ["", *lines]))
    return works


def _read(account: AccountSettings, cabinet: CabinetClient) -> tuple[str, list[str]]:
    """Read one page, or all where a list is to be compared; return how many, and warnings."""
    expected = ExpectedOff(account.expected_off, account.expected_off_file)
    if expected.entries or expected.file:
        listing = cabinet.read_trunks()
        return str(len(listing.trunks)), [*listing.warnings, *expected.mark(listing.trunks)[1]]
    page = cabinet.read_first_page()
    number = len(page.trunks)
    return f"{number}{'+' * (number == account.page_size)}", list(page.warnings)
