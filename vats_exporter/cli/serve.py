"""``serve``: the exporter itself, until it is told to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vats_exporter import log
from vats_exporter.app import Exporter
from vats_exporter.cli import options
from vats_exporter.cli.output import fail, reason
from vats_exporter.cli.signals import told_to_end
from vats_exporter.web import parse_listen_address

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.web import ListenAddress


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


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter serve\n"
    "  vats-exporter serve --web.listen-address 127.0.0.1:9742\n"
    "  vats-exporter serve --log.format json --log.level debug\n"
    "\n\b\nThe least that a configuration needs:\n"
    "  accounts:\n"
    "    - name: office\n"
    "      login: +7-9161234567\n"
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
@options.logging
def command(
    config_file: Path | None,
    address: ListenAddress,
    log_format: log.Format | None,
    log_level: log.Level | None,
) -> None:
    """Export the trunks of the configured accounts to Prometheus.

    Serves /metrics, a landing page and /-/healthy and /-/ready. A scrape reads the cabinets if what
    was read before is older than cache.ttl; however many scrapes come, each account is read once.

    Starts and stays up whether or not a cabinet can be reached: vats_up says so for each account,
    and the last good snapshot is served for up to cache.stale. Ends with SIGTERM or Ctrl-C.

    Exits with 2 if the configuration is wrong, after one line for each defect.
    """
    config = options.read_config(config_file)
    log.configure(form=log_format or config.log.format, level=log_level or config.log.level)
    with told_to_end() as wait:
        try:
            exporter = Exporter(config, address)
        except OSError as error:
            fail(f"--web.listen-address: cannot listen on {address}: {reason(error)}")
        with exporter:
            wait()
