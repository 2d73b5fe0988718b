"""What the commands on trunks share: choosing accounts, reading them, finding trunks in them."""

from __future__ import annotations

import difflib
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli.output import fail, tell
from vats_exporter.cli.progress import track
from vats_exporter.expected_off import ExpectedOff, read_lines
from vats_exporter.logs import setup
from vats_exporter.redaction import describe_unexpected, redact
from vats_exporter.trunks import normalise_phone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vats_exporter.config.models import AccountSettings, Config
    from vats_exporter.trunks import Trunk

_AT_ONCE: Final = 8
"""Cabinets read at the same time; each is a cabinet of its own."""


@dataclass(frozen=True, slots=True)
class Found:
    """A trunk, and where it is.

    Attributes:
        account: the account's name.
        cabinet: the account's cabinet, signed in to.
        trunk: the trunk.
    """

    account: str
    cabinet: CabinetClient
    trunk: Trunk


def account_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--account``, which may be given several times."""
    return click.option(
        "--account",
        "names",
        metavar="NAME",
        multiple=True,
        help="Only this account; may be given several times.  [default: all]",
    )(function)


def choose(config: Config, names: Sequence[str]) -> list[AccountSettings]:
    """The accounts of these names, or all of them.

    Args:
        config: the configuration.
        names: as given on the command line; empty for all.

    Raises:
        SystemExit: there is no such account.
    """
    known = {account.name: account for account in config.accounts}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            fail(f"no account {name!r} in {config.file}{hint}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(config.accounts)


@contextmanager
def reading(accounts: Sequence[AccountSettings]) -> Iterator[tuple[list[Found], bool]]:
    """Read every trunk of the accounts; their cabinets stay open within the block.

    Args:
        accounts: to read, several at a time.

    Yields:
        the trunks, account by account, and whether every account could be read. Those that could
        not are told on standard error.
    """
    setup.configure(level="error")
    with ExitStack() as stack:
        cabinets = {
            account.name: stack.enter_context(CabinetClient(account)) for account in accounts
        }
        expected = {
            account.name: ExpectedOff(account.expected_off, account.expected_off_file)
            for account in accounts
        }
        trunks: dict[str, Sequence[Trunk]] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            flights = {pool.submit(_read, cabinet): name for name, cabinet in cabinets.items()}
            for flight in track(as_completed(flights), len(flights), "reading the cabinets"):
                outcome = flight.result()
                name = flights[flight]
                if isinstance(outcome, str):
                    tell(f"{name}: {outcome}")
                    continue
                trunks[name], warnings = expected[name].mark(outcome)
                for warning in warnings:
                    tell(f"{name}: {warning}")
        found = [
            Found(name, cabinet, trunk)
            for name, cabinet in cabinets.items()
            for trunk in trunks.get(name, ())
        ]
        yield found, len(trunks) == len(cabinets)


def _read(cabinet: CabinetClient) -> tuple[Trunk, ...] | str:
    """An account's trunks, or why they can't be read."""
    try:
        return cabinet.read_trunks().trunks
    except CabinetError as error:
        return redact(str(error))
    except Exception as bug:  # noqa: BLE001 - one account's bug must not hide the others
        return describe_unexpected(bug)


def find(everything: Iterable[Found], wanted: Sequence[str]) -> tuple[list[Found], list[str]]:
    """Find trunks by what a person types.

    Args:
        everything: to look in.
        wanted: phones, in any way of writing them, or references.

    Returns:
        the trunks in the order asked for, each once, and a sentence for each text that names no
        trunk or more than one.
    """
    by_phone: dict[str, list[Found]] = {}
    by_ref: dict[str, list[Found]] = {}
    for found in everything:
        by_phone.setdefault(found.trunk.phone, []).append(found)
        by_ref.setdefault(found.trunk.ref, []).append(found)
    chosen: dict[tuple[str, str], Found] = {}
    problems = []
    together = " ".join(wanted)
    if len(wanted) > 1 and normalise_phone(together) and not any(map(normalise_phone, wanted)):
        return [], [f"{together}: put a phone with blanks in quotes"]
    for text in wanted:
        phone = normalise_phone(text)
        matches = by_ref.get(text.strip()) or (by_phone.get(phone, []) if phone else [])
        if not matches:
            kind = "no trunk has this phone" if phone else "neither a phone nor a trunk's reference"
            problems.append(f"{text}: {kind}")
        elif len(matches) > 1:
            places = ", ".join(f"{match.trunk.ref} in {match.account}" for match in matches)
            problems.append(f"{text}: several trunks have this phone: {places}")
        else:
            chosen[matches[0].account, matches[0].trunk.ref] = matches[0]
    return list(chosen.values()), problems


def read_phones(text: str) -> list[str]:
    """Read a file of phones: one a line; blank lines, and what follows a ``#``, are passed over.

    Args:
        text: the file's text.
    """
    return [phone for _, phone in read_lines(text)]
