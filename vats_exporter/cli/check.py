"""``check``: is the configuration right, and does it work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options, output
from vats_exporter.cli.output import Table, _, count, failing, printable, sentence, tell, write
from vats_exporter.config.loading import readable_passwords
from vats_exporter.config.models import AccountSettings
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.redaction import redact


@options.command(
    "check",
    "check --config.file /etc/vats-exporter/vats-exporter.yml",
    "check --web.config.file /etc/vats-exporter/web.yml",
    "check --online || echo 'some account does not work'",
)
@options.config_file
@options.web_config_file
@options.option("--online", "Also sign in to each account's cabinet and read its trunks.")
def command(config_file: Path | None, web_config_file: Path | None, *, online: bool) -> None:
    """Check a configuration and, with --online, whether it works.

    Reads the file as serve does, with the password files and environment variables that it names,
    and the file of --web.config.file with its certificates. Prints ok, or every mistake, one per
    line with the path of its key. What is valid but most likely wrong is a warning on standard
    error.

    With --online it signs in to each account's cabinet, reads its trunks as the exporter does, and
    prints a table of what it found, and warnings, as of trunks expected to be off that are not in
    the list. Without it no cabinet is contacted.

    Exits with 2 if the configuration is invalid, and with 1 if an account does not work.
    """
    config = options.read_config(config_file)
    file, number = config.file, len(config.accounts)
    for warning in (*config.warnings, *readable_passwords(config)):
        tell("{file}: warning: {problem}", file=file, problem=options.in_words(warning))
    if history := config.history.file:
        with failing(OSError, "{file}: history.file: {error}", status=output.WRONG, file=file):
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
    """Read every account's trunks, and write what was found; return whether all of them work."""
    titles = _("Account"), _("Result"), _("Trunks"), _("Enterprise"), _("Permutation")
    rows, lines, works = [], [], True
    for account, cabinet, listing in options.read_accounts(accounts):
        if isinstance(listing, CabinetError):
            problem, trunks, notes = listing.result, "-", [str(listing)]
        else:
            problem, trunks = "", str(len(listing.trunks))
            expected = ExpectedOff(account.expected_off, account.expected_off_file)
            notes = [*listing.warnings, *expected.mark(listing.trunks)[1]]
        names = cabinet.discovery
        if names and names.misfit:
            problem = problem or "undecodable"
            notes += [] if any(names.misfit in note for note in notes) else [names.misfit]
        enterprise = cabinet.enterprise or account.enterprise or "-"
        permutation = names.permutation if names else "-"
        rows.append([account.name, problem or _("ok"), trunks, enterprise, permutation])
        lines += [f"{account.name}: {printable(sentence(redact(note)))}\n" for note in notes]
        works = works and not problem
    write("\n" + Table(*titles, right={2, 3}).text(rows) + "".join(["\n" * bool(lines), *lines]))
    return works
