"""The dashboards' source: what it may not leave out."""

from __future__ import annotations

import pytest

from grafana.source import SourceError, expand, read, translate


def test_a_text_without_russian_is_an_error() -> None:
    with pytest.raises(SourceError, match="'Trunks of today'"):
        translate({"panels": [{"title": "Trunks of today"}]}, {})


@pytest.mark.parametrize("text", ["<<nothing>>", "<<self>>"])
def test_a_piece_that_is_not_there_or_holds_itself_is_an_error(text: str) -> None:
    with pytest.raises(SourceError):
        expand(text, {"self": "1 + <<self>>"})


def test_a_text_is_translated_and_what_is_filled_in_stays() -> None:
    source = {"title": "Trunks", "expr": "up", "targets": [{"legend": "{{account}}"}]}
    assert translate(source, {"Trunks": "Транки"}) == {**source, "title": "Транки"}


def test_pieces_hold_pieces_and_a_query_is_one_line() -> None:
    assert (
        expand("max(<<up>>)\n> 0", {"up": "up{<<job>>}", "job": 'job="a"'})
        == 'max(up{job="a"}) > 0'
    )


def test_every_translation_is_used() -> None:
    words = read("ru.yml")
    used: set[str] = set()

    class Noting(dict[str, str]):
        def __getitem__(self, text: str) -> str:
            used.add(text)
            return super().__getitem__(text)

    for board in ("vats-trunks.yml", "vats-trunk.yml"):
        translate({**read("common.yml"), "board": read(board)}, Noting(words))
    assert set(words) - used == set()
