"""How commands speak: results on standard output, one line on standard error where they fail.

Both in UTF-8 whatever the terminal is, and nothing that a terminal would act upon.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

FAILED = 1
"""Exit status of a command that could not do what it was asked."""

WRONG_CONFIGURATION = 2
"""Exit status for a configuration that cannot be used; click's own for wrong usage."""


def write(text: str) -> None:
    """Write a result.

    Args:
        text: with its line breaks; it holds no lone surrogate.
    """
    try:
        sys.stdout.buffer.write(text.encode("utf-8"))
        # Flushed, so that a reader that has gone away, as `head` does, is noticed here and not
        # while Python shuts down.
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # click ends the program quietly, with status 1.
        raise
    except OSError as error:
        fail(f"standard output: cannot write: {reason(error)}")


def printable(text: str) -> str:
    """Escape what cannot be shown, or what a terminal would act upon.

    Args:
        text: any text.
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def tell(line: str) -> None:
    """Write one line on standard error.

    Args:
        line: without its line break.
    """
    sys.stderr.buffer.write(f"{printable(line)}\n".encode())
    sys.stderr.buffer.flush()


def reason(error: OSError) -> str:
    """Say why the system refused, without what Python adds to it.

    Args:
        error: as caught.
    """
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    # A name that does not resolve has numbers of its own, below 0.
    return error.strerror or str(error)


def fail(line: str, status: int = FAILED) -> NoReturn:
    """Say why, and end the program.

    Args:
        line: as for :func:`tell`.
        status: the exit status.

    Raises:
        SystemExit: always.
    """
    tell(line)
    sys.exit(status)
