"""``serve``: the exporter itself, until a signal ends it; and the notifications to systemd."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from vats_exporter.app import Exporter, Options
from vats_exporter.cli import options
from vats_exporter.cli.output import _, fail
from vats_exporter.config.problems import ConfigError
from vats_exporter.config.units import parse_duration
from vats_exporter.logs import setup
from vats_exporter.logs.logger import get_logger
from vats_exporter.privacy import Privacy
from vats_exporter.web.addresses import (
    Urls,
    parse_external_url,
    parse_listen_address,
    parse_metrics_path,
    parse_prefix,
    systemd_addresses,
)
from vats_exporter.web.connections import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vats_exporter.config.models import Config
    from vats_exporter.web.addresses import ListenAddress

_log = get_logger(__name__)

_PRIVACY: Final = ("mask-phones", "no-names")
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)


def _read(parse: Callable[[str], object]) -> Callable[..., object]:
    """Make a callback of an option that reads each of its values."""

    def callback(_context: object, _option: object, value: str | tuple[str, ...] | None) -> object:
        try:
            if isinstance(value, tuple):
                return tuple(parse(one) for one in value)
            return parse(value) if value else value
        except ValueError as error:
            raise click.BadParameter(_("{error}", error=error)) from None

    return callback


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("must be longer than 0s")
    return seconds


def _privacy(_context: object, _option: object, values: tuple[str, ...]) -> Privacy:
    """Read what labels hold back, given several times or with commas."""
    wanted = {word.strip() for value in values for word in value.split(",")}
    if unknown := wanted - set(_PRIVACY):
        words = ", ".join(_PRIVACY)
        raise click.BadParameter(
            _("{word!r} is not one of {words}", word=min(unknown), words=words)
        )
    return Privacy(mask_phones="mask-phones" in wanted, no_names="no-names" in wanted)


@click.command(
    context_settings={"auto_envvar_prefix": "VATS_EXPORTER"},
    epilog=options.examples(
        "serve",
        "serve --web.listen-address 127.0.0.1:9742",
        "serve --web.config.file web.yml --web.enable-lifecycle",
        "serve --web.external-url https://monitoring.example.org/vats",
        "serve --collector.privacy mask-phones,no-names",
        "serve --log.format json --log.level debug",
    )
    + "\nEach option can also be set by a variable: --web.listen-address by "
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
    callback=_read(parse_listen_address),
)
@options.option(
    "--web.systemd-socket",
    "Serve on the sockets that systemd passes, instead of --web.listen-address.",
)
@options.web_config_file
@options.option(
    "--web.telemetry-path PATH",
    "Path of the metrics.",
    default="/metrics",
    callback=_read(parse_metrics_path),
)
@options.option(
    "--web.external-url URL",
    "The URL of the exporter for clients beyond a reverse proxy; /sd names it as the targets' "
    "address. Its path also prefixes every path here, unless --web.route-prefix is given.",
    default="",
    callback=_read(parse_external_url),
)
@options.option(
    "--web.route-prefix PATH",
    "Prefix of every path here.  [default: the path of --web.external-url]",
    callback=_read(parse_prefix),
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
    callback=_read(_duration),
)
@options.option(
    "--web.enable-lifecycle", "Let a POST to /-/reload reload the configuration, as SIGHUP does."
)
@options.option(
    "--collector.privacy WHAT",
    "Keep personal data out of labels: mask-phones, no-names, or both, separated by a comma.",
    multiple=True,
    callback=_privacy,
)
@options.option(
    "--collector.probe-only",
    "Read accounts only for /probe; /metrics then covers the exporter itself.",
)
@options.log_format
@options.log_level
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

    with signals_handled(reload) as wait:
        try:
            exporter = Exporter(config, *_addresses(given), options=served, load=load)
        except OSError as error:
            fail(
                "--web.listen-address: cannot listen on {address}: {error}",
                address=error.filename,
                error=error,
            )
        with exporter:
            manager.ready(_status(exporter))
            manager.watch(exporter.is_alive)
            wait()
            manager.stopping()


def _options(given: Mapping[str, Any]) -> Options:
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


def _addresses(given: Mapping[str, Any]) -> tuple[ListenAddress, ...]:
    if not given["web_systemd_socket"]:
        return tuple(given["web_listen_address"])
    try:
        return tuple(systemd_addresses(os.environ))
    except ValueError as error:
        fail("--web.systemd-socket: {error}", error=error)


def _raise_descriptor_limit() -> None:
    """Raise the limit of open files to what the system allows, as Go programs do.

    The usual limit, 1024, is there for programs that wait with ``select()``; a connection that
    finds none left is refused, whatever --web.max-connections says.
    """
    _usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # where the most is no number that can be asked for
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _status(exporter: Exporter) -> str:
    """Say in a few words what is served, for ``systemctl status``."""
    number = exporter.accounts
    return f"{number} account{'s' * (number != 1)} at {exporter.url}"


@contextmanager
def signals_handled(reload: Callable[[], object] | None = None) -> Iterator[Callable[[], None]]:
    """Take SIGTERM and SIGINT as a request to end, from here on, and SIGHUP as one to reload.

    The first request to end is remembered, also if it comes before anything waits for it; a SIGHUP
    after it is ignored. A second one ends the process at once, as it would without this.

    Any thread of the process may take a signal, and Python runs its handler in the main one when
    that next runs Python; one that waits in a system call is interrupted only by a signal it is
    given itself. So it waits for a byte in a pipe, which Python's own handler, written in C, writes
    every signal to. An event has a lock, which the code that a handler interrupts may hold.

    Args:
        reload: called for each SIGHUP, in the thread that waits; without it, SIGHUP ends the
            process as it does by default.

    Yields:
        what waits for the end, and reloads meanwhile.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ending = False

    def end(_number: int, _frame: object) -> None:
        nonlocal ending
        ending = True
        for one in _ENDS:
            signal.signal(one, signal.SIG_DFL)
        if reload is not None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def again(_number: int, _frame: object) -> None:
        """Do nothing: only signals with a handler get into the pipe."""

    def wait() -> None:
        while True:
            requests = set(os.read(reading, 4096))
            # The flag is for a pipe that was full, of requests to reload, when the one to end came.
            if ending or requests & {*_ENDS}:
                return
            if reload is not None and signal.SIGHUP in requests:
                reload()

    handlers = dict.fromkeys(_ENDS, end)
    if reload is not None:
        handlers[signal.SIGHUP] = again
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    # The program begins with keeping hangups until they are handled.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    try:
        yield wait
    finally:
        if ending:  # a hangup must not end the process now that it ends by itself
            before.pop(signal.SIGHUP, None)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.close(reading)
        os.close(writing)


