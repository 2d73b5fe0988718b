"""Deployments of the simulated cabinet, of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vats_exporter.demo import Deployment
from vats_exporter.gwt import GWT_2_13

if TYPE_CHECKING:
    from vats_exporter.demo.deployment import Reading

KINDS: tuple[Reading, ...] = ("a", "b", "c", "d", "e")
DEPLOYMENTS = {
    "as usual": Deployment.make(),
    "with interned strings": replace(Deployment.make(), interned=True),
    "with the list in a fragment": replace(Deployment.make(), fragments=3, list_fragment=2),
    "of GWT 2.13": replace(Deployment.make(), style=GWT_2_13),
    "with other lists": replace(Deployment.make(), other_lists=3),
    "with nested objects, maps and arrays": replace(
        Deployment.make(),
        before=("contact", "codes", "department"),
        after=("options", "note"),
    ),
    **{f"of kind {kind}": replace(Deployment.make(), kind=kind) for kind in KINDS},
    **{f"redeployed, {seed}": Deployment.make().redeployed(seed) for seed in range(8)},
}
