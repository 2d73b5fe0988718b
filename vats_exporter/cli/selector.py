"""``trunks enable`` and ``trunks disable``: move the selectors of some trunks, or of all.

The one part of the program that changes anything in a cabinet. It says what it will do before, and
what it did after, also when it is interrupted.
"""

from __future__ import annotations

import signal
import sys
from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import click

from vats_exporter.cabinet.devices import Switching, SwitchOutcome
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options, output
from vats_exporter.cli.output import Table, _, count, fail, sentence, tell, track, write
from vats_exporter.logs.logger import get_logger
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from vats_exporter.cli.options import Found
    from vats_exporter.logs.setup import Level

_log = get_logger(__name__)
_account = attrgetter("account")

_HELP: Final = """Switch the selector of some trunks {state}.

PHONE is a phone number in any notation, its last seven digits, or a trunk's reference. Shows what
will be done and asks for confirmation; then switches one selector at a time, reads each back, and
prints a table of before and after. The state that the cabinet shows afterwards counts, not its
reply. If the cabinet's script does not name the method, selector_method is needed, which import-har
finds. A refused login, or a cabinet that cannot be reached or does not answer, ends it for that
account.

Exits with 0 only if every selector is {state} in the end, and with 130 if some were not tried.
"""


def phones(*, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the argument PHONE."""
    metavar = "PHONE..." if required else "[PHONE...]"
    return click.argument(
        "phones",
        nargs=-1,
        required=required,
        metavar=metavar,
        shell_complete=options.complete_phone,
    )


def _command(name: str, *, enabled: bool, state: str, example: str) -> click.Command:
    @click.command(
        name,
        help=_HELP.format(state=state),
        epilog=options.examples(
            f"trunks {name} 79161234567", f"trunks {name} --file phones.txt --yes", example
        ),
    )
    @options.config_file
    @options.accounts
    @options.option(
        "--file FILE",
        "Read phones from a file, one per line; - is standard input.",
        name="source",
        type=click.File("r", encoding="utf-8"),
    )
    @options.option("--all", "All trunks of the chosen accounts.", name="everyone")
    @options.option("--yes", "Do not ask.")
    @options.option(
        "--dry-run",
        "Say what would be done, and change nothing; with --log.level debug, also log the "
        "requests that would be sent.",
    )
    @options.log_level
    @phones()
    def switch(**given: Any) -> None:
        _run(enabled=enabled, **given)

    return switch


enable = _command(
    "enable", enabled=True, state="on", example="trunks enable --all --account office --dry-run"
)
disable = _command(
    "disable", enabled=False, state="off", example="trunks disable 123-45-67 --dry-run"
)


def _run(  # noqa: PLR0913 - an argument an option
    *,
    enabled: bool,
    config_file: Path | None,
    account: Sequence[str],
    phones: Sequence[str],
    source: TextIO | None,
    everyone: bool,
    yes: bool,
    dry_run: bool,
    log_level: Level | None,
) -> None:
    if sum((bool(phones), source is not None, everyone)) != 1:
        raise click.UsageError(_("give phones, or --file, or --all: one of them"))
    wanted = options.phones_in(source.read()) if source is not None else list(phones)
    if source is not None and not wanted:
        fail("{file}: no phones in it", file=source.name)
    accounts = options.choose(options.read_config(config_file), account)
    with options.reading(accounts, log_level) as (batches, unread):
        chosen = list(chain.from_iterable(batches))
        if unread:
            fail("nothing was changed, since an account could not be read")
        if not everyone:
            chosen, problems = options.find(chosen, wanted)
            for problem in problems:
                tell("{problem}", problem=problem)
            if problems:
                fail("nothing was changed")
        states = _look(chosen, enabled=enabled)
        if dry_run or not yes:
            write(_plan(chosen, states, enabled=enabled))
        for found, state in zip(chosen, states, strict=True):
            if state is None:
                tell("{phone}: no SIP device, so no selector to switch", phone=found.label)
        moving = states.count(not enabled)
        if dry_run:
            tell("{line}; nothing was sent", line=_would_be(moving, enabled=enabled))
        elif yes or not moving or _agreed(moving, enabled=enabled):
            _switch(chosen, enabled=enabled)
        else:
            fail("nothing was changed")


def _look(chosen: Sequence[Found], *, enabled: bool) -> list[bool | None]:
    """Return where the selectors are, ``None`` where there is none, before anything is changed.

    The names are looked up again: a call of plain Java types also works with a stale policy, so
    its answer would not tell. [gwt]
    """
    states = []
    try:
        for cabinet in {id(found.cabinet): found.cabinet for found in chosen}.values():
            cabinet.discover()
        for found in track(chosen, len(chosen), "reading the selectors: {done} of {total}"):
            payload = found.cabinet.selector_payload(found.trunk.ref, enabled=enabled)
            _log.debug("request to send", account=found.account, trunk=found.label, body=payload)
            device = found.cabinet.read_details(found.trunk.ref).device
            states.append(device.enabled if device else None)
    except CabinetError as error:
        fail("nothing was changed: {error}", error=error)
    return states


def _plan(chosen: Sequence[Found], states: Sequence[bool | None], *, enabled: bool) -> str:
    said = {
        enabled: _("already {state}", state=_state(enabled)),
        not enabled: _("to be switched {state}", state=_state(enabled)),
        None: _("no SIP device"),
    }
    return Table(_("Account"), _("Phone"), _("Name"), _("Selector")).text(
        [found.account, found.label, found.trunk.name or "-", said[state]]
        for found, state in zip(chosen, states, strict=True)
    )


def _would_be(number: int, *, enabled: bool) -> str:
    if enabled:
        return count(
            number, "{count} trunk would be switched on", "{count} trunks would be switched on"
        )
    return count(
        number, "{count} trunk would be switched off", "{count} trunks would be switched off"
    )


def _agreed(number: int, *, enabled: bool) -> bool:
    """Ask; the end of the input is a no."""
    if enabled:
        question = count(number, "Switch {count} trunk on?", "Switch {count} trunks on?")
    else:
        question = count(number, "Switch {count} trunk off?", "Switch {count} trunks off?")
    tell("{question} [y/N]: ", question=question, end="")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        tell("")
    return answer.strip().casefold() in ("y", "yes", "д", "да")


def _switch(chosen: Sequence[Found], *, enabled: bool) -> None:
    """Carry it out, account by account; say what was done, also after Ctrl-C."""
    runs = {
        name: Switching(group[0].cabinet, [found.trunk for found in group], enabled=enabled)
        for name, found in groupby(sorted(chosen, key=_account), _account)
        for group in [list(found)]
    }
    steps = chain.from_iterable(runs.values())
    interrupted = False
    try:
        for _step in track(steps, len(chosen), "switching the selectors: {done} of {total}"):
            pass
    except KeyboardInterrupt:
        interrupted = True
    # No Ctrl-C cuts off the word of what was done: it is the only one there is.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = _report(runs, enabled=enabled, interrupted=interrupted)
    finally:
        signal.signal(signal.SIGINT, before)
    sys.exit(status)


def _report(runs: Mapping[str, Switching], *, enabled: bool, interrupted: bool) -> int:
    """Report the outcome for every trunk; return the exit status."""
    changes = [(name, change) for name, run in runs.items() for change in run.changes]
    titles = _("Account"), _("Phone"), _("Name"), _("Before"), _("After"), _("Outcome")
    rows = [
        [
            name,
            change.trunk.phone or change.trunk.ref,
            change.trunk.name or "-",
            _state(change.before),
            _state(change.after),
            sentence(change.outcome.value + (f": {redact(change.error)}" if change.error else "")),
        ]
        for name, change in changes
    ]
    write(Table(*titles).text(rows))
    done = sum(change.holds for _name, change in changes)
    state = _state(enabled)
    line = count(
        len(rows),
        "{done} of {count} trunk {state}",
        "{done} of {count} trunks {state}",
        done=done,
        state=state,
    )
    tell("{line}", line=line)
    unfinished = {name for name, change in changes if change.outcome is SwitchOutcome.PENDING}
    for name in unfinished:
        if error := runs[name].stopped:
            tell("{account}: stopped: {error}", account=name, error=sentence(redact(error)))
    if interrupted:
        tell("interrupted: what is not done is left as it was")
    elif unfinished:
        tell("what is not done is left as it was")
    if interrupted or unfinished:
        return output.INTERRUPTED
    return output.FAILED if done < len(changes) else 0


def _state(enabled: bool | None) -> str:  # noqa: FBT001 - the one thing it is given
    return "-" if enabled is None else _("on") if enabled else _("off")
