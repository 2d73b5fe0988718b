"""One tree of errors, drawn as it is."""

from __future__ import annotations

import re

from vats_exporter import gwt
from vats_exporter.gwt import errors


def test_the_tree_of_errors_is_drawn_as_it_is_and_all_of_it_is_public() -> None:
    drawn = set(re.findall(r"── (\w+)", errors.__doc__ or ""))
    assert drawn == {error.__name__ for error in errors.GwtError.__subclasses__()}
    assert drawn < vars(gwt).keys()


def test_an_error_of_objects_says_where_and_what_is_missing() -> None:
    error = errors.ObjectsError("no such class", where=7, missing="a.B/1")
    assert (str(error), error.where, error.missing) == ("no such class", 7, "a.B/1")
    assert errors.ObjectsError("no such class").where is None
