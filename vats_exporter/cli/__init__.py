"""The command line: ``vats-exporter COMMAND``.

Each command is a module of this package with a click command called ``command``, imported when it
is asked for: ``--help`` and ``decode`` need neither pydantic nor requests nor rich, and start fast.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Final

import click

from vats_exporter import __version__
from vats_exporter.cli.output import fail, tell
from vats_exporter.cli.signals import let_hangups_in
from vats_exporter.redaction import describe_unexpected

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "serve": "Export the trunks of the configured accounts to Prometheus.",
    "check": "Check a configuration and, with --online, whether it works.",
    "trunks": "Show the trunks of all accounts, and switch their selectors.",
    "events": "Show what happened to the trunks: which flag changed, which trunk came or went.",
    "inspect": "Show what an account's cabinet says, and how it is read.",
    "import-har": "Generate an account's configuration from a browser recording.",
    "decode": "Decode a response of the cabinet to JSON.",
    "demo": "Try everything on a simulated cabinet, without an account.",
}
"""The commands, in the order of ``--help``, each with the line that stands there."""


_HANDLES_SIGNALS: Final = ("serve", "demo")


class _LazyGroup(click.Group):
    """A group whose commands are imported one by one, when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in _HANDLES_SIGNALS:
            let_hangups_in()
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command = module.command
        if not isinstance(command, click.Command):  # pragma: no cover - a mistake in this package
            raise TypeError(f"{module.__name__}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n"
    "  vats-exporter demo\n"
    "  vats-exporter check --config.file vats-exporter.yml --online\n"
    "  vats-exporter serve --config.file vats-exporter.yml\n"
    "\n"
    "vats-exporter COMMAND --help describes each command.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def _commands() -> None:
    """Prometheus exporter for the MTS virtual PBX (ВАТС МТС).

    Signs in to the PBX's web cabinet as a person would, reads every trunk, and serves the trunks'
    flags as gauges: active, bound, marked for deletion. All it needs is a login and a password.
    """


def _tell_of_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Tell what was raised where nobody can catch it, as when an object dies; not its message."""
    if ignored.exc_value is not None:  # pragma: no branch - Python has none while it ends
        tell(f"vats-exporter: {describe_unexpected(ignored.exc_value)}, ignored")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        arguments: without the program's name; the process' own if not given.

    Raises:
        SystemExit: always; 0 for success, 1 for a command that failed, 2 for wrong usage or a wrong
            configuration.
    """
    sys.unraisablehook = _tell_of_ignored
    try:
        _commands.main(arguments, prog_name="vats-exporter")
    except Exception as error:  # noqa: BLE001  # a traceback's messages may quote a password
        fail(f"vats-exporter: {describe_unexpected(error)}; please report it")
