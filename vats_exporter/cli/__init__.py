"""The command line: ``vats-exporter COMMAND``, in English or in Russian.

Each command is a module of this package with a click command called ``command``, imported when it
is asked for: ``--help`` and ``decode`` start fast, without pydantic.
"""

from __future__ import annotations

import copy
import gc
import gettext
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from inspect import cleandoc
from traceback import walk_tb
from typing import Any, Final, NoReturn

import click

from vats_exporter import __version__
from vats_exporter.cli.output import FAILED, INTERRUPTED, LOCALE, _, fail, has_failed, tell
from vats_exporter.redaction import describe_unexpected

COMMANDS: Final = {  # in the order of --help, each with the line that stands there
    "serve": "Export the trunks of the configured accounts to Prometheus.",
    "check": "Check a configuration and, with --online, whether it works.",
    "trunks": "Show the trunks of all accounts, and switch their selectors.",
    "events": "Show what happened to the trunks: which flag changed, which trunk came or went.",
    "inspect": "Show what an account's cabinet says, and how it is read.",
    "import-har": "Generate an account's configuration from a browser recording.",
    "decode": "Decode responses of the cabinet to JSON.",
    "demo": "Try everything on a simulated cabinet, without an account.",
}

LANGUAGES: Final = ("en", "ru")
_DOMAIN: Final = "vats-exporter"


class _LazyGroup(click.Group):
    """A group whose commands are imported one by one, when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name not in COMMANDS:
            return None
        if cmd_name != "serve":
            # Blocked from the start, for the one command that takes it as a request to reload.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        module: Any = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        if not gc.isenabled():  # as the program begins
            gc.freeze()  # what is imported stays
            gc.enable()
        return in_language(module.command)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            message = _(
                "No option {name} here: options follow their command, as in "
                "vats-exporter serve {name}",
                name=error.option_name,
            )
            ctx.fail(message)

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except KeyboardInterrupt:
            fail("interrupted", status=INTERRUPTED)
        if has_failed():
            sys.exit(FAILED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(line)) for name, line in COMMANDS.items()])


@click.command(
    cls=_LazyGroup,
    commands=dict.fromkeys(COMMANDS, click.Command(None)),  # which click suggests
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n"
    "  vats-exporter demo\n"
    "  vats-exporter check --config.file vats-exporter.yml --online\n"
    "  vats-exporter serve --config.file vats-exporter.yml\n"
    "\n"
    "vats-exporter COMMAND --help describes each command.",
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    expose_value=False,
    help="Language of help, tables and messages, before the command.  [default: the locale's]",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def _commands() -> None:
    """Prometheus exporter for the MTS virtual PBX (ВАТС МТС).

    Signs in to the PBX's web cabinet as a person would, reads every trunk, and serves the trunks'
    flags as gauges: active, bound, marked for deletion. All it needs is a login and a password.
    """


def in_language(command: click.Command) -> click.Command:
    """Return a copy of a command whose help is in the operator's language."""
    shown = copy.copy(command)
    shown.help, shown.epilog = _translated(command.help), _translated(command.epilog)
    shown.options_metavar = _("[OPTIONS]")
    shown.params = [copy.copy(parameter) for parameter in command.params]
    for parameter in shown.params:
        parameter.metavar = parameter.metavar and _(parameter.metavar)
        if isinstance(parameter, click.Option):
            parameter.help = _translated(parameter.help)
    if isinstance(shown, click.Group):
        shown.subcommand_metavar = _("COMMAND [ARGS]...")
        shown.commands = {name: in_language(one) for name, one in shown.commands.items()}
    return shown


def _translated(text: str | None) -> str:
    """Translate a text by paragraphs; of one that is shown as it stands, the lines of prose."""
    said = []
    for paragraph in cleandoc(text or "").split("\n\n"):
        lines = paragraph.splitlines()
        lines = lines if paragraph.startswith("\b") else [" ".join(lines)]
        said.append("\n".join(one if one[:1] in ("\b", " ") else _(one) for one in lines))
    return "\n\n".join(said)


def _language(arguments: Sequence[str]) -> str:
    """Return the language that the option names or, as in gettext, the environment."""
    asked = re.findall("--lang[= ](..)", " ".join(arguments))
    locales = map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next(filter(None, locales), "C")
    # As in gettext, LANGUAGE, a list, goes before the locale unless that is C.
    listed = "" if locale in ("C", "POSIX") else os.environ.get("LANGUAGE", "")
    codes = (one[:2] for one in [*asked[-1:], *listed.split(":"), locale])
    return next((code for code in codes if code in LANGUAGES), "en")


def speak(language: str) -> None:
    """Speak a language from here on; click's own messages are in the catalogue as well."""
    if language == "ru":
        os.environ["LANGUAGE"] = language
        gettext.bindtextdomain(_DOMAIN, LOCALE)
    gettext.textdomain(_DOMAIN if language == "ru" else "messages")


def _tell_of_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Report an exception that cannot be caught, as in a finalizer, without its message."""
    if ignored.exc_value is not None:  # pragma: no branch - Python has none while it ends
        tell("vats-exporter: {error}, ignored", error=describe_unexpected(ignored.exc_value))


def _set_up_streams() -> None:
    """Make both outputs UTF-8, and open what is closed, lest other files get the numbers.

    Using that fails as ever, but for standard error: who closed it wants to be told nothing.
    """
    modes = {"stdin": os.O_WRONLY, "stdout": os.O_RDONLY, "stderr": os.O_RDWR}
    for number, (name, mode) in enumerate(modes.items()):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, mode)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(opened, "w" if number else "r"))
        if number:
            getattr(sys, name).reconfigure(encoding="utf-8", errors="backslashreplace")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 1 for what failed, 2 for what was wrong, 130 for Ctrl-C."""
    _set_up_streams()
    sys.unraisablehook = _tell_of_ignored
    speak(_language(sys.argv[1:] if arguments is None else arguments))
    try:
        in_language(_commands).main(arguments, prog_name="vats-exporter")
    except Exception as bug:  # noqa: BLE001  # a traceback's messages may quote a password
        where = [frame.f_code for frame, _line in walk_tb(bug.__traceback__)][-1]
        if isinstance(bug, OSError) and where is click.echo.__code__:
            # What could not be written is tried again when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            fail("standard output: cannot write: {error}", error=bug)
        fail("vats-exporter: {error}; please report it", error=describe_unexpected(bug))
