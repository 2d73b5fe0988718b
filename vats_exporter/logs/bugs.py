"""How an exception nobody expected is told to whoever runs the exporter.

An unexpected exception's message may quote what it choked on, a password or a cookie among it, so
it is never shown. Its class, and the line it was raised at, are enough to find it.
"""

from __future__ import annotations

from pathlib import Path


def describe_bug(error: BaseException) -> str:
    """Say what an unexpected exception is and where it comes from, without its message.

    Args:
        error: as caught; its traceback tells the place.

    Returns:
        For example ``unexpected KeyError at rows.py:210``.
    """
    step = error.__traceback__
    if step is None:
        return f"unexpected {type(error).__name__}"
    while step.tb_next is not None:
        step = step.tb_next
    file = Path(step.tb_frame.f_code.co_filename).name
    return f"unexpected {type(error).__name__} at {file}:{step.tb_lineno}"
