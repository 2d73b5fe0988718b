"""``serve``: the exporter itself, until a signal ends it."""

from __future__ import annotations

import os
import signal
from typing import Any, Final
from urllib.parse import urlsplit

import click

from vats_exporter import address, logs, process
from vats_exporter.app import Exporter, Options
from vats_exporter.cli import options
from vats_exporter.cli.output import failing
from vats_exporter.config.loading import load
from vats_exporter.config.models import Config
from vats_exporter.config.values import parse_duration
from vats_exporter.logs import get_logger
from vats_exporter.redaction import Privacy
from vats_exporter.web.server import Limits
from vats_exporter.web.site import Urls, parse_metrics_path

_log = get_logger(__name__)

_PRIVACY: Final = click.Choice(["mask-phones", "no-names"])


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("must be longer than 0s")
    return seconds


def _privacy(text: str) -> set[str]:
    return {_PRIVACY.convert(word.strip(), None, None) for word in text.split(",")}


@options.command(
    "serve",
    "serve --web.listen-address 127.0.0.1:9742",
    "serve --web.config.file web.yml --web.enable-lifecycle",
    "serve --web.external-url https://monitoring.example.org/vats",
    "serve --collector.privacy mask-phones,no-names",
    "serve --log.format json --log.level debug",
    context_settings={"auto_envvar_prefix": "VATS_EXPORTER"},
    more="\nEach option can also be set by a variable: --web.listen-address by "
    "VATS_EXPORTER_WEB_LISTEN_ADDRESS, with several addresses separated by blanks.\n"
    "\n\b\nA minimal configuration:\n"
    "  accounts:\n"
    "    - name: office\n"
    '      login: "+7-9161234567"\n'
    "      password_file: /etc/vats-exporter/office.password\n",
)
@options.config_file
@options.option(
    "--web.listen-address ADDRESS",
    "Where to serve; may be given several times. :9742 and [::]:9742 mean every address of the "
    "machine, IPv4 and IPv6.",
    multiple=True,
    default=(":9742",),
    show_default=":9742",
    read=address.parse_listen_address,
)
@options.option(
    "--web.systemd-socket",
    "Serve on the sockets that systemd passes, instead of --web.listen-address.",
)
@options.web_config_file
@options.option(
    "--web.telemetry-path PATH", "Path of the metrics.", default="/metrics", read=parse_metrics_path
)
@options.option(
    "--web.external-url URL",
    "The URL of the exporter for clients beyond a reverse proxy; /sd names it as the targets' "
    "address. Its path also prefixes every path here, unless --web.route-prefix is given.",
    default="",
    read=lambda url: url and address.parse_external_url(url),
)
@options.option(
    "--web.route-prefix PATH",
    "Prefix of every path here.  [default: the path of --web.external-url]",
    read=address.parse_prefix,
)
@options.option(
    "--web.max-connections N",
    "Concurrent connections; one more closes the one that was idle longest.",
    type=click.IntRange(1, 100_000),
    default=512,
)
@options.option(
    "--web.read-timeout DURATION",
    "Time limit for receiving a client's request.",
    default="10s",
    read=_duration,
)
@options.option(
    "--web.enable-lifecycle", "Let a POST to /-/reload reload the configuration, as SIGHUP does."
)
@options.option(
    "--collector.privacy WHAT",
    "Keep personal data out of labels: mask-phones, no-names, or both, separated by a comma.",
    multiple=True,
    read=_privacy,
)
@options.option(
    "--collector.probe-only",
    "Read accounts only for /probe; /metrics then covers the exporter itself.",
)
@options.log_format
@options.log_level("info")
def command(**given: Any) -> None:
    """Export the trunks of the configured accounts to Prometheus.

    Serves /metrics, /probe?account=NAME for one account, /sd for Prometheus' service discovery, a
    landing page, /-/healthy and /-/ready. A scrape reads a cabinet if its snapshot is older than
    cache.ttl; concurrent scrapes share one reading.

    Starts and stays up whether or not a cabinet can be reached: vats_up reports each account, and
    the last good snapshot is served for up to cache.stale. SIGHUP reloads the configuration; an
    invalid one is reported in the log and changes nothing. Ends with SIGTERM or Ctrl-C.

    Exits with 2 if the configuration is invalid, after one line per mistake.
    """
    # A pipe that is given for a file may never end: meanwhile a signal ends the process at once.
    config = options.read_config(given["config_file"])
    protection = options.read_web_config(given["web_config_file"])
    private = set().union(*given["collector_privacy"])
    external, prefix = given["web_external_url"], given["web_route_prefix"]
    prefix = urlsplit(external).path if prefix is None else prefix
    settings = Options(
        protection=protection,
        limits=Limits(given["web_max_connections"], read_timeout=given["web_read_timeout"]),
        urls=Urls(given["web_telemetry_path"], prefix, external),
        lifecycle=given["web_enable_lifecycle"],
        privacy=Privacy(mask_phones="mask-phones" in private, no_names="no-names" in private),
        probe_only=given["collector_probe_only"],
    )
    addresses = given["web_listen_address"]
    if given["web_systemd_socket"]:
        with failing(ValueError, "--web.systemd-socket: {error}"):
            addresses = address.systemd_addresses(os.environ)
    process.take_all_descriptors()

    def log_as_told(config: Config) -> Config:
        logs.configure(
            form=given["log_format"] or config.log.format,
            level=given["log_level"] or config.log.level,
            queued=True,
        )
        for warning in config.warnings:
            _log.warning("configuration is suspicious", config=config.file, warning=str(warning))
        return config

    process.keep_signals(signal.SIGHUP)
    log_as_told(config)
    with failing(OSError, "--web.listen-address: cannot listen on {filename}: {error}"):
        exporter = Exporter(
            config, *addresses, options=settings, load=lambda: log_as_told(load(config.file))
        )
    with exporter:
        process.serve_until_end(
            lambda: f"accounts: {exporter.accounts}, at {exporter.url}",
            reload=exporter.reload,
            is_alive=exporter.is_alive,
        )
