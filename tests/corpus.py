"""The corpora of answers, written by Google's server code, and what each means.

Beside each corpus stand the classes of its answers, as a script tells them: ``shapes/README.md``.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.gwt import ClassFields, Field, Kind, Repeat, Response, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHAPES: Final = Path(__file__).parent / "shapes"
CORPORA: Final = ("random", "single", "hard")
STYLES: Final = ("answer", "answer_dq")
"""As GWT 2.7.0 and 2.13.1 write it."""


@dataclass(frozen=True)
class Shape:
    """One answer of one style.

    Attributes:
        number: of the shape in its corpus.
        text: as the server sends it.
        response: decoded.
        rows: of each row its reference, whether it is active, bound, marked, and the value at 9.
        phones: of each row, normalised; empty for none.
        total: what the answer says it is; ``None`` if it does not.
        one_phone: whether there is one column of phones, and no more.
        classes: what a script of the answer's own release tells of them; ``None`` if there is none.
    """

    number: int
    text: str
    response: Response
    rows: list[tuple[str, bool, bool, bool, bool]]
    phones: list[str]
    total: int | None
    one_phone: bool
    classes: Mapping[str, ClassFields] | None


def shapes(corpus: str, folder: Path = SHAPES) -> Iterator[Shape]:
    """Read a corpus: each shape in both styles."""
    of_scripts = {line["number"]: line for line in _lines(SHAPES / f"{corpus}_classes.jsonl.gz")}
    for line in _lines(folder / f"{corpus}.jsonl.gz"):
        script = of_scripts[line["number"]]
        for style in STYLES:
            yield Shape(
                number=line["number"],
                text=line[style],
                response=decode(line[style]),
                rows=[
                    (row["id_b64"], row["active"], row["bound"], row["marked"], row["off"])
                    for row in line["rows"]
                ],
                phones=[row["phone"] for row in line["rows"]],
                total=line["total"],
                one_phone=not {"phone two", "phone absent"}.intersection(line["tags"]),
                classes=_classes(script["classes"]) if style in script["fits"] else None,
            )


def _lines(file: Path) -> Iterator[Any]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _classes(kinds: Mapping[str, list[Any]]) -> dict[str, ClassFields]:
    return {
        signature: ClassFields((), tuple(map(_field, names)), len(names))
        for signature, names in kinds.items()
    }


def _field(name: Any) -> Field:
    if isinstance(name, dict):
        return Repeat(tuple(map(_field, name["repeat"])))
    named: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
    return named.get(name, Kind.NUMBER)
