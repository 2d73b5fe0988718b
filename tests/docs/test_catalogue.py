"""The Russian catalogue says all that the command line says, with the same parts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from babel.messages.pofile import read_po

import vats_exporter
from docs import build_catalogue
from docs.build_catalogue import MO, PO

PACKAGE = Path(vats_exporter.__file__).parent
SAYING = ("_", "tell", "complain", "fail", "report")
PLACES = {"track": (2,), "failing": (2,), "count": (2, 3), **dict.fromkeys(SAYING, (1,))}
"""Functions that say something, and which of their arguments are messages."""

with PO.open("rb") as opened:
    MESSAGES = [message for message in read_po(opened, locale="ru") if message.id]


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or [""])


def parts(text: str) -> set[str]:
    """Placeholders, options, keys and variables: what is not translated."""
    return set(
        re.findall(r"\{[^}]*\}|%\(\w+\)s|--[a-z]+(?:[.-][a-z]+)*|(?!sign_in)\b[a-z]+_\w+", text)
    )


def test_it_is_what_the_source_gives_compiled() -> None:
    text, compiled = build_catalogue.render(build_catalogue.catalogue())
    assert text.decode() == PO.read_text("utf-8"), "make catalogue"
    assert compiled == MO.read_bytes(), "make catalogue"


def test_every_message_is_translated() -> None:
    missing = [one.id for one in MESSAGES if one.fuzzy or not all(forms(one.string))]
    assert missing == []
    assert {len(forms(one.string)) for one in MESSAGES if one.pluralizable} == {3}


def test_no_sentence_is_kept_that_is_said_nowhere_any_more() -> None:
    assert build_catalogue.unsaid() == []


def test_a_translation_has_the_parts_of_the_message() -> None:
    wrong = []
    for message in MESSAGES:
        one, *_, many = forms(message.id) * 2
        for number, form in enumerate(forms(message.string)):
            allowed = [parts(one), parts(many)] if number == 0 else [parts(many)]
            allowed = [one - {"{number_type}"} for one in allowed]  # click's, and English
            blanks = (form[:1] == " ", form[-1:] == " ") == (many[:1] == " ", many[-1:] == " ")
            if parts(form) not in allowed or not blanks:
                wrong.append((message.id, form))
    assert wrong == []


def called(node: ast.AST) -> str:
    """The name of the function that is called there; empty where none is."""
    function = getattr(node, "func", None)
    return getattr(function, "id", None) or getattr(function, "attr", None) or ""


def test_what_is_said_is_written_where_it_is_said_and_in_the_catalogue() -> None:
    """A message in a variable would not get into the catalogue, nor one within another's parts."""
    known = {form for message in MESSAGES for form in forms(message.id)}
    elsewhere, missing = [], []
    for file in sorted((PACKAGE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            for place in PLACES.get(called(node), ()):
                for one in node.args[place - 1 : place]:
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        missing += [one.value] if one.value not in known | {""} else []
                    # What another of these functions says is looked at in its own call.
                    elif called(one) not in PLACES:
                        elsewhere.append(f"{file.name}:{one.lineno}")
    assert missing == []
    # Help texts, and what output.py and progress hand on.
    allowed = {"__init__.py", "output.py"}
    assert [one for one in elsewhere if one.partition(":")[0] not in allowed] == []