class ServiceManager:
    """The service manager that started the process, told by datagrams as in ``sd_notify(3)``.

    Args:
        environment: where it left its address, if there is one; the process' own if not given.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        address = given.get("NOTIFY_SOCKET", "")
        # An address that starts with "@" is of Linux's abstract namespace.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        microseconds = given.get("WATCHDOG_USEC", "")
        watched = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # Two signs of life within the time after which the process is taken for hung.
        self._pause = int(microseconds) / 2e6 if watched and microseconds.isdecimal() else 0
        self._ended = threading.Event()

    def ready(self, status: str) -> None:
        """Say that the service is up, with a sentence for ``systemctl status``."""
        self._notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that the configuration is being read again; :meth:`ready` says that it was."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Say that the service ends, and give no more signs of life."""
        self._ended.set()
        self._notify("STOPPING=1")

    def watch(self, is_alive: Callable[[], bool]) -> None:
        """Give signs of life from a thread, as often as the manager wants them."""
        if not self._address or not self._pause:
            return

        def give_signs() -> None:
            while not self._ended.wait(self._pause):
                if is_alive():
                    self._notify("WATCHDOG=1")

        threading.Thread(target=give_signs, name="watchdog", daemon=True).start()

    def _notify(self, *lines: str) -> None:
        # The manager notices by itself that it is not told, and says so in its own log.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            if self._address:
                sender.connect(self._address)
                sender.sendall("\n".join(lines).encode())
