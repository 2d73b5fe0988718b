"""``serve``: the exporter itself, until it is asked to end."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypedDict
from urllib.parse import urlsplit

import click
from typing_extensions import Unpack

from vats_exporter.app import Exporter, Options
from vats_exporter.cli import options, signals
from vats_exporter.cli.output import fail, reason
from vats_exporter.cli.service_manager import ServiceManager
from vats_exporter.config.problems import ConfigError
from vats_exporter.config.units import parse_duration
from vats_exporter.logs import setup
from vats_exporter.logs.logger import get_logger
from vats_exporter.privacy import Privacy
from vats_exporter.web import Limits, Urls, parse_listen_address, urls
from vats_exporter.web.addresses import systemd_addresses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vats_exporter.config.models import Config
    from vats_exporter.web import ListenAddress

_log = get_logger(__name__)

_PRIVACY: Final = ("mask-phones", "no-names")


class _Given(TypedDict):
    """The options, by the names that their variables end with."""

    config_file: Path | None
    web_config_file: Path | None
    web_listen_address: tuple[ListenAddress, ...]
    web_systemd_socket: bool
    web_telemetry_path: str
    web_external_url: str
    web_route_prefix: str | None
    web_max_connections: int
    web_read_timeout: float
    web_enable_lifecycle: bool
    collector_privacy: Privacy
    collector_probe_only: bool
    log_format: setup.Format | None
    log_level: setup.Level | None


def _read(parse: Callable[[str], object]) -> Callable[..., object]:
    """Make a callback of an option that reads each of its values."""

    def callback(
        _context: click.Context, _option: click.Parameter, value: str | tuple[str, ...] | None
    ) -> object:
        try:
            if isinstance(value, tuple):
                return tuple(parse(one) for one in value)
            return parse(value) if value else value
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("must be longer than 0s")
    return seconds


def _privacy(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> Privacy:
    """Read what labels hold back, given several times or with commas."""
    wanted = {word.strip() for value in values for word in value.split(",")}
    if unknown := wanted - set(_PRIVACY):
        raise click.BadParameter(f"{min(unknown)!r} is not one of {', '.join(_PRIVACY)}")
    return Privacy(mask_phones="mask-phones" in wanted, no_names="no-names" in wanted)


@click.command(
    context_settings={"auto_envvar_prefix": "VATS_EXPORTER"},
    epilog="\b\nExamples:\n"
    "  vats-exporter serve\n"
    "  vats-exporter serve --web.listen-address 127.0.0.1:9742\n"
    "  vats-exporter serve --web.config.file web.yml --web.enable-lifecycle\n"
    "  vats-exporter serve --web.external-url https://monitoring.example.org/vats\n"
    "  vats-exporter serve --collector.privacy mask-phones,no-names\n"
    "  vats-exporter serve --log.format json --log.level debug\n"
    "\n"
    "Each option can also be set by a variable: --web.listen-address by "
    "VATS_EXPORTER_WEB_LISTEN_ADDRESS, with several addresses separated by blanks.\n"
    "\n\b\nA minimal configuration:\n"
    "  accounts:\n"
    "    - name: office\n"
    '      login: "+7-9161234567"\n'
    "      password_file: /etc/vats-exporter/office.password\n",
)
@options.config_file
@click.option(
    "--web.listen-address",
    "web_listen_address",
    metavar="ADDRESS",
    multiple=True,
    default=(":9742",),
    show_default=":9742",
    callback=_read(parse_listen_address),
    help="Where to serve; may be given several times. :9742 and [::]:9742 mean every address of "
    "the machine, IPv4 and IPv6.",
)
@click.option(
    "--web.systemd-socket",
    "web_systemd_socket",
    is_flag=True,
    help="Serve on the sockets that systemd passes, instead of --web.listen-address.",
)
@options.web_config_file
@click.option(
    "--web.telemetry-path",
    "web_telemetry_path",
    metavar="PATH",
    default="/metrics",
    show_default=True,
    callback=_read(urls.parse_metrics_path),
    help="Path of the metrics.",
)
@click.option(
    "--web.external-url",
    "web_external_url",
    metavar="URL",
    default="",
    callback=_read(urls.parse_external_url),
    help="The URL of the exporter for clients beyond a reverse proxy; /sd names it as the targets' "
    "address. Its path also prefixes every path here, unless --web.route-prefix is given.",
)
@click.option(
    "--web.route-prefix",
    "web_route_prefix",
    metavar="PATH",
    callback=_read(urls.parse_prefix),
    help="Prefix of every path here.  [default: the path of --web.external-url]",
)
@click.option(
    "--web.max-connections",
    "web_max_connections",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=512,
    show_default=True,
    help="Concurrent connections; one more closes the one that was idle longest.",
)
@click.option(
    "--web.read-timeout",
    "web_read_timeout",
    metavar="DURATION",
    default="10s",
    show_default=True,
    callback=_read(_duration),
    help="Time limit for receiving a client's request.",
)
@click.option(
    "--web.enable-lifecycle",
    "web_enable_lifecycle",
    is_flag=True,
    help="Let a POST to /-/reload reload the configuration, as SIGHUP does.",
)
@click.option(
    "--collector.privacy",
    "collector_privacy",
    metavar="WHAT",
    multiple=True,
    callback=_privacy,
    help="Keep personal data out of labels: mask-phones, no-names, or both, separated by a comma.",
)
@click.option(
    "--collector.probe-only",
    "collector_probe_only",
    is_flag=True,
    help="Read accounts only for /probe; /metrics then covers the exporter itself.",
)
@options.logging
def command(**given: Unpack[_Given]) -> None:
    """Export the trunks of the configured accounts to Prometheus.

    Serves /metrics, /probe?account=NAME for one account, /sd for Prometheus' service discovery, a
    landing page, /-/healthy and /-/ready. A scrape reads a cabinet if its snapshot is older than
    cache.ttl; concurrent scrapes share one reading.

    Starts and stays up whether or not a cabinet can be reached: vats_up reports each account, and
    the last good snapshot is served for up to cache.stale. SIGHUP reloads the configuration; an
    invalid one is reported in the log and changes nothing. Ends with SIGTERM or Ctrl-C.

    Exits with 2 if the configuration is invalid, after one line per mistake.
    """
    file = options.find_config(given["config_file"])

    def load() -> Config:
        config = options.load_config(file)
        setup.configure(
            form=given["log_format"] or config.log.format,
            level=given["log_level"] or config.log.level,
            queued=True,
        )
        for warning in config.warnings:
            _log.warning("configuration is suspicious", config=str(file), warning=str(warning))
        return config

    try:
        config = load()
        served = _options(given)
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
            exporter = Exporter(config, *_addresses(given), options=served, load=load)
        except OSError as error:
            where = f"cannot listen on {error.filename}: {reason(error)}"
            fail(f"--web.listen-address: {where}")
        with exporter:
            manager.ready(_status(exporter))
            manager.watch(exporter.is_alive)
            wait()
            manager.stopping()


def _options(given: _Given) -> Options:
    external, prefix = given["web_external_url"], given["web_route_prefix"]
    if prefix is None:
        prefix = urlsplit(external).path
    return Options(
        protection=options.read_web_config(given["web_config_file"]),
        limits=Limits(
            max_connections=given["web_max_connections"], read_timeout=given["web_read_timeout"]
        ),
        urls=Urls(given["web_telemetry_path"], prefix, external),
        lifecycle=given["web_enable_lifecycle"],
        privacy=given["collector_privacy"],
        probe_only=given["collector_probe_only"],
    )


def _addresses(given: _Given) -> tuple[ListenAddress, ...]:
    if not given["web_systemd_socket"]:
        return given["web_listen_address"]
    try:
        return tuple(systemd_addresses(os.environ))
    except ValueError as error:
        fail(f"--web.systemd-socket: {error}")


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
