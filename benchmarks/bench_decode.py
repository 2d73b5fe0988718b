"""How long decoding an answer takes, as a ratio to ``json.loads`` of the equivalent JSON.

Both run in turns in the same process, so that whatever else the machine does hits both; a figure is
the median of the turns' ratios. The equivalent JSON holds the same tokens and strings in one array,
without escapes that JSON does not need.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from vats_exporter.gwt import GWT_2_7, Response, decode, encode_response

if TYPE_CHECKING:
    from collections.abc import Callable

WIRE = Path(__file__).parent.parent / "tests" / "wire"
TURNS = 41
SECONDS_A_TURN = 0.01


def main() -> None:
    """Print each case's ratio, for an answer in bytes and as text, beside the goal for bytes."""
    page = (WIRE / "list_page100.txt").read_text("utf-8")
    chunked = (WIRE / "list_chunked.txt").read_text("utf-8")
    cases = [
        ("page of 100 rows", page, 1.15),
        ("3,000 rows, with seams", chunked, 1.5),
        (r"page of 100 rows, \x in every name", _with_apostrophes(page), 1.8),
    ]
    print(f"{'decode / json.loads':38} {'bytes':>7} {'text':>7} {'goal':>7}")
    for name, text, goal in cases:
        equivalent = _equivalent_json(decode(text))
        of_bytes = _ratio(text.encode(), equivalent.encode())
        of_text = _ratio(text, equivalent)
        print(f"{name:38} {of_bytes:6.2f}x {of_text:6.2f}x {goal:6.2f}x")


def _with_apostrophes(page: str) -> str:
    r"""Put an apostrophe, which the server writes as ``\x27``, into every name of a page."""
    truth = json.loads((WIRE / "list_page100.json").read_text("utf-8"))
    names = {row["name"] for row in truth["rows"]}
    response = decode(page)
    table = [f"О'{string}" if string in names else string for string in response.string_table]
    text = encode_response(replace(response, string_table=table), style=GWT_2_7)
    assert text.count("\\x27") == len(names)
    return text


def _equivalent_json(response: Response) -> str:
    elements = [*response.tokens, response.string_table, response.flags, response.version]
    return json.dumps(elements, ensure_ascii=False, separators=(",", ":"))


def _ratio(answer: bytes | str, equivalent: bytes | str) -> float:
    calls = max(1, round(SECONDS_A_TURN / seconds(lambda: json.loads(equivalent), 3)))
    ratios = []
    for _ in range(TURNS):
        ours = seconds(lambda: decode(answer), calls)
        theirs = seconds(lambda: json.loads(equivalent), calls)
        ratios.append(ours / theirs)
    return statistics.median(ratios)


def seconds(call: Callable[[], object], calls: int) -> float:
    """Time one call, on average over some."""
    start = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - start) / calls


if __name__ == "__main__":
    main()
