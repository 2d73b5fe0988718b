"""``check``: is the configuration right, and does it work."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options
from vats_exporter.cli.output import FAILED, WRONG_CONFIGURATION, fail, printable, tell, write
from vats_exporter.cli.tables import Column, table
from vats_exporter.config.loading import readable_passwords
from vats_exporter.config.problems import ConfigError
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.logs import setup
from vats_exporter.redaction import describe_unexpected, redact

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.config.models import AccountSettings

_AT_ONCE: Final = 8
"""Cabinets asked at the same time; each is a cabinet of its own."""


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter check\n"
    "  vats-exporter check --config.file /etc/vats-exporter/vats-exporter.yml\n"
    "  vats-exporter check --web.config.file /etc/vats-exporter/web.yml\n"
    "  vats-exporter check --online || echo 'some account does not work'\n"
)
@options.config_file
@options.web_config_file
@click.option(
    "--online",
    is_flag=True,
    help="Also sign in to each account's cabinet and read one page of trunks.",
)
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
        tell(f"{config.file}: warning: {warning}")
    if problem := _unusable(config.history.file):
        fail(f"{config.file}: history.file: {problem}", WRONG_CONFIGURATION)
    count = len(config.accounts)
    write(f"{printable(str(config.file))}: ok, {count} account{'s' if count != 1 else ''}\n")
    if web_config_file is not None:
        try:
            options.read_web_config(web_config_file)
        except ConfigError as error:
            options.refuse(error)
        write(f"{printable(str(web_config_file))}: ok\n")
    if not online:
        return
    setup.configure(level="error")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        findings = list(pool.map(_ask, config.accounts))
    write(_report(findings))
    if not all(finding.works for finding in findings):
        sys.exit(FAILED)


def _unusable(history: Path | None) -> str:
    """Say why a history could not be kept there; nothing if it can."""
    if history is None:
        return ""
    folder = history.parent
    if not folder.is_dir():
        return "its folder is not there"
    if history.exists() and not history.is_file():
        return "not a file"
    if not all(os.access(one, os.W_OK) for one in (folder, history) if one.exists()):
        return "this user cannot write there"
    return ""


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was found of an account.

    Attributes:
        account: its name.
        result: ``success``, or the word for what failed.
        error: a sentence; empty if it works.
        enterprise: the enterprise's number.
        permutation: the strong name of the permutation.
        trunks: on the first page; ``None`` if it could not be read.
        full: whether the page is full, so that more pages may follow.
        warnings: what could not be told.
    """

    account: str
    result: str
    error: str = ""
    enterprise: str = ""
    permutation: str = ""
    trunks: int | None = None
    full: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        return self.result == "success"


def _ask(account: AccountSettings) -> _Finding:
    """Sign in to an account's cabinet and read one page, or all where a list is to be compared."""
    whole = bool(account.expected_off or account.expected_off_file)
    with CabinetClient(account) as cabinet:
        result, error = "success", ""
        trunks: int | None = None
        warnings: tuple[str, ...] = ()
        try:
            listing = cabinet.read_trunks() if whole else cabinet.read_first_page()
            trunks, warnings = len(listing.trunks), listing.warnings
            if whole:
                expected = ExpectedOff(account.expected_off, account.expected_off_file)
                warnings = (*warnings, *expected.mark(listing.trunks)[1])
        except CabinetError as problem:
            result, error = problem.result, str(problem)
        except Exception as bug:  # noqa: BLE001  # one account's bug must not hide the others
            result, error = "undecodable", describe_unexpected(bug)
        misfit = cabinet.list_tail_misfit
        if misfit and misfit not in error:
            result = "undecodable" if result == "success" else result
            error = f"{error}; {misfit}" if error else f"list: {misfit}"
        discovery = cabinet.discovery
        return _Finding(
            account=account.name,
            result=result,
            error=redact(error),
            enterprise=cabinet.enterprise or account.enterprise or "",
            permutation=discovery.permutation if discovery else "",
            trunks=trunks,
            full=trunks == account.page_size and not whole,
            warnings=warnings,
        )


def _report(findings: list[_Finding]) -> str:
    """A table of all accounts, and under it a line for everything that needs a sentence."""
    shown = table(
        [
            Column("Account"),
            Column("Result"),
            Column("Trunks", right=True),
            Column("Enterprise", right=True),
            Column("Permutation"),
        ],
        [
            [
                finding.account,
                "ok" if finding.works else finding.result,
                "-" if finding.trunks is None else f"{finding.trunks}{'+' * finding.full}",
                finding.enterprise or "-",
                finding.permutation or "-",
            ]
            for finding in findings
        ],
    )
    sentences = [
        f"{printable(f'{finding.account}: {sentence}')}\n"
        for finding in findings
        for sentence in ([finding.error] if finding.error else finding.warnings)
    ]
    if any(finding.full for finding in findings):
        sentences.append("+ means that there may be more: only the first page was read.\n")
    return "\n".join(["", shown, *(["".join(sentences)] if sentences else [])])
