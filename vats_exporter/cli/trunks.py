"""``trunks``: look at the trunks of all accounts, and move their selectors.

Moving selectors is the one part of the program that changes anything in a cabinet. It says what it
will do before, and what it did after, also when it is interrupted.
"""

from __future__ import annotations

import csv
import io
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NoReturn

import click

from vats_exporter.cabinet.by_block import VARYING
from vats_exporter.cabinet.contract import TrunkDetails
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.selector import SwitchOutcome, TrunkSwitch
from vats_exporter.cli import options, output
from vats_exporter.cli.options import Found
from vats_exporter.cli.output import Table, _, complain, count, fail, tell, track, words, write
from vats_exporter.expected_off import read_lines
from vats_exporter.logs import get_logger
from vats_exporter.tools.saved import read_text
from vats_exporter.trunks import ROW_FLAGS, TRUNK_FIELDS, Trunk

_log = get_logger(__name__)
# What is looked at in a trunk, and what it has to be.
_ONLY: Final[dict[str, tuple[Callable[[Trunk], bool | None], bool]]] = {
    **{word: (flag.of, word == flag.only[0]) for flag in ROW_FLAGS for word in flag.only},
    "expected-off": (attrgetter("expected_off"), True),
    "unknown": (attrgetter("known"), False),
}
_SORT: Final[dict[str, Callable[[Found], Any]]] = {
    "account": lambda found: (found.account, found.trunk.phone),
    "phone": lambda found: (found.trunk.phone, found.account),
    "name": lambda found: (found.trunk.name.casefold(), found.trunk.phone),
    "state": lambda found: (
        found.trunk.expected_off,
        *(not flag.troubles(found.trunk) for flag in ROW_FLAGS),
        *_SORT["account"](found),
    ),
}

_phones: Final = partial(click.argument, "phones", nargs=-1, shell_complete=options.complete_phone)


@options.command("trunks list --only inactive", "trunks show 79161234567", cls=click.Group)
def command() -> None:
    """Show the trunks of all accounts, and switch their selectors.

    Reads the cabinets itself, with the exporter's configuration; the exporter need not be running.
    """


@options.command("trunks list --account office --format csv > trunks.csv", of=command, name="list")
@options.config_file
@options.accounts
@options.option(
    f"--only [{'|'.join(_ONLY)}]",
    "Only trunks in this state, or in all of several. unknown: with an unknown pattern.",
    multiple=True,
)
@options.option(f"--sort [{'|'.join(_SORT)}]", "Sort order.", default="account")
@options.option(
    "--format [table|json|csv]",
    "csv: semicolons and a byte order mark, for Excel.",
    default="table",
)
def list_command(**given: Any) -> None:
    """List the trunks and their flags.

    Exits with 1 if an account could not be read; the others are still listed.
    """
    accounts = options.choose(given["config_file"], given["account"])
    form, sort = given["format"], given["sort"]
    wanted = [_ONLY[word] for word in given["only"]]
    expected = any(one.expected_off or one.expected_off_file for one in accounts)
    as_text = {"table": _table(expected=expected), "json": _as_json, "csv": _as_csv}[form]
    batches = options.read_trunks(sorted(accounts, key=attrgetter("name")))
    if sort != "account" or form != "table":  # only such a table is written as accounts are read
        batches = iter([list(chain.from_iterable(batches))])
    read = shown = unknown = 0
    for batch in batches:
        chosen = [one for one in batch if all(of(one.trunk) is value for of, value in wanted)]
        write(as_text(sorted(chosen, key=_SORT[sort])))
        read += len(batch)
        shown += len(chosen)
        unknown += sum(not found.trunk.known for found in chosen)
    if form != "table":
        return
    if output.has_failed():
        tell("accounts that could not be read are missing here")
    tell(count(read, "{shown} of {count} trunk", "{shown} of {count} trunks", shown=shown))
    positions = ", ".join(map(str, VARYING))
    tell("Pattern: a row's values at positions {positions}.", positions=positions)
    if unknown:
        tell("?: a pattern that is not known; vats-exporter inspect shows examples.")


def _table(*, expected: bool) -> Callable[[Sequence[Found]], str]:
    titles = [_("Account"), _("Phone"), _("Name"), *(words(flag.title) for flag in ROW_FLAGS)]
    table = Table(*titles, _("Pattern"), _("Trunk"), *([_("Expected")] * expected))
    yes, no, off = _("yes"), _("no"), _("off")

    def text(chosen: Sequence[Found]) -> str:
        rows = (
            [
                account,
                trunk.phone or "-",
                trunk.name or "-",
                *(yes if flag.of(trunk) else no for flag in ROW_FLAGS),
                trunk.pattern + ("" if trunk.known else "?"),
                trunk.ref,
                *([off if trunk.expected_off else ""] * expected),
            ]
            for account, _cabinet, trunk in chosen
        )
        return table.text(rows, grey=[found.trunk.expected_off for found in chosen])

    return text


