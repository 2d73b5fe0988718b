"""``trunks enable`` and ``trunks disable``: move the selectors of some trunks, or of all.

The one part of the program that changes anything in a cabinet. It says what it will do before, and
what it did after, also when it is interrupted.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, NoReturn

import click

from vats_exporter.cabinet.devices import SwitchOutcome, TrunkSwitch
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cli import options, output
from vats_exporter.cli.options import Found
from vats_exporter.cli.output import Table, _, count, fail, sentence, tell, track, write
from vats_exporter.expected_off import read_lines
from vats_exporter.logs import get_logger

_log = get_logger(__name__)

_HELP: Final = """Switch the selector of some trunks {state}.

PHONE is a phone number in any notation, its last seven digits, or a trunk's reference. Shows what
will be done and asks for confirmation; then switches one selector at a time, reads each back, and
prints a table of before and after. The state that the cabinet shows afterwards counts, not its
reply. If the cabinet's script does not name the method, selector_method is needed, which import-har
finds. A refused login, or a cabinet that cannot be reached or does not answer, ends it for that
account.

Exits with 0 only if every selector is {state} in the end, and with 130 if some were not tried.
"""


phones: Final = partial(click.argument, "phones", nargs=-1, shell_complete=options.complete_phone)
"""The argument PHONE."""


def _command(name: str, *, enabled: bool, example: str) -> click.Command:
    @click.command(
        name,
        help=_HELP.format(state="on" if enabled else "off"),
        epilog=options.examples(
            f"trunks {name} 79161234567", f"trunks {name} --file phones.txt --yes", example
        ),
    )
    @options.config_file
    @options.accounts
    @options.option(
        "--file FILE",
        "Read phones from a file, one per line; - is standard input.",
        type=click.File("r", encoding="utf-8"),
    )
    @options.option("--all", "All trunks of the chosen accounts.")
    @options.option("--yes", "Do not ask.")
    @options.option(
        "--dry-run",
        "Say what would be done, and change nothing; with --log.level debug, also log the "
        "requests that would be sent.",
    )
    @options.log_level
    @phones(metavar="[PHONE...]")
    def switch(**given: Any) -> None:
        _run(given, enabled=enabled)

    return switch


enable = _command("enable", enabled=True, example="trunks enable --all --account office --dry-run")
disable = _command("disable", enabled=False, example="trunks disable 123-45-67 --dry-run")


def _run(given: Mapping[str, Any], *, enabled: bool) -> None:
    wanted, file, everyone = given["phones"], given["file"], given["all"]
    if sum(map(bool, (wanted, file, everyone))) != 1:
        raise click.UsageError(_("give phones, or --file, or --all: one of them"))
    if file:
        wanted = [phone for _line, phone in read_lines(file.read())]
        if not wanted:
            fail("{file}: no phones in it", file=file.name)
    accounts = options.choose(options.read_config(given["config_file"]), given["account"])
    with options.reading(accounts, given["log_level"]) as (batches, unread):
        chosen = list(chain.from_iterable(batches))
        if unread:
            fail("nothing was changed, since an account could not be read")
        if not everyone:
            chosen, problems = options.find(chosen, wanted)
            if problems:
                fail("nothing was changed")
        moving = _plan(chosen, enabled=enabled, shown=given["dry_run"] or not given["yes"])
        would_be, question = _in_words(moving, enabled=enabled)
        if given["dry_run"]:
            tell("{line}; nothing was sent", line=would_be)
        elif given["yes"] or not moving or _agreed(question):
            _switch(chosen, enabled=enabled)
        else:
            fail("nothing was changed")


def _plan(chosen: Sequence[Found], *, enabled: bool, shown: bool) -> int:
    """Look where the selectors are, and say what would be done; return how many would be moved.

    The cabinets' names are looked up again: a call of plain Java types also works with a stale
    policy, so its answer would not tell. [gwt]
    """
    states: list[bool | None] = []
    try:
        for cabinet in {found.account: found.cabinet for found in chosen}.values():
            cabinet.discover()
        for found in track(chosen, len(chosen), "reading the selectors: {done} of {total}"):
            payload = found.cabinet.selector_payload(found.trunk.ref, enabled=enabled)
            _log.debug("request to send", account=found.account, trunk=found.label, body=payload)
            states.append(found.cabinet.read_details(found.trunk.ref).enabled)
    except CabinetError as error:
        fail("nothing was changed: {error}", error=error)
    said = {
        enabled: _("already {state}", state=_state(enabled)),
        not enabled: _("to be switched {state}", state=_state(enabled)),
        None: _("no SIP device"),
    }
    rows = [
        [found.account, found.label, found.trunk.name or "-", said[state]]
        for found, state in zip(chosen, states, strict=True)
    ]
    if shown:
        write(Table(_("Account"), _("Phone"), _("Name"), _("Selector")).text(rows))
    for found, state in zip(chosen, states, strict=True):
        if state is None:
            tell("{phone}: no SIP device, so no selector to switch", phone=found.label)
    return states.count(not enabled)


def _in_words(number: int, *, enabled: bool) -> tuple[str, str]:
    """What would be done, and the question whether to do it."""
    if enabled:
        return (
            count(
                number, "{count} trunk would be switched on", "{count} trunks would be switched on"
            ),
            count(number, "Switch {count} trunk on?", "Switch {count} trunks on?"),
        )
    return (
        count(
            number, "{count} trunk would be switched off", "{count} trunks would be switched off"
        ),
        count(number, "Switch {count} trunk off?", "Switch {count} trunks off?"),
    )


def _agreed(question: str) -> bool:
    """Ask; the end of the input is a no."""
    tell("{question} [y/N]: ", question=question, end="")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        tell("")
    return answer.strip().casefold() in ("y", "yes", "д", "да")


def _switch(chosen: Sequence[Found], *, enabled: bool) -> NoReturn:
    """Carry it out; say what was done, also after Ctrl-C, and end the program."""
    both = [(found, TrunkSwitch()) for found in chosen]
    stopped: dict[str, str] = {}
    interrupted = False
    try:
        for found, switch in track(both, len(both), "switching the selectors: {done} of {total}"):
            if found.account not in stopped:
                switch.carry_out(found.cabinet, found.trunk.ref, enabled=enabled)
                if switch.stops:
                    stopped[found.account] = sentence(switch.error)
    except KeyboardInterrupt:
        interrupted = True
    # No Ctrl-C cuts off the word of what was done: it is the only one there is.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    titles = _("Account"), _("Phone"), _("Name"), _("Before"), _("After"), _("Outcome")
    rows = [
        [
            found.account,
            found.label,
            found.trunk.name or "-",
            _state(switch.before),
            _state(switch.after),
            sentence(": ".join(filter(None, (switch.outcome.value, switch.error)))),
        ]
        for found, switch in both
    ]
    write(Table(*titles).text(rows))
    done = sum(switch.holds for _found, switch in both)
    tell(
        count(
            len(rows),
            "{done} of {count} trunk {state}",
            "{done} of {count} trunks {state}",
            done=done,
            state=_state(enabled),
        )
    )
    undone = {found.account for found, one in both if one.outcome is SwitchOutcome.PENDING}
    for account, error in stopped.items():
        if account in undone:
            tell("{account}: stopped: {error}", account=account, error=error)
    if interrupted:
        tell("interrupted: what is not done is left as it was")
    elif undone:
        tell("what is not done is left as it was")
    failed = output.FAILED if done < len(rows) else 0
    sys.exit(output.INTERRUPTED if interrupted or undone else failed)


def _state(enabled: bool | None) -> str:  # noqa: FBT001 - the one thing it is given
    return "-" if enabled is None else _("on") if enabled else _("off")
