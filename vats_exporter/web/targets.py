"""Accounts as targets of Prometheus' HTTP service discovery, each to be probed on its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_HAS_PORT: Final = re.compile(r".*[^:\]]:[0-9]+|\[.*\]:[0-9]+")
_PORTS: Final = {"http": 80, "https": 443}


def make_targets(accounts: Mapping[str, Mapping[str, str]], base: str) -> list[dict[str, Any]]:
    """Make a target group of each account.

    The labels are such that no relabelling is needed: path, parameter and scheme lead to the
    account's probe, and ``instance``, which tells series of the targets apart, is its name.

    Args:
        accounts: each account's configured labels, which are added, by name.
        base: the URL below which clients find the exporter's pages, without a slash at the end.
    """
    scheme, _, rest = base.partition("://")
    address, slash, path = rest.partition("/")
    if not _HAS_PORT.fullmatch(address):
        address = f"{address}:{_PORTS[scheme]}"
    where = {"__scheme__": scheme, "__metrics_path__": f"{slash}{path}/probe"}
    return [
        {
            "targets": [address],
            "labels": {**where, "__param_account": name, "instance": name, **labels},
        }
        for name, labels in accounts.items()
    ]
