"""The corpora of answers, written by Google's server code, and what each means.

Beside each corpus stand the classes of its answers, as a script tells them (``shapes/README.md``),
or whole scripts, which are read then.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.cabinet.by_block import VARYING
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import ClassTable, read_page
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.gwt import Field, Kind, Repeat, Response, decode
from vats_exporter.gwt.script import read_script
from vats_exporter.trunks import FLAG_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vats_exporter.cabinet.reading import Page

    Classes = Mapping[str, Any]

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
    classes: Classes | None


def shapes(corpus: str, folder: Path = SHAPES, *, by_script: bool = True) -> Iterator[Shape]:
    """Read a corpus: each shape in both styles.

    Args:
        corpus: one of :data:`CORPORA`.
        folder: where it is.
        by_script: with the classes that a script tells.
    """
    told = dict(_classes(corpus, folder)) if by_script else {}
    for line in lines(folder / f"{corpus}.jsonl.gz"):
        read, fits = told.get(line["number"], (dict[str, Any], ()))
        classes = read() if fits else None
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
                classes=classes if style in fits else None,
            )


def measure(corpus: str, folder: Path = SHAPES, *, by_script: bool) -> Counter[str]:
    """Read a corpus: how many answers are right, refused and wrong, and how many phones.

    Args:
        corpus: one of :data:`CORPORA`.
        folder: where it is.
        by_script: by the script as well, where one fits the answer.
    """
    counts: Counter[str] = Counter()
    for shape in shapes(corpus, folder, by_script=by_script):
        if by_script and shape.classes is None:
            continue
        counts["answers"] += 1
        try:
            page = read_page(shape.response, ClassTable(shape.classes or {}) if by_script else None)
        except UndecodableError:
            counts["refused"] += 1
            continue
        counts["right" if is_right(page, shape) else "wrong"] += 1
        trunks, _ = make_trunks([page], FlagPositions())
        if shape.one_phone:
            for trunk, phone in zip(trunks, shape.phones, strict=False):
                counts["phones"] += 1
                counts["phones right"] += trunk.phone == phone
                counts["phones wrong"] += trunk.phone not in ("", phone)
    return counts


def is_right(page: Page, shape: Shape) -> bool:
    """Whether a page has a shape's rows: ids, four flags, count."""
    varying = [FLAG_POSITIONS.index(at) for at in VARYING]
    rows = [(row.ref, *(bool(row.values[at]) for at in varying)) for row in page.records]
    return rows == shape.rows


def lines(file: Path) -> Iterator[Any]:
    """Read the documents of a corpus's file."""
    with gzip.open(file, "rt", encoding="utf-8") as opened:
        yield from map(json.loads, opened)


def _classes(
    corpus: str, folder: Path
) -> Iterator[tuple[int, tuple[Callable[[], Classes], tuple[str, ...]]]]:
    """By number, what reads the classes, and the styles that they fit."""
    scripts = folder / f"{corpus}_scripts.jsonl.gz"
    if scripts.exists():
        for line in lines(scripts):
            fits = ["answer_dq" if "_dq" in name else "answer" for name in line["answers"]]
            texts = [line["script"], *line["fragments"].values()]
            yield line["number"], (partial(_read, texts), tuple(fits))
    else:
        for line in lines(SHAPES / f"{corpus}_classes.jsonl.gz"):
            yield line["number"], (partial(_named, line["classes"]), tuple(line["fits"]))


def _read(texts: list[str]) -> Classes:
    return read_script(*texts).classes


def _named(kinds: Mapping[str, list[Any]]) -> Classes:
    return {signature: tuple(map(_field, names)) for signature, names in kinds.items()}


def _field(name: Any) -> Field:
    if isinstance(name, dict):
        return Repeat(tuple(map(_field, name["repeat"])))
    named: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
    return named.get(name, Kind.NUMBER)
