"""Every error has a word of the closed list."""

from __future__ import annotations

from vats_exporter.cabinet import errors
from vats_exporter.cabinet.errors import (
    CabinetError,
    LoginRefusedError,
    NotGwtError,
    SessionEndedError,
)


def kinds(error: type[CabinetError] = CabinetError) -> list[type[CabinetError]]:
    """The errors below one that the module has."""
    below = [one for one in error.__subclasses__() if one.__module__ == errors.__name__]
    return [*below, *(one for each in below for one in kinds(each))]


def test_every_error_has_a_word_of_the_closed_list_and_every_word_but_one_an_error() -> None:
    assert {"success", *(kind.result for kind in kinds())} == set(errors.RESULTS)


def test_an_ended_session_says_which_call_told_it() -> None:
    error = SessionEndedError("list: the login page")
    assert str(error) == "list: the login page: the session is over"
    assert isinstance(error, NotGwtError)


def test_nothing_speaks_against_asking_again_as_usual_unless_it_is_said() -> None:
    assert LoginRefusedError("no").retry_after == 0.0
