"""``trunks enable`` and ``trunks disable``: move the selectors of some trunks, or of all.

The one part of the program that changes anything in a cabinet. It says what it will do before, and
what it did after, also when it is interrupted.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet.devices import Switching, SwitchOutcome
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options
from vats_exporter.cli.accounts import account_option, choose, find, read_phones, reading
from vats_exporter.cli.output import FAILED, fail, tell, write
from vats_exporter.cli.progress import track
from vats_exporter.cli.tables import Column, table
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from vats_exporter.cabinet.devices import TrunkSwitch
    from vats_exporter.cli.accounts import Found

INTERRUPTED: Final = 130
"""Exit status where some trunks were not tried: as shells have it after Ctrl-C."""


def _selector(function: Callable[..., None]) -> Callable[..., None]:
    """Add what both commands take."""
    decorators = (
        options.config_file,
        account_option,
        click.option(
            "--file",
            "source",
            type=click.File("r", encoding="utf-8"),
            help="Read phones from a file, one per line; - is standard input.",
        ),
        click.option("--all", "everyone", is_flag=True, help="All trunks of the chosen accounts."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--dry-run", is_flag=True, help="Print the exact requests without sending them."
        ),
        click.argument("phones", nargs=-1, metavar="[PHONE...]"),
    )
    # The last one applied stands first in the help.
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


_HELP = """Switch the selector of some trunks {state}.

PHONE is a phone number in any notation, or a trunk's reference. Shows what will be done and asks
for confirmation; then switches one selector at a time, reads each back, and prints a table of
before and after. The state that the cabinet shows afterwards counts, not its reply. Needs
selector_method in the account's configuration; import-har finds it. A refused login, or a cabinet
that cannot be reached or does not answer, ends it for that account.

Exits with 0 only if every selector is {state} in the end, and with 130 if some were not tried.
"""


@click.command(
    "enable",
    help=_HELP.format(state="on"),
    epilog="\b\nExamples:\n"
    "  vats-exporter trunks enable 79161234567\n"
    "  vats-exporter trunks enable --file phones.txt --yes\n"
    "  vats-exporter trunks enable --all --account office --dry-run\n",
)
@_selector
def enable(**arguments: object) -> None:
    """Switch selectors on."""
    _run(enabled=True, **arguments)  # type: ignore[arg-type]  # as _selector declares them


@click.command(
    "disable",
    help=_HELP.format(state="off"),
    epilog="\b\nExamples:\n"
    "  vats-exporter trunks disable 79161234567\n"
    "  vats-exporter trunks disable --file phones.txt --yes\n",
)
@_selector
def disable(**arguments: object) -> None:
    """Switch selectors off."""
    _run(enabled=False, **arguments)  # type: ignore[arg-type]  # as _selector declares them


def _run(
    *,
    enabled: bool,
    config_file: Path | None,
    names: Sequence[str],
    phones: Sequence[str],
    source: TextIO | None,
    everyone: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    if sum((bool(phones), source is not None, everyone)) != 1:
        raise click.UsageError("give phones, or --file, or --all: one of them")
    wanted = read_phones(source.read()) if source is not None else list(phones)
    if source is not None and not wanted:
        fail(f"{source.name}: no phones in it")
    accounts = choose(options.read_config(config_file), names)
    with reading(accounts) as (everything, whole):
        if not whole:
            fail("nothing was changed, since an account could not be read")
        if everyone:
            chosen = everything
        else:
            chosen, problems = find(everything, wanted)
            for problem in problems:
                tell(problem)
            if problems:
                fail("nothing was changed")
        _discover(chosen)
        payloads = _payloads(chosen, enabled=enabled)
        if dry_run:
            write(payloads)
            return
        if not yes:
            _ask(chosen, enabled=enabled)
        _switch(chosen, enabled=enabled)


def _discover(chosen: Sequence[Found]) -> None:
    """Look up the names again before changing anything.

    A call of plain Java types also works with a stale policy, so its answer would not tell. [gwt]
    """
    for cabinet in {id(found.cabinet): found.cabinet for found in chosen}.values():
        try:
            cabinet.discover()
        except CabinetError as error:
            fail(f"nothing was changed: {redact(str(error))}")


def _payloads(chosen: Sequence[Found], *, enabled: bool) -> str:
    lines = []
    for found in chosen:
        try:
            payload = found.cabinet.selector_payload(found.trunk.ref, enabled=enabled)
        except CabinetError as error:
            fail(str(error))
        lines.append(f"{found.account} {found.trunk.phone or found.trunk.ref} {payload}\n")
    return "".join(lines)


def _ask(chosen: Sequence[Found], *, enabled: bool) -> None:
    write(
        table(
            [Column("Account"), Column("Phone"), Column("Name"), Column("Selector")],
            [
                [
                    found.account,
                    found.trunk.phone or found.trunk.ref,
                    found.trunk.name or "-",
                    f"to be switched {_state(enabled)}",
                ]
                for found in chosen
            ],
        )
    )
    question = f"Switch {_count(len(chosen), 'trunk')} {_state(enabled)}?"
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
        tell("")
    if not agreed:
        fail("nothing was changed")


def _switch(chosen: Sequence[Found], *, enabled: bool) -> None:
    """Carry it out, account by account; say what was done, also after Ctrl-C."""
    groups: dict[str, list[Found]] = {}
    for found in chosen:
        groups.setdefault(found.account, []).append(found)
    runs = {
        name: Switching(group[0].cabinet, [found.trunk for found in group], enabled=enabled)
        for name, group in groups.items()
    }
    steps = (change for run in runs.values() for change in run)
    interrupted = False
    try:
        for _ in track(steps, len(chosen), f"switching {_state(enabled)}"):
            pass
    except KeyboardInterrupt:
        interrupted = True
    with _undisturbed():
        _tell(runs, enabled=enabled, interrupted=interrupted)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no Ctrl-C cut off the word of what was done: it is the only one there is."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(runs: Mapping[str, Switching], *, enabled: bool, interrupted: bool) -> None:
    """Say what became of every trunk, and end with a status that says whether all is as wanted."""
    changes = [(name, change) for name, run in runs.items() for change in run.changes]
    write(_report(changes))
    holding = sum(change.holds for _, change in changes)
    tell(f"{holding} of {_count(len(changes), 'trunk')} {_state(enabled)}")
    unfinished = {name for name, change in changes if change.outcome is SwitchOutcome.PENDING}
    for name in runs:
        if name in unfinished and runs[name].stopped:
            tell(f"{name}: stopped: {redact(runs[name].stopped)}")
    if interrupted or unfinished:
        told = "interrupted: " if interrupted else ""
        tell(f"{told}what is not done is left as it was")
        sys.exit(INTERRUPTED)
    if holding < len(changes):
        sys.exit(FAILED)


def _report(changes: Sequence[tuple[str, TrunkSwitch]]) -> str:
    return table(
        [Column(title) for title in ("Account", "Phone", "Name", "Before", "After", "Outcome")],
        [
            [
                account,
                change.trunk.phone or change.trunk.ref,
                change.trunk.name or "-",
                _state(change.before),
                _state(change.after),
                f"{change.outcome.value}: {redact(change.error)}"
                if change.error
                else change.outcome.value,
            ]
            for account, change in changes
        ],
    )


def _state(enabled: bool | None) -> str:  # noqa: FBT001 - the one thing it is given
    return "-" if enabled is None else "on" if enabled else "off"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
