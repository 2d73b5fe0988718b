"""Start an installed program's demo, read one page of it and end it: ``try_demo.py PROGRAM``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from urllib.request import urlopen

PATIENCE = 60.0


def main(program: str) -> None:
    """Try the program; end with a status other than 0 if it does not do what it should."""
    version = subprocess.run(
        [program, "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    with subprocess.Popen(
        [program, "demo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            found = (re.search(r"http://\S+/metrics", line) for line in process.stdout)
            with urlopen(next(match for match in found if match)[0], timeout=PATIENCE) as answer:
                page = answer.read().decode()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    up = 'vats_up{account="demo"} 1.0' in page
    python = re.search(r'build_info\{python="([^"]+)"', page)
    print(f"{version} on Python {python[1] if python else '?'}: up {up}, exit {process.returncode}")
    sys.exit(not up or process.returncode != 0)


if __name__ == "__main__":
    main(sys.argv[1])
