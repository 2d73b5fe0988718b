"""``serve``: the exporter itself, until it is told to end."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypedDict

import click
from typing_extensions import Unpack

from vats_exporter.app import Exporter, Options
from vats_exporter.cli import options, signals
from vats_exporter.cli.output import fail, reason
from vats_exporter.cli.service_manager import ServiceManager
from vats_exporter.config import ConfigError
from vats_exporter.config.units import parse_duration
from vats_exporter.logs import setup
from vats_exporter.metrics.privacy import Privacy
from vats_exporter.web import Limits, parse_listen_address

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.config import Config
    from vats_exporter.web import ListenAddress

_PRIVACY: Final = ("mask-phones", "no-names")


class _Served(TypedDict):
    """The options that are the exporter's own, by the names it has for them."""

    lifecycle: bool
    privacy: Privacy
    probe_only: bool


def _listen_address(_context: click.Context, _option: click.Parameter, value: str) -> ListenAddress:
    """Read an address to listen on, as the callback of an option.

    Args:
        value: ``:9742``, ``127.0.0.1:9742`` or ``[::1]:9742``.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        return parse_listen_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _duration(_context: click.Context, _option: click.Parameter, value: str) -> float:
    """Read a duration, as the callback of an option."""
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds <= 0:
        raise click.BadParameter("must be longer than 0s")
    return seconds


def _privacy(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> Privacy:
    """Read what labels hold back, given several times or with commas."""
    wanted = {word.strip() for value in values for word in value.split(",")}
    if unknown := wanted - set(_PRIVACY):
        raise click.BadParameter(f"{min(unknown)!r} is not one of {', '.join(_PRIVACY)}")
    return Privacy(mask_phones="mask-phones" in wanted, no_names="no-names" in wanted)


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter serve\n"
    "  vats-exporter serve --web.listen-address 127.0.0.1:9742\n"
    "  vats-exporter serve --web.config.file web.yml --web.enable-lifecycle\n"
    "  vats-exporter serve --collector.privacy mask-phones,no-names\n"
    "  vats-exporter serve --log.format json --log.level debug\n"
    "\n\b\nA minimal configuration:\n"
    "  accounts:\n"
    "    - name: office\n"
    '      login: "+7-9161234567"\n'
    "      password_file: /etc/vats-exporter/office.password\n"
)
@options.config_file
@click.option(
    "--web.listen-address",
    "address",
    metavar="ADDRESS",
    default=":9742",
    show_default=True,
    callback=_listen_address,
    help="Where to serve /metrics.",
)
@options.web_config_file
@click.option(
    "--web.max-connections",
    "max_connections",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=512,
    show_default=True,
    help="Concurrent connections; one more closes the one that was idle longest.",
)
@click.option(
    "--web.read-timeout",
    "read_timeout",
    metavar="DURATION",
    default="10s",
    show_default=True,
    callback=_duration,
    help="Time limit for receiving a client's request.",
)
@click.option(
    "--web.enable-lifecycle",
    "lifecycle",
    is_flag=True,
    help="Let a POST to /-/reload reload the configuration, as SIGHUP does.",
)
@click.option(
    "--collector.privacy",
    "privacy",
    metavar="WHAT",
    multiple=True,
    callback=_privacy,
    help="Keep personal data out of labels: mask-phones, no-names, or both, separated by a comma.",
)
@click.option(
    "--collector.probe-only",
    "probe_only",
    is_flag=True,
    help="Read accounts only for /probe; /metrics then covers the exporter itself.",
)
@options.logging
def command(
    *,
    config_file: Path | None,
    web_config_file: Path | None,
    address: ListenAddress,
    max_connections: int,
    read_timeout: float,
    log_format: setup.Format | None,
    log_level: setup.Level | None,
    **served: Unpack[_Served],
) -> None:
    """Export the trunks of the configured accounts to Prometheus.

    Serves /metrics, /probe?account=NAME for one account, /sd for Prometheus' service discovery, a
    landing page, /-/healthy and /-/ready. A scrape reads a cabinet if its snapshot is older than
    cache.ttl; concurrent scrapes share one reading.

    Starts and stays up whether or not a cabinet can be reached: vats_up reports each account, and
    the last good snapshot is served for up to cache.stale. SIGHUP reloads the configuration; an
    invalid one is reported in the log and changes nothing. Ends with SIGTERM or Ctrl-C.

    Exits with 2 if the configuration is invalid, after one line per mistake.
    """
    file = options.find_config(config_file)

    def load() -> Config:
        config = options.load_config(file)
        setup.configure(
            form=log_format or config.log.format,
            level=log_level or config.log.level,
            queued=True,
        )
        return config

    try:
        config = load()
        protection = options.read_web_config(web_config_file)
    except ConfigError as error:
        options.refuse(error)
    _raise_descriptor_limit()
    exporter: Exporter | None = None
    manager = ServiceManager()

    def reload() -> None:
        if exporter is not None:  # pragma: no branch - a signal before there is one
            manager.reloading()
            exporter.reload()
            manager.ready(_status(exporter))

    with signals.handled(reload) as wait:
        try:
            limits = Limits(max_connections=max_connections, read_timeout=read_timeout)
            served_as = Options(protection=protection, limits=limits, **served)
            exporter = Exporter(config, address, served_as, load=load)
        except OSError as error:
            fail(f"--web.listen-address: cannot listen on {address}: {reason(error)}")
        with exporter:
            manager.ready(_status(exporter))
            manager.watch(exporter.is_alive)
            wait()
            manager.stopping()


def _raise_descriptor_limit() -> None:
    """Take all the descriptors that the system grants, as programs in Go do by themselves.

    The usual limit, 1024, is there for programs that wait with ``select()``; a connection that
    finds none left is refused, whatever --web.max-connections says.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # where the most is no number that can be asked for
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _status(exporter: Exporter) -> str:
    """Say in a few words what is served, for ``systemctl status``."""
    count = exporter.accounts
    return f"{count} account{'s' * (count != 1)} at {exporter.url}"
