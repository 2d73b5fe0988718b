"""Accounts as targets of Prometheus' HTTP service discovery, each to be probed on its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

_HAS_PORT: Final = re.compile(r".*[^:\]]:[0-9]+|\[.*\]:[0-9]+")
_PORTS: Final = {"http": 80, "https": 443}


class Target(TypedDict):
    """A target group as Prometheus reads it, with one target."""

    targets: list[str]
    labels: dict[str, str]


def make_targets(accounts: Mapping[str, Mapping[str, str]], base: str) -> list[Target]:
    """Make a target an account.

    The labels are such that no relabelling is needed: path, parameter and scheme lead to the
    account's probe, and ``instance``, which tells series of the targets apart, is its name. Further
    labels are the configured ones.

    Args:
        accounts: each account's configured labels, by name.
        base: the URL below which clients find the exporter's pages, without a slash at the end.
    """
    scheme, _, rest = base.partition("://")
    address, slash, path = rest.partition("/")
    if not _HAS_PORT.fullmatch(address):
        address = f"{address}:{_PORTS[scheme]}"
    return [
        {
            "targets": [address],
            "labels": {
                "__scheme__": scheme,
                "__metrics_path__": f"{slash}{path}/probe",
                "__param_account": name,
                "instance": name,
                **labels,
            },
        }
        for name, labels in accounts.items()
    ]