def _fields(found: Found) -> dict[str, Any]:
    of_trunk = {key: of(found.trunk) for key, of in TRUNK_FIELDS.items()}
    return {"account": found.account, **of_trunk, "expected_off": found.trunk.expected_off}


def _as_json(chosen: Sequence[Found]) -> str:
    lines = ",\n".join(f" {output.as_json(_fields(found))}" for found in chosen)
    return f"[\n{lines}\n]\n" if chosen else "[]\n"


def _as_csv(chosen: Sequence[Found]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, delimiter=";")
    writer.writerow(["account", *TRUNK_FIELDS, "expected_off"])
    writer.writerows(map(_cell, _fields(found).values()) for found in chosen)
    return "\ufeff" + page.getvalue()


def _cell(value: str | int) -> str | int:
    """A cell as a spreadsheet takes it: a text that it would take for a formula stays a text."""
    if not isinstance(value, str):
        return int(value)
    text = output.printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


@options.command("trunks show '+7 916 123-45-67' CaLztv --show-secrets", of=command, name="show")
@options.config_file
@options.accounts
@options.option("--show-secrets", "Also show the SIP login and the SIP password.")
@_phones(required=True, metavar="PHONE...")
def show_command(**given: Any) -> None:
    """Show everything the cabinet says about some trunks.

    PHONE is a phone number in any notation, its last seven digits, or a trunk's reference. Reads
    each trunk's device form as well. Exits with 1 if a trunk does not exist, or could not be read,
    or an account could not be.
    """
    accounts = options.choose(given["config_file"], given["account"])
    chosen = options.find(chain.from_iterable(options.read_trunks(accounts)), given["phones"])
    for number, found in enumerate(track(chosen, "reading the details: {done} of {total}")):
        try:
            details = found.cabinet.read_details(found.trunk.ref)
        except CabinetError as error:
            complain("{phone}: {error}", phone=found.label, error=error)
        else:
            write("\n" * bool(number) + _card(found, details, secrets=given["show_secrets"]))


def _card(found: Found, details: TrunkDetails, *, secrets: bool) -> str:
    """One trunk, a line for each thing known of it."""
    trunk = found.trunk
    lines = {
        _("phone"): trunk.phone or details.phone,
        _("name"): trunk.name,
        _("account"): found.account,
        _("trunk"): f"{trunk.ref} ({trunk.id})",
        **{words(flag.on): _("yes") if flag.of(trunk) else _("no") for flag in ROW_FLAGS},
        _("pattern"): trunk.pattern + ("" if trunk.known else _(" (unknown)")),
        _("SIP device"): details.device or _("none"),
    }
    if trunk.expected_off:
        lines[_("expected")] = _("off")
    if details.device:
        lines |= {_("selector"): _state(details.enabled), _("line"): details.line}
        if secrets:
            lines |= {_("SIP login"): details.sip_login, _("SIP password"): details.sip_password}
    return output.facts(lines)


def _state(enabled: bool | None) -> str:  # noqa: FBT001 - the one thing it is given
    return "-" if enabled is None else _("on") if enabled else _("off")


_SWITCH_HELP: Final = """Switch the selector of some trunks {state}.

PHONE is a phone number in any notation, its last seven digits, or a trunk's reference. Shows what
will be done and asks for confirmation; then switches one selector at a time, reads each back, and
prints a table of before and after. The state that the cabinet shows afterwards counts, not its
reply. A refused login, or a cabinet that does not answer, ends it for that account.

Exits with 0 only if every selector is {state} in the end, and with 130 if some were not tried.
"""


def _add_switch(name: str, *, enabled: bool) -> None:
    @options.command(
        f"trunks {name} 79161234567 123-45-67",
        f"trunks {name} --file phones.txt --yes",
        f"trunks {name} --all --account office --dry-run",
        of=command,
        name=name,
        help=_SWITCH_HELP.format(state="on" if enabled else "off"),
    )
    @options.config_file
    @options.accounts
    @options.option("--file FILE", "Phones, one a line; - is standard input.")
    @options.option("--all", "All trunks of the chosen accounts.")
    @options.option("--yes", "Do not ask.")
    @options.option("--dry-run", "Only say what would be done; --log.level debug logs requests.")
    @options.log_level("error")
    @_phones(metavar="[PHONE...]")
    def switch(**given: Any) -> None:
        chosen = _choose(given)
        moving = _plan(chosen, enabled=enabled, shown=given["dry_run"] or not given["yes"])
        plan = _("trunks to be switched {state}: {count}", state=_state(enabled), count=moving)
        if given["dry_run"]:
            tell("{plan}; nothing was sent", plan=plan)
            return
        if moving and not given["yes"]:
            output.put(_("{plan}; go on? [y/N]: ", plan=plan))
            answer = ""
            with suppress(OSError, UnicodeDecodeError):  # no answer, or one that cannot be read
                answer = sys.stdin.readline()
            if not answer.endswith("\n"):  # the end of the input, which is a no
                output.put("\n")
            if answer.strip().casefold() not in ("y", "yes", "д", "да"):
                fail("nothing was changed")
        _carry_out(chosen, enabled=enabled)


