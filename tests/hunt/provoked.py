"""The program as it is, but for a bug where a file says so, whose exception tells every secret.

Run as ``provoked.py FOLDER ARGUMENT...``: the arguments are the program's. Without any, each line
of the input is a bug and arguments, as JSON; the command is run in a process of its own, what it
says is written to ``said``, and its status is told. In the folder, ``bug`` names the place that is
to raise, unless the environment does; ``secrets`` is what the exception says. Whatever the program
starts besides itself is written to ``started``, with arguments and environment.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import pkgutil
import runpy
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import vats_exporter
from vats_exporter.cabinet import sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES: Final = {
    "a sign-in": "vats_exporter.cabinet.sign_in:send_form",
    "a row": "vats_exporter.cabinet.discovery:read_page",
    "a body": "vats_exporter.cabinet.transport:read_body",
    "a listing": "vats_exporter.cabinet.client:CabinetClient.read_trunks",
    "a device": "vats_exporter.cabinet.contract:read_device_form",
    "a trace": "vats_exporter.metrics.collector:AccountCounters.trace",
    "a count": "vats_exporter.metrics.collector:AccountCounters.refreshed",
    "a history": "vats_exporter.history.history:History.record",
    "a page of metrics": "vats_exporter.metrics.collector:Collector.page",
    "a landing page": "vats_exporter.web.landing:render_landing_page",
    "a probe": "vats_exporter.metrics.probe:Probe.debug_page",
    "a thread of a connection": "vats_exporter.web.server:_Connection._answer_one",
    "a thread of details": "vats_exporter.details:DetailedSource._read",
    "a thread of a refresh": "vats_exporter.refresh:Refresher._keep",
    "a configuration": "vats_exporter.config.loading:_with_defaults",
    "a table": "vats_exporter.cli.output:Table.text",
    "a card": "vats_exporter.cli.trunks:_card",
    "a switch": "vats_exporter.cabinet.selector:TrunkSwitch.carry_out",
    "an inspection": "vats_exporter.cli.inspect:inspect",
    "a recording": "vats_exporter.cli.import_har:read_recording",
}
"""Functions, as module and name, by what is said of them."""

VARIABLE: Final = "PROVOKED_BUG"
"""Names the place for one process, and the file for all others."""

DYING: Final = "an object that dies"
"""Not a function that raises: something it leaves behind does, with nobody there to catch it."""


class _Dying:
    """Raises when it is collected."""

    def __init__(self, secrets: str) -> None:
        self._secrets = secrets

    def __del__(self) -> None:
        raise RuntimeError(self._secrets)


class _Unspeakable:
    """Raises when it is written."""

    def __init__(self, secrets: str) -> None:
        self._secrets = secrets

    def __str__(self) -> str:
        raise RuntimeError(self._secrets)


def _bug(folder: Path) -> str:
    return os.environ.get(VARIABLE) or (folder / "bug").read_text("utf-8")


def _break(folder: Path, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def broken(*arguments: Any, **named: Any) -> Any:
        bug = _bug(folder)
        if bug in {place, DYING}:
            secrets = (folder / "secrets").read_text("utf-8")
            with (folder / "provoked").open("a", encoding="utf-8") as file:
                file.write(f"{bug}\n")
            if bug == DYING:
                _Dying(secrets)
            else:
                _raise(secrets)
        return function(*arguments, **named)

    return broken


def _raise(secrets: str) -> None:
    """Raise an exception as they come: out of another one, with what it choked on."""
    try:
        importlib.import_module(secrets)
    except (ImportError, ValueError) as error:
        raise RuntimeError(f"cannot read {secrets!r}", _Unspeakable(secrets)) from error


def _watch(folder: Path) -> None:
    """Note everything that is started."""

    def note(event: str, details: tuple[Any, ...]) -> None:
        if event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork"}:
            descriptor = os.open(folder / "started", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, f"{event} {details!r}\n".encode(errors="replace"))
            os.close(descriptor)

    sys.addaudithook(note)


def _run(folder: Path, *arguments: str) -> None:
    sys.argv = ["vats-exporter", *arguments]
    _watch(folder)
    warnings.simplefilter("default")
    bug = _bug(folder)
    for place, path in PLACES.items():
        # A command is over before there could be another bug, and starts faster without.
        if "serve" not in arguments and bug not in {place, DYING}:
            continue
        module, _, name = path.partition(":")
        owner: Any = importlib.import_module(module)
        *outer, last = name.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, last, _break(folder, place, getattr(owner, last)))
    runpy.run_module("vats_exporter", run_name="__main__", alter_sys=True)


def _run_in_child(folder: Path, bug: str, *arguments: str) -> int:
    """Run a command in a process of its own, which need not import anything anew."""
    child = os.fork()
    if child == 0:
        with (folder / "said").open("wb") as said, Path(os.devnull).open("rb") as nothing:
            for descriptor, file in enumerate((nothing, said, said)):
                os.dup2(file.fileno(), descriptor)
        os.environ[VARIABLE] = bug
        _run(folder, *arguments)
        sys.exit()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_each(folder: Path) -> None:
    """Run what is asked for until nothing more is."""
    for module in pkgutil.walk_packages(vats_exporter.__path__, "vats_exporter."):
        importlib.import_module(module.name)
    for line in sys.stdin:
        sys.stdout.write(f"{_run_in_child(folder, *json.loads(line))}\n")
        sys.stdout.flush()


def main() -> None:
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    # Sessions end here faster than in life.
    sign_in.PACE = sign_in.SignInPace(pause=0.0)
    if arguments:
        _run(folder, *arguments)
    else:
        _run_each(folder)


if __name__ == "__main__":
    main()
