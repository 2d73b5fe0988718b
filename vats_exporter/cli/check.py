"""``check``: is the configuration right, and does it work."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options, output
from vats_exporter.cli.output import Table, _, count, fail, say, sentence, tell, write
from vats_exporter.config.loading import readable_passwords
from vats_exporter.config.problems import ConfigError
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.redaction import describe_unexpected, redact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vats_exporter.cabinet.client import CabinetClient
    from vats_exporter.config.models import AccountSettings


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
    for warning in (*config.warnings, *readable_passwords(config)):
        tell("{file}: warning: {problem}", file=config.file, problem=options.in_words(warning))
    if problem := _unusable(config.history.file):
        fail(
            "{file}: history.file: {problem}",
            status=output.WRONG_CONFIGURATION,
            file=config.file,
            problem=problem,
        )
    right = count(
        len(config.accounts),
        "{file}: ok, {count} account",
        "{file}: ok, {count} accounts",
        file=config.file,
    )
    say("{line}", line=right)
    if web_config_file is not None:
        try:
            options.read_web_config(web_config_file)
        except ConfigError as error:
            options.refuse(error)
        say("{file}: ok", file=web_config_file)
    if online and not _works(config.accounts):
        sys.exit(output.FAILED)


def _unusable(history: Path | None) -> str:
    """Say why a history could not be kept there; nothing if it can."""
    if history is None:
        return ""
    folder = history.parent
    if not folder.is_dir():
        return _("its folder does not exist")
    if history.exists() and not history.is_file():
        return _("not a file")
    if not all(os.access(one, os.W_OK) for one in (folder, history) if one.exists()):
        return _("this user cannot write there")
    return ""


def _works(accounts: Sequence[AccountSettings]) -> bool:
    """Ask every account's cabinet, and write what was found; return whether all of them work."""
    titles = _("Account"), _("Result"), _("Trunks"), _("Enterprise"), _("Permutation")
    with options.at_once(accounts, _ask) as asked:
        found = [(account.name, *outcome) for account, _cabinet, outcome in asked]
    table = Table(*titles, right={2, 3})
    write("\n" + table.text([name, *cells] for name, _error, cells, _warnings in found))
    lines = [
        f"{name}: {sentence(line)}"
        for name, error, _cells, warnings in found
        for line in ([error] if error else warnings)
    ]
    if any(cells[1].endswith("+") for _name, _error, cells, _warnings in found):
        lines.append(_("+ means that there may be more: only the first page was read."))
    for line in ["", *lines] if lines else []:
        say("{line}", line=line)
    return not any(error for _name, error, _cells, _warnings in found)


def _ask(
    account: AccountSettings, cabinet: CabinetClient
) -> tuple[str, list[str], tuple[str, ...]]:
    """Read one page, or all where a list is to be compared.

    Returns:
        what does not work, empty if all does; the row without the account's name; warnings.
    """
    whole = bool(account.expected_off or account.expected_off_file)
    result, error, trunks = "", "", "-"
    warnings: tuple[str, ...] = ()
    try:
        listing = cabinet.read_trunks() if whole else cabinet.read_first_page()
        full = len(listing.trunks) == account.page_size and not whole
        trunks, warnings = f"{len(listing.trunks)}{'+' * full}", listing.warnings
        if whole:
            expected = ExpectedOff(account.expected_off, account.expected_off_file)
            warnings = (*warnings, *expected.mark(listing.trunks)[1])
    except CabinetError as problem:
        result, error = problem.result, str(problem)
    except Exception as bug:  # noqa: BLE001  # one account's bug must not hide the others
        result, error = "undecodable", describe_unexpected(bug)
    misfit = cabinet.list_tail_misfit
    if misfit and misfit not in error:
        result = result or "undecodable"
        error = f"{error}; {misfit}" if error else f"list: {misfit}"
    enterprise = cabinet.enterprise or account.enterprise or "-"
    permutation = cabinet.discovery.permutation if cabinet.discovery else "-"
    return redact(error), [result or _("ok"), trunks, enterprise, permutation], warnings