_add_switch("enable", enabled=True)
_add_switch("disable", enabled=False)


def _choose(given: Mapping[str, Any]) -> list[Found]:
    """Find the trunks that are meant, all of them or none."""
    wanted, file, everyone = given["phones"], given["file"], given["all"]
    if sum(map(bool, (wanted, file, everyone))) != 1:
        raise click.UsageError(_("give phones, or --file, or --all: one of them"))
    if file:
        name = output.shown(str(file))
        with output.failing(ValueError, "{file}: {error}", file=name):
            wanted = [phone for _line, phone in read_lines(read_text(str(file)))]
        if not wanted:
            fail("{file}: no phones in it", file=name)
    accounts = options.choose(given["config_file"], given["account"])
    chosen = list(chain.from_iterable(options.read_trunks(accounts, given["log_level"])))
    if output.has_failed():
        fail("nothing was changed: an account could not be read; --account NAME leaves it out")
    if not everyone:
        chosen = options.find(chosen, wanted)
    if output.has_failed():
        fail("nothing was changed")
    return chosen


def _plan(chosen: Sequence[Found], *, enabled: bool, shown: bool) -> int:
    """Look where the selectors are, and say what would be done; return how many would be moved."""
    states: list[bool | None] = []
    with output.failing(CabinetError, "nothing was changed: {error}"):
        for cabinet in dict.fromkeys(found.cabinet for found in chosen):
            # A call of plain Java types also works with a stale policy; no answer would tell. [gwt]
            cabinet.discover()
        for found in track(chosen, "reading the selectors: {done} of {total}"):
            payload = found.cabinet.selector_payload(found.trunk.ref, enabled=enabled)
            _log.debug("request to send", account=found.account, trunk=found.label, body=payload)
            states.append(found.cabinet.read_details(found.trunk.ref).enabled)
    said = {
        enabled: _("already {state}", state=_state(enabled)),
        not enabled: _("to be switched {state}", state=_state(enabled)),
        None: _("no SIP device"),
    }
    if shown:
        cells = ([said[state]] for state in states)
        _write_table(zip(chosen, cells, strict=True), _("Selector"))
    return states.count(not enabled)


def _carry_out(chosen: Sequence[Found], *, enabled: bool) -> NoReturn:
    """Move the selectors; say what was done, also after Ctrl-C, and end the program."""
    both = [(found, TrunkSwitch()) for found in chosen]
    stopped: dict[str, str] = {}
    with suppress(KeyboardInterrupt):
        for found, switch in track(both, "switching the selectors: {done} of {total}"):
            if found.account not in stopped:
                switch.carry_out(found.cabinet, found.trunk.ref, enabled=enabled)
                if switch.stops:
                    stopped[found.account] = switch.error
    # No Ctrl-C cuts off the word of what was done: it is the only one there is.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rows = []
    for found, switch in both:
        outcome = output.sentence(f"{switch.outcome.value}: {switch.error}".removesuffix(": "))
        rows.append((found, [_state(switch.before), _state(switch.after), outcome]))
    done = sum(switch.after is enabled for _found, switch in both)
    try:
        _write_table(rows, _("Before"), _("After"), _("Outcome"))
    finally:  # also where standard output takes nothing
        tell("trunks {state}: {done} of {count}", state=_state(enabled), done=done, count=len(both))
    undone = {found.account for found, one in both if one.outcome is SwitchOutcome.PENDING}
    for account, error in stopped.items():
        if account in undone:
            tell("{account}: stopped: {error}", account=account, error=output.sentence(error))
    if undone or any(one.outcome is SwitchOutcome.STARTED for _found, one in both):
        fail("what is not done is left as it was", status=output.INTERRUPTED)
    sys.exit(output.FAILED if done < len(chosen) else 0)


def _write_table(rows: Iterable[tuple[Found, list[str]]], *titles: str) -> None:
    """Write a table of some trunks, with more columns than their names."""
    cells = [[one.account, one.label, one.trunk.name or "-", *more] for one, more in rows]
    write(Table(_("Account"), _("Phone"), _("Name"), *titles).text(cells))
