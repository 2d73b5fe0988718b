"""Durations and sizes, as people write them in Prometheus' configuration files and flags.

A duration is ``1h30m``, ``15s``, ``500ms`` or ``0``: whole numbers with units, the greatest first,
each at most once. Go's own, which exporter-toolkit reads, may also have fractions and smaller
units, in any order. A size is ``512KB`` or ``64MB``, in powers of 1024 as Prometheus counts them.
Knows nothing of where they are written.
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

DURATION_PATTERN: Final = "(?=[0-9])" + "".join(
    f"(?:([0-9]+){unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms")
)
"""A duration, as a regular expression with a group a unit; ``0`` alone is one as well."""

_GO_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,  # the micro sign
    "\u03bcs": 1e-6,  # the Greek letter mu
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}

_GO_PIECE: Final = rf"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)({'|'.join(_GO_SECONDS)})"

GO_DURATION_PATTERN: Final = f"(?:{_GO_PIECE})+|{DURATION_PATTERN}"
"""A duration as Go or Prometheus writes it, as a regular expression."""

SIZE_PATTERN: Final = "([0-9]+)([KMG]?B)"
"""A size, as a regular expression: the number, the unit."""

_DURATION: Final = re.compile(DURATION_PATTERN)
_SIZE: Final = re.compile(SIZE_PATTERN)

_LONGEST: Final = 2**63 / 1e9
"""Prometheus keeps durations as 64-bit nanoseconds, which is 292 years."""

_BYTES: Final = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


def parse_duration(text: str) -> float:
    """Read a duration.

    Args:
        text: such as ``1h30m``.

    Returns:
        seconds.

    Raises:
        ValueError: it is not one; the message says what was expected.
    """
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
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
    return _bounded(seconds)


def parse_go_duration(text: str) -> float:
    """Read a duration as Go writes it, such as ``1.5s`` and ``100us``, or as Prometheus does.

    Args:
        text: such as ``1h30m``.

    Returns:
        seconds.

    Raises:
        ValueError: it is not one; the message says what was expected.
    """
    if not re.fullmatch(f"(?:{_GO_PIECE})+", text):
        return parse_duration(text)
    pieces = re.findall(_GO_PIECE, text)
    seconds = sum(float(number) * _GO_SECONDS[unit] for number, unit in pieces)
    return _bounded(seconds)


def _bounded(seconds: float) -> float:
    if seconds >= _LONGEST:
        raise ValueError("is too long a duration")
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration with the fewest units, to the millisecond: 5400.0 is ``1h30m``.

    Args:
        seconds: not negative.

    Returns:
        a text that :func:`parse_duration` reads as the same, to the millisecond.
    """
    left = round(seconds * 1000)
    if left == 0:
        return "0s"
    written = []
    for unit, factor in _SECONDS.items():
        # Years and weeks read worse than days.
        if unit in {"y", "w"}:
            continue
        count, left = divmod(left, round(factor * 1000))
        if count:
            written.append(f"{count}{unit}")
    return "".join(written)


def parse_size(text: str) -> int:
    """Read a size.

    Args:
        text: such as ``64MB``.

    Returns:
        bytes.

    Raises:
        ValueError: it is not one; the message says what was expected.
    """
    match = _SIZE.fullmatch(text)
    if match is None or len(match[1]) > 15:
        raise ValueError("must be a size such as 512KB, 64MB or 1GB")
    return int(match[1]) * _BYTES[match[2]]


def format_size(count: int) -> str:
    """Write a size with the greatest unit that leaves a whole number: 67108864 is ``64MB``.

    Args:
        count: bytes.

    Returns:
        a text that :func:`parse_size` reads as the same.
    """
    for unit, factor in reversed(_BYTES.items()):
        if count >= factor and count % factor == 0:
            return f"{count // factor}{unit}"
    return f"{count}B"
