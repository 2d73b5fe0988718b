"""The first signal is a wish, the second an order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from vats_exporter.cli.signals import told_to_end

PROGRAM = """
import sys
from vats_exporter.cli.signals import told_to_end
with told_to_end() as wait:
    print("waiting", flush=True)
    wait()
    print("ending", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_before_anybody_waits_is_remembered(number: int) -> None:
    with told_to_end() as wait:
        os.kill(os.getpid(), number)
        wait()


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with told_to_end() as wait:
        os.kill(os.getpid(), signal.SIGTERM)
        wait()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(second: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGTERM)
        # It takes its time over ending: standard input stays open.
        assert process.stdout.readline() == b"ending\n"
        process.send_signal(second)
        assert process.wait(timeout=20) == -second
