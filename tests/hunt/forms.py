"""Secrets in every form in which a layer may have written them, looked for in what was written."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def forms(secret: str) -> Iterator[bytes]:
    """A secret as the layers between here and there may write it."""
    data = secret.encode()
    texts = {secret, html.escape(secret), repr(secret)[1:-1], repr(data)[2:-1]}
    texts |= {quote(data, safe=""), quote(data), quote_plus(data)}
    texts |= {quote(data, safe="").lower()}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    texts |= {json.dumps(json.dumps(secret))[3:-3]}
    texts |= {re.sub(r"[^\w]", lambda match: f"\\x{ord(match[0]):02x}", secret)}
    for text in texts:
        yield text.encode()
    for before in range(3):  # base64 of it inside of something, wherever that begins
        encoded = base64.b64encode(b"x" * before + data)
        yield encoded[(0, 2, 3)[before] : (before + len(data)) // 3 * 4]
    yield data.hex().encode()


def found(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """What stands where; says the secret's name only."""
    return [
        f"{name} in {place}, as {form!r}"
        for name, secret in secrets.items()
        for form in set(forms(secret))
        for place, data in places.items()
        if form in data
    ]
