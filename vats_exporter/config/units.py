"""Durations and sizes, as people write them in Prometheus' configuration files and flags.

A duration is ``1h30m``, ``15s``, ``500ms`` or ``0``: whole numbers with units, the greatest first,
each at most once. A size is ``512KB`` or ``64MB``, in powers of 1024 as Prometheus counts them.
"""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {
    "y": 365 * 86400.0,
    "w": 7 * 86400.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_BYTES: Final = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}

DURATION_PATTERN: Final = "(?=[0-9])" + "".join(f"(?:([0-9]+){unit})?" for unit in _SECONDS)
SIZE_PATTERN: Final = "([0-9]+)([KMG]?B)"

LONGEST: Final = 2**63 / 1e9
"""Prometheus keeps durations as 64-bit nanoseconds, which is 292 years."""


def parse_duration(text: str) -> float:
    """Read a duration such as ``1h30m``, in seconds; a ``ValueError`` says what was expected."""
    if text == "0":
        return 0.0
    match = re.fullmatch(DURATION_PATTERN, text)
    if match is None:
        if re.fullmatch("[0-9]+", text):
            raise ValueError(f"has no unit: write {text}s, {text}m or {text}ms")
        raise ValueError("must be a duration such as 15s, 1h30m or 500ms")
    seconds = 0.0
    for number, factor in zip(match.groups(default="0"), _SECONDS.values(), strict=True):
        # Past the longest duration in any unit; int() refuses thousands of digits.
        if len(number.lstrip("0")) > 19:
            raise ValueError("is too long a duration")
        seconds += int(number) * factor
    if seconds >= LONGEST:
        raise ValueError("is too long a duration")
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration with the fewest units, to the millisecond: 5400.0 is ``1h30m``."""
    left = round(seconds * 1000)
    written = []
    for unit, factor in _SECONDS.items():
        if unit in {"y", "w"}:  # read worse than days
            continue
        count, left = divmod(left, round(factor * 1000))
        if count:
            written.append(f"{count}{unit}")
    return "".join(written) or "0s"


def parse_size(text: str) -> int:
    """Read a size such as ``64MB``, in bytes; a ``ValueError`` says what was expected."""
    match = re.fullmatch(SIZE_PATTERN, text)
    if match is None or len(match[1]) > 15:
        raise ValueError("must be a size such as 512KB, 64MB or 1GB")
    return int(match[1]) * _BYTES[match[2]]


def format_size(count: int) -> str:
    """Write a size with the greatest unit that leaves a whole number: 67108864 is ``64MB``."""
    for unit, factor in reversed(_BYTES.items()):
        if count >= factor and count % factor == 0:
            return f"{count // factor}{unit}"
    return f"{count}B"
