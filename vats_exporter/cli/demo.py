"""``demo``: a simulated cabinet and the exporter on it, in one process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import click
import yaml

from vats_exporter import logs
from vats_exporter.address import ListenAddress
from vats_exporter.app import Exporter, Options
from vats_exporter.cli import options
from vats_exporter.cli.output import _, failing, write
from vats_exporter.config.loading import load
from vats_exporter.config.models import Config
from vats_exporter.demo import Account, SimulatedCabinet, make_accounts
from vats_exporter.process import keep_signals, wait_for_end

_HOST: Final = "127.0.0.1"
_CABINET_PORT: Final = 9743
_TTL: Final = "5s"
_PACE: Final = 15.0  # seconds after which another trunk changes
_HOLD: Final = 120.0  # seconds for which one that was changed by hand is left alone


@options.command("demo", "demo --trunks 300 --accounts 2", "demo --port 8080 --log.level debug")
@options.option(
    "--trunks N", "Trunks of each account.", type=click.IntRange(0, 100_000), default=25
)
@options.option(
    "--accounts N", "Accounts, each with trunks of its own.", type=click.IntRange(1, 100), default=1
)
@options.option("--port PORT", "Port of the exporter; 0 picks a free one.", default=9742)
@options.option(
    "--host ADDRESS",
    "Where the exporter listens; 0.0.0.0 lets other machines, or containers, scrape it. The "
    "cabinet stays local.",
    default=_HOST,
)
@options.option(
    "--cabinet-port PORT",
    "Port of the cabinet; 0 picks a free one.  [default: 9743, or a free one if that is taken]",
)
@options.option("--details", "Also read the trunks' details: the selector, the SIP line.")
@options.option(
    "--write-config FILE",
    "Write a configuration of the simulated accounts, to try the other commands with. The history "
    "is kept beside it then.",
)
@options.web_config_file
@options.log_format
@options.log_level("info")
def command(**given: Any) -> None:
    """Try everything on a simulated cabinet, without an account.

    Starts a cabinet with invented trunks, an HTTP server that speaks the real protocol, and an
    exporter that reads it, both on this machine only. One trunk of each account changes every 15
    seconds. Prints addresses and things to try. Ends with Ctrl-C.
    """
    logs.configure(form=given["log_format"] or "logfmt", level=given["log_level"] or "info")
    served = Options(protection=options.read_web_config(given["web_config_file"]))
    accounts = make_accounts(given["accounts"], trunks=given["trunks"], pace=_PACE, hold=_HOLD)
    keep_signals()
    with ExitStack() as stack:
        cabinet = _start_cabinet(stack, accounts, given)
        config = _configure(cabinet, given["write_config"], details=given["details"])
        address = ListenAddress(given["host"], given["port"])
        with failing(OSError, "--port: cannot listen on {filename}: {error}; try --port 0"):
            exporter = stack.enter_context(Exporter(config, address, options=served))
        write(_invitation(exporter.url, cabinet, given["write_config"]))
        wait_for_end()


def _start_cabinet(
    stack: ExitStack, accounts: Sequence[Account], given: Mapping[str, Any]
) -> SimulatedCabinet:
    """Start it on the port asked for; on its usual port, or a free one, if none is."""
    port = given["cabinet_port"]
    if port is None and given["port"] != _CABINET_PORT:
        with suppress(OSError):
            return stack.enter_context(SimulatedCabinet(accounts, address=(_HOST, _CABINET_PORT)))
    with failing(OSError, "--cabinet-port: cannot listen on port {port}: {error}", port=port):
        return stack.enter_context(SimulatedCabinet(accounts, address=(_HOST, port or 0)))


def _configure(cabinet: SimulatedCabinet, file: Path | None, *, details: bool) -> Config:
    """Make the configuration that a person would have written, and write it if it is wanted."""
    document: dict[str, object] = {
        "accounts": [
            {"name": one.name, "address": cabinet.url, "login": one.login, "password": one.password}
            for one in cabinet.accounts
        ],
        # Short times, so that a change is seen with the next scrape or so.
        "cache": {"ttl": _TTL, "stale": "15m"},
        "details": {"enabled": details, "ttl": "60s"},
    }
    if file is None:
        return Config.model_validate(document)
    document["history"] = {"file": f"{file.stem}.history.db"}
    text = "# The accounts of a simulated cabinet: vats-exporter demo --write-config\n"
    text += yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    with failing(OSError, "{file}: cannot be written: {error}", file=file):
        file.touch(mode=0o600)  # it holds passwords, invented ones
        file.write_text(text, encoding="utf-8")
    return load(file)


def _invitation(exporter: str, cabinet: SimulatedCabinet, written: Path | None) -> str:
    """Say where everything is, and what to try."""
    trunks = cabinet.trunks()
    # One that a person sees change: a working trunk.
    phone = next((trunk["phone"] for trunk in trunks if trunk["active"]), None)
    told = {
        "exporter": exporter,
        "cabinet": cabinet.url,
        "accounts": len(cabinet.accounts),
        "trunks": len(trunks),
        "phone": phone,
        "first": cabinet.accounts[0],
        "file": f"--config.file {shlex.quote(str(written))}",
        "ttl": _TTL,
        "pace": f"{_PACE:g}",
    }
    start = _(
        """A simulated cabinet, and the exporter on it (accounts: {accounts}, trunks: {trunks}):

  exporter  {exporter}/
  metrics   {exporter}/metrics
  cabinet   {cabinet}/  (login {first.login}, invented password {first.password})
  truth     {cabinet}/_demo/trunks

Try in another terminal:

  # every trunk's flags
  curl -s {exporter}/metrics | grep ^vats_trunk_

  # end the session, or redeploy the cabinet: the exporter recovers
  curl -X POST {cabinet}/_demo/end-sessions
  curl -X POST {cabinet}/_demo/redeploy
  curl -s {exporter}/metrics | grep -E '^vats_(up|logins|redeployments)'

  # what the cabinet was asked
  curl -s {cabinet}/_demo/stats
""",
        **told,
    )
    switch = _(
        """  # switch a trunk off; the metrics show it after {ttl} at most
  curl -d '{{"active": false}}' {cabinet}/_demo/trunks/{phone}
  curl -s {exporter}/metrics | grep {phone}
""",
        **told,
    )
    commands = _(
        """  # the other commands, with the configuration that was written
  vats-exporter check --online {file}
  vats-exporter trunks list {file}
  vats-exporter inspect --account {first.name} {file}
  vats-exporter events {file}
""",
        **told,
    )
    end = _("A trunk changes by itself every {pace} s. Ctrl-C ends it all.", **told)
    return "\n".join([start, *[switch] * bool(phone), *[commands] * bool(written), end, "", ""])
