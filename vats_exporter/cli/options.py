"""What commands share: options named as Prometheus names its flags, accounts, and reading them."""

from __future__ import annotations

import difflib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, get_args
from urllib.request import ProxyHandler, build_opener

import click

from vats_exporter import logs
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError, UndecodableError
from vats_exporter.cabinet.transport import PageRead
from vats_exporter.cli import output
from vats_exporter.cli.output import _, complain, fail, sentence, tell
from vats_exporter.config.loading import load
from vats_exporter.config.models import AccountSettings, Config
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.history.file import read_phones
from vats_exporter.history.history import HistoryError
from vats_exporter.redaction import describe_unexpected
from vats_exporter.trunks import Listing, Trunk, phone_digits, read_phone
from vats_exporter.web.protection import Protection
from vats_exporter.web.settings import load_web_config

T = TypeVar("T")
Declare = Callable[[Callable[..., Any]], Any]

# Where a configuration is looked for if none is named, in this order.
CONFIG_FILES: Final = (Path("vats-exporter.yml"), Path("/etc/vats-exporter/vats-exporter.yml"))
_TYPES: Final = {
    "FILE": click.Path(readable=False, path_type=Path),  # whoever uses it says what is wrong
    "DIR": click.Path(file_okay=False, path_type=Path),
    "PORT": click.IntRange(0, 65535),
}
_AT_ONCE: Final = 8  # cabinets that are read at the same time
_EXPORTER: Final = "http://127.0.0.1:9742/metrics"
_SERIES: Final = re.compile(r'^vats_trunk_active\{account="([^"]*)",phone="(\d+)"', re.MULTILINE)


def command(*examples: str, of: Any = click, more: str = "", **settings: Any) -> Declare:
    """Declare a command, or one *of* a group, with examples and *more* under its help."""
    lines = "".join(f"  vats-exporter {line}\n" for line in examples)
    declare: Declare = of.command(epilog=f"\b\nExamples:\n{lines}{more}", **settings)
    return declare


def option(
    usage: str, text: str, *, read: Callable[[str], object] | None = None, **settings: Any
) -> Declare:
    """Declare an option as its help shows it: ``--port PORT``, ``--sort [name|phone]``, ``--yes``.

    Its parameter is called as the flag, with ``_`` for dots and hyphens; FILE, DIR and PORT have a
    type. ``read`` makes of each text what the command gets, or raises a ValueError.
    """
    *flags, value = usage.split()
    if value.startswith("-"):
        flags.append(value)
        settings["is_flag"] = True
    elif value.startswith("["):
        settings["type"] = click.Choice(value[1:-1].split("|"))
    else:
        settings["metavar"] = value
        settings.setdefault("type", _TYPES.get(value))
    if read:
        settings["type"] = _converter(read)
    settings.setdefault("show_default", bool(settings.get("default")))
    parameter = re.sub("[.-]", "_", flags[-1].removeprefix("--"))
    return click.option(*flags, parameter, help=text, **settings)


def _converter(read: Callable[[str], object]) -> Callable[[str], object]:
    def convert(given: str) -> object:
        try:
            return read(given)
        except ValueError as error:
            raise click.BadParameter(_("{error}", error=error)) from None

    return convert


