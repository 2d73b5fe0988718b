"""Options that several commands share, named as Prometheus names its flags, and what they mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from vats_exporter import log
from vats_exporter.cli.output import WRONG_CONFIGURATION, fail, tell
from vats_exporter.config import ConfigError, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.config import Config

CONFIG_FILES: Final = (
    Path("vats-exporter.yml"),
    Path("/etc/vats-exporter/vats-exporter.yml"),
)
"""Where a configuration is looked for if none is named, in this order."""


def config_file(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--config.file``."""
    return click.option(
        "--config.file",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Configuration, by default vats-exporter.yml here or in /etc/vats-exporter.",
    )(function)


def logging(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--log.format`` and ``--log.level``, which go before the configuration's own."""
    function = click.option(
        "--log.level",
        "log_level",
        metavar="LEVEL",
        type=click.Choice(get_args(log.Level)),
        help="debug, info, warn or error; debug logs each call.  [default: info]",
    )(function)
    return click.option(
        "--log.format",
        "log_format",
        metavar="FORMAT",
        type=click.Choice(get_args(log.Format)),
        help="logfmt or json.  [default: logfmt]",
    )(function)


def read_config(file: Path | None) -> Config:
    """Read the configuration that a command was given, or the first one that is there.

    Args:
        file: as named on the command line.

    Raises:
        SystemExit: it cannot be used; all that is wrong with it is on standard error.
    """
    chosen = file or next((one for one in CONFIG_FILES if one.exists()), None)
    if chosen is None:
        places = " nor ".join(map(str, CONFIG_FILES))
        fail(
            f"no configuration: neither {places} is there; name one with --config.file",
            WRONG_CONFIGURATION,
        )
    try:
        config = load(chosen)
    except ConfigError as error:
        for line in error.lines():
            tell(line)
        sys.exit(WRONG_CONFIGURATION)
    # From here on, whatever is logged about an account cannot hold its password.
    for account in config.accounts:
        log.register_secret(account.cabinet.password)
    return config
