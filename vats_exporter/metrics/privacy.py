"""Labels without personal data: what a trunk is called where others may read it.

A trunk's reference, its ``trunk`` label, is the cabinet's number of it and tells nothing of a
person; it stays, so that series, changes and alerts stay those of the same trunk.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, NamedTuple

from vats_exporter.trunks import Trunk

SHOWN_DIGITS: Final = 4  # at a number's end: enough to know one's own by, too few to call it
# Seven digits or more, as people write phones in a name: with dashes, dots, brackets and spaces
# between them, in any script. What is masked and was a date is the smaller harm.
_NUMBER: Final = re.compile(r"\+?\d(?:[\W_]{0,5}\d){6,}")


class Privacy(NamedTuple):
    """What labels hold back: phone numbers wherever they stand, names of people and places."""

    mask_phones: bool = False
    no_names: bool = False

    def trunk(self, trunk: Trunk) -> Trunk:
        """Return a trunk as it may be shown; its line is made of its phone."""
        if not self.mask_phones and not self.no_names:
            return trunk
        phone = _masked(trunk.phone) if self.mask_phones else trunk.phone
        name = "" if self.no_names else self.text(trunk.name)
        return replace(trunk, phone=phone, name=name, line=self.text(trunk.line))

    def text(self, text: str) -> str:
        """Return a text as it may be shown."""
        return _NUMBER.sub(lambda match: _masked(match[0]), text) if self.mask_phones else text


def _masked(number: str) -> str:
    digits = [char for char in number if char.isdigit()]
    if len(digits) <= SHOWN_DIGITS:
        return number
    return "*" * (len(digits) - SHOWN_DIGITS) + "".join(digits[-SHOWN_DIGITS:])