def complete_account(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Complete an account's name."""
    return sorted(name for name in _known_trunks(context) if name.startswith(typed))


def complete_phone(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Complete a phone, of the accounts that were named before it."""
    known = _known_trunks(context)
    names = context.params.get("account") or known
    phones = {phone for name in names for phone in known.get(name, ())}
    return sorted(phone for phone in phones if phone.startswith(typed))


def _known_trunks(context: click.Context) -> dict[str, set[str]]:
    """The phones of each account, as far as they can be found out at once, without the cabinet."""
    known: dict[str, set[str]] = defaultdict(set)
    file = context.params.get("history_file")
    if context.params.get("config_file"):
        with suppress(ConfigError):
            config = load(context.params["config_file"])
            known.update((account.name, set()) for account in config.accounts)
            file = file or config.history.file
    if file is not None:
        with suppress(HistoryError):
            for name, phones in read_phones(file).items():
                known[name].update(phones)
    no_proxy = build_opener(ProxyHandler({}))
    with suppress(OSError, HTTPException), no_proxy.open(_EXPORTER, timeout=1) as answer:
        for name, phone in _SERIES.findall(answer.read().decode("utf-8", "replace")):
            known[name].add(phone)
    return known


config_file = option(
    "--config.file FILE",
    "Configuration, by default vats-exporter.yml here or in /etc/vats-exporter.",
    envvar="VATS_EXPORTER_CONFIG_FILE",
    default=lambda: next((one for one in CONFIG_FILES if one.exists()), None),
    show_default=False,
)
web_config_file = option(
    "--web.config.file FILE",
    "TLS, passwords and headers of the HTTP interface, in exporter-toolkit's format. Read again "
    "when it changes.",
    envvar="VATS_EXPORTER_WEB_CONFIG_FILE",
    read=lambda name: Path(name) if name else None,
)
accounts = option(
    "--account NAME",
    "Only this account; may be given several times.  [default: all]",
    multiple=True,
    shell_complete=complete_account,
)
log_format = option(
    f"--log.format [{'|'.join(get_args(logs.Format))}]",
    "How a line is written.  [default: logfmt]",
    envvar="VATS_EXPORTER_LOG_FORMAT",
)


def log_level(default: logs.Level) -> Declare:
    """Declare ``--log.level``."""
    usage = f"--log.level [{'|'.join(get_args(logs.Level))}]"
    text = f"debug logs each call.  [default: {default}]"
    return option(usage, text, envvar="VATS_EXPORTER_LOG_LEVEL")


def read_config(file: Path | None) -> Config:
    """Read a command's configuration; end the program where there is none, or it is wrong."""
    if file is None:
        fail(
            "no configuration: no {files[0]}, no {files[1]}; name one with --config.file",
            status=output.WRONG,
            files=CONFIG_FILES,
        )
    return _read(partial(load, file))


def read_web_config(file: Path | None) -> Protection | None:
    """Read what protects the exporter's own address, if anything does; end where that is wrong."""
    return _read(lambda: Protection(partial(load_web_config, file), file)) if file else None


def _read(load: Callable[[], T]) -> T:
    """Load a configuration, or say what is wrong with it, a line a problem, and end the program."""
    try:
        return load()
    except ConfigError as error:
        for problem in error.problems:
            tell("{file}: {problem}", file=error.file, problem=in_words(problem))
        sys.exit(output.WRONG)


def in_words(problem: Problem) -> str:
    """Say where and what is wrong in the operator's language; keys stay as they are."""
    place = sentence(str(problem._replace(path="", message="")))
    return ": ".join(filter(None, (place, problem.path, sentence(problem.message))))


def choose(file: Path | None, names: Sequence[str]) -> list[AccountSettings]:
    """Return a configuration's accounts of these names, or all of them, or end the program."""
    config = read_config(file)
    known = {account.name: account for account in config.accounts}
    refuse_unknown_accounts(names, known, config.file)
    return [known[name] for name in dict.fromkeys(names or known)]


def refuse_unknown_accounts(names: Iterable[str], known: Collection[str], file: Path) -> None:
    """End the program if there is no account of one of these names."""
    for name in names:
        if name not in known:
            hint = _("there are {names}", names=", ".join(known) or _("none"))
            for near in difflib.get_close_matches(name, known, 1):
                hint = _("did you mean {names}?", names=near)
            fail("no account {name!r} in {file}; {hint}", name=name, file=file, hint=hint)


class Found(NamedTuple):
    """A trunk, the name of its account, and its cabinet, signed in to."""

    account: str
    cabinet: CabinetClient
    trunk: Trunk

    @property
    def label(self) -> str:
        """What a person calls it by: the phone, or the reference of a trunk without one."""
        return self.trunk.phone or self.trunk.ref


def read_accounts(
    chosen: Sequence[AccountSettings], level: logs.Level | None = None
) -> Iterator[tuple[AccountSettings, CabinetClient, Listing | CabinetError]]:
    """Read every trunk of some accounts, several accounts at a time; yield each, in order, at once.

    The cabinets stay open until the command ends.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - serve does without

    def read(cabinet: CabinetClient) -> Listing | CabinetError:
        try:
            return cabinet.read_trunks()
        except CabinetError as error:
            return error
        except Exception as bug:  # noqa: BLE001 - one account's bug must not hide the others
            return UndecodableError(describe_unexpected(bug))

    def trace(event: object) -> None:
        if isinstance(event, PageRead):
            output.report("reading the cabinets: page {number}", number=next(pages))

    logs.configure(level=level or "error")
    pages = count(1)
    command = click.get_current_context()
    pool = command.with_resource(ThreadPoolExecutor(_AT_ONCE))
    cabinets = [command.with_resource(CabinetClient(one, trace=trace)) for one in chosen]
    # After Ctrl-C: first this, then the cabinets are closed, then the pool's threads end.
    command.call_on_close(partial(pool.shutdown, wait=False, cancel_futures=True))
    return zip(chosen, cabinets, pool.map(read, cabinets), strict=True)


def read_trunks(
    chosen: Sequence[AccountSettings], level: logs.Level | None = None
) -> Iterator[list[Found]]:
    """Read the trunks of some accounts, and complain of an account that cannot be read."""
    for account, cabinet, listing in read_accounts(chosen, level):
        if isinstance(listing, CabinetError):
            complain("{account}: {error}", account=account.name, error=listing)
            continue
        expected = ExpectedOff(account.expected_off, account.expected_off_file)
        trunks, warnings = expected.mark(listing.trunks)
        for warning in warnings:
            tell("{account}: {error}", account=account.name, error=sentence(warning))
        yield [Found(account.name, cabinet, trunk) for trunk in trunks]


def find(everything: Iterable[Found], wanted: Sequence[str]) -> list[Found]:
    """Find trunks by phones as people write them, their last seven digits, or references.

    In the order asked for, each once; complains of what names no trunk, or more than one. What
    is not found may be of an account that could not be read.
    """
    by_name: dict[str, list[Found]] = defaultdict(list)
    for found in everything:
        phone = found.trunk.phone
        for name in {found.trunk.ref, phone, phone[-7:]} - {""}:
            by_name[name].append(found)
    unread, together = output.has_failed(), " ".join(wanted)
    if len(wanted) > 1 and read_phone(together) and not any(map(read_phone, wanted)):
        complain("{phone}: put a phone with blanks in quotes", phone=together)
        return []
    chosen = []
    for text in wanted:
        phone, digits = read_phone(text), phone_digits(text)
        matches = by_name.get(text.strip()) or by_name.get(phone or digits, [])
        if len(matches) == 1:
            chosen += matches
        elif matches:
            names = [f"{one.label} ({one.account}, {one.trunk.ref})" for one in matches]
            trunks = ", ".join(names)
            complain("{phone}: several trunks match: {trunks}", phone=text, trunks=trunks)
        elif unread and (phone or len(digits) in (0, 7)):
            complain(
                "{phone}: not found; it may be of an account that could not be read", phone=text
            )
        elif phone or len(digits) == 7:
            complain("{phone}: no trunk has this phone", phone=text)
        else:
            complain("{phone}: neither a phone nor a trunk's reference", phone=text)
    return list(dict.fromkeys(chosen))
