"""Every target of `make fuzz`, bounded: its seeds, and its seeds with some bytes changed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_end_as_documented(target: str) -> None:
    known = list(seeds(target))
    assert known
    for seed in known:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
def test_changed_seeds_end_as_documented(target: str) -> None:
    known = [seed for seed in seeds(target) if len(seed) < 5000]

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(st.data())
    def change(data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(known))
        start = data.draw(st.integers(0, len(seed)))
        end = data.draw(st.integers(start, min(len(seed), start + 20)))
        TARGETS[target](seed[:start] + data.draw(st.binary(max_size=20)) + seed[end:])

    change()
