"""One page of the tab "Абоненты": its rows, and what else the answer tells.

Plain data, the same whichever reader made it. A row stands in the answer, as the server writes it,
as the reference and twelve values [user]::

    'CaXXXX',2,0,0,1,8,1,0,0,0,0,0,0
             1 2 3 4 5 6 7 8 9 …  12

1 is the index of ``java.lang.Long``. What stands at 5, and whether it is one token with 4, depends
on the kind of the flag at 4, which is not known (CONTRACT, section 2). The others are flags.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from vats_exporter.trunks import FLAG_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARYING: Final = (4, 6, 7, 9)
"""The positions that were seen to vary. [observed]"""

KNOWN_PATTERNS: Final = {
    "1100": "activated, not marked for deletion, has a working binding",
    "0011": "switched off, marked for deletion",
}
"""The known patterns, and what they mean. [user]"""

FLAG: Final = FLAG_POSITIONS.index(4)
"""Where the flag at 4 stands among a row's values."""

Column: TypeAlias = tuple[int, ...]
"""Where a text stands in its record: the place of its field, from the end of its class; in a nested
object after the place of that object's own field."""


class Record(NamedTuple):
    """One row.

    Attributes:
        ref: the subscriber's reference, e.g. ``CaLztv``.
        values: at the :data:`FLAG_POSITIONS`, in their order; ``None`` for a boxed flag that is
            null.
    """

    ref: str
    values: tuple[int | None, ...]

    @property
    def pattern(self) -> str:
        """The values of the varying positions, and any other that is not 0, as ``1100+8=1``."""
        return pattern_of(self.values)

    def value(self, position: int) -> int | None:
        """The value at one of the :data:`FLAG_POSITIONS`."""
        return self.values[FLAG_POSITIONS.index(position)]


@lru_cache(maxsize=4096)
def pattern_of(values: tuple[int | None, ...]) -> str:
    """Write a row's values as its pattern; see :attr:`Record.pattern`."""
    by_position = dict(zip(FLAG_POSITIONS, values, strict=True))
    varying = ["-" if (value := by_position[at]) is None else str(value) for at in VARYING]
    others = [f"+{at}={value}" for at, value in by_position.items() if value and at not in VARYING]
    return "".join(varying + others)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of subscribers.

    Attributes:
        records: its rows, in the cabinet's order.
        declared: the number of rows the page gives itself.
        total: the number of rows on all pages, as the answer seems to give it; ``None`` where it
            can't be told. [assumed]
        read_by: whether the compiled script's classes read it, or the rows' block alone.
        not_by_script: why the script did not; empty where it did.
        answer_class: the type signature of the answer's own object.
        references: the boxed longs outside of the rows, as written, in the order of reading.
        texts: the texts of all records, by column, in which phones and names are looked for.
        told: the phone and the name of each record, where the reader itself tells them.
    """

    records: tuple[Record, ...]
    declared: int
    total: int | None = None
    read_by: Literal["script", "block"] = "block"
    not_by_script: str = ""
    answer_class: str = ""
    references: tuple[str, ...] = ()
    texts: Mapping[Column, tuple[str | None, ...]] = field(default_factory=dict, repr=False)
    told: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def guess_total(numbers: Sequence[int], declared: int) -> int | None:
    """Guess which of the numbers around a list counts the rows of all pages.

    Args:
        numbers: the integers that stand around the list.
        declared: the rows on the page, of which there can't be fewer in all.

    Returns:
        the only one that may; of several, the only one that is no flag. [assumed]
    """
    possible = [number for number in numbers if number >= declared]
    if len(possible) != 1:
        possible = [number for number in possible if number > 1]
    return possible[0] if len(possible) == 1 else None
