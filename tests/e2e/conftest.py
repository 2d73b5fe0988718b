"""How the tests are spread over processes: those that share a stack are in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from xdist.remote import Producer  # type: ignore[import-untyped]

SHARING = ("tests/e2e/test_dashboard.py",)
"""Files with one stack for all of their tests."""


class ByStack(LoadScopeScheduling):  # type: ignore[misc]  # of an untyped package
    """Gives a process all tests of a stack; xdist_group does so no more since pytest 9."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in SHARING else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByStack:
    return ByStack(config, log)
