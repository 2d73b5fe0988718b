"""Options that several commands share, named as Prometheus names its flags, and what they mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, get_args

import click

from vats_exporter.cli.output import WRONG_CONFIGURATION, fail, tell
from vats_exporter.config.loading import load
from vats_exporter.config.problems import ConfigError
from vats_exporter.logs import setup
from vats_exporter.redaction import register_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.config.models import Config
    from vats_exporter.web import Protection
    from vats_exporter.web.settings import WebSettings

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
        envvar="VATS_EXPORTER_CONFIG_FILE",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Configuration, by default vats-exporter.yml here or in /etc/vats-exporter.",
    )(function)


def _file_or_none(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> Path | None:
    """Read a file's name; an empty one, of a variable that is not set, names none."""
    return Path(value) if value else None


def web_config_file(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--web.config.file``."""
    return click.option(
        "--web.config.file",
        "web_config_file",
        envvar="VATS_EXPORTER_WEB_CONFIG_FILE",
        metavar="FILE",
        callback=_file_or_none,
        help="TLS, passwords and headers of the HTTP interface, in exporter-toolkit's format. Read "
        "again when it changes.",
    )(function)


def read_web_config(file: Path | None) -> Protection | None:
    """Read what protects the exporter's own address.

    Args:
        file: as named on the command line; ``None`` protects nothing.

    Raises:
        ConfigError: with all that is wrong with it.
    """
    if file is None:
        return None
    # Imported here, since only serving and checking need it.
    from vats_exporter.web import Protection  # noqa: PLC0415 - see above
    from vats_exporter.web.loading import load_web_config  # noqa: PLC0415 - see above

    def read() -> WebSettings:
        settings = load_web_config(file)
        register_secrets(*settings.basic_auth_users.values())
        return settings

    return Protection(read)


def logging(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--log.format`` and ``--log.level``, which go before the configuration's own."""
    function = click.option(
        "--log.level",
        "log_level",
        envvar="VATS_EXPORTER_LOG_LEVEL",
        metavar="LEVEL",
        type=click.Choice(get_args(setup.Level)),
        help="debug, info, warn or error; debug logs each call.  [default: info]",
    )(function)
    return click.option(
        "--log.format",
        "log_format",
        envvar="VATS_EXPORTER_LOG_FORMAT",
        metavar="FORMAT",
        type=click.Choice(get_args(setup.Format)),
        help="logfmt or json.  [default: logfmt]",
    )(function)


def read_config(file: Path | None) -> Config:
    """Read the configuration that a command was given, or the first one that is there.

    Args:
        file: as named on the command line.

    Raises:
        SystemExit: it cannot be used; all that is wrong with it is on standard error.
    """
    try:
        return load_config(find_config(file))
    except ConfigError as error:
        refuse(error)


def find_config(file: Path | None) -> Path:
    """Return the configuration file that a command was given, or the first one that is there.

    Args:
        file: as named on the command line.

    Raises:
        SystemExit: there is none.
    """
    chosen = file or next((one for one in CONFIG_FILES if one.exists()), None)
    if chosen is None:
        places = " nor ".join(map(str, CONFIG_FILES))
        fail(
            f"no configuration: neither {places} is there; name one with --config.file",
            WRONG_CONFIGURATION,
        )
    return chosen


def load_config(file: Path) -> Config:
    """Load a configuration, and keep its passwords out of the log from now on.

    Args:
        file: where it is.

    Raises:
        ConfigError: with all that is wrong with it.
    """
    config = load(file)
    for account in config.accounts:
        register_secrets(account.password, account.proxy_url)
    return config


def refuse(error: ConfigError) -> NoReturn:
    """Say what is wrong with a configuration, a line a problem, and end the program.

    Args:
        error: from loading it.

    Raises:
        SystemExit: always.
    """
    for line in error.lines():
        tell(line)
    sys.exit(WRONG_CONFIGURATION)
