"""What one deployment of the cabinet's application is: its names, its classes, its habits.

A redeployment changes the permutations' strong names, the hashes of the services' policies and the
signatures of the application's own classes; the signatures of Java's classes come with GWT and
stay. All of them are drawn from a seed, so that no client can know them beforehand. [observed]
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vats_exporter.demo import classes
from vats_exporter.demo.classes import Reading, RowLayout
from vats_exporter.gwt import GWT_2_7, Style
from vats_exporter.gwt.fields import ClassFields, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of the application; see :meth:`make`.

    Attributes:
        permutations: strong names, 32 hexadecimal digits each.
        policies: hash of the serialization policy by the service's path.
        signatures: the number after the name, by class.
        shared_booleans: the server has one ``Boolean.TRUE`` and writes later ones as references.
        null_devices: form 31 shows a trunk without a device as a record whose device is null
            [observed], rather than as an empty list, which the captures have.
        style: the release of Google's code that it writes like.
        layout: the columns of a row.
        other_lists: how many lists of other objects stand in an answer before the trunks.
        interned: the script holds its strings in variables rather than where they are used.
        list_fragment: the number of the deferred fragment that alone has the list's service and
            classes; 0 where the permutation has them.
        fragments: how many deferred fragments there are.
    """

    permutations: tuple[str, ...]
    policies: Mapping[str, str]
    signatures: Mapping[str, int]
    shared_booleans: bool = False
    null_devices: bool = False
    style: Style = GWT_2_7
    layout: RowLayout = field(default_factory=RowLayout)
    other_lists: int = 0
    interned: bool = False
    list_fragment: int = 0
    fragments: int = 0

    @classmethod
    def make(cls, *, seed: int | str = 0, permutations: int = 5) -> Deployment:
        """Draw a deployment's names; its habits are the usual ones, see ``dataclasses.replace``."""
        draw = random.Random(f"deployment {seed}")  # noqa: S311 - public names, no secrets
        return cls(
            permutations=tuple(f"{draw.getrandbits(128):032X}" for _ in range(permutations)),
            policies={path: f"{draw.getrandbits(128):032X}" for path in classes.SERVICES},
            signatures=classes.LASTING_SIGNATURES
            | {name: draw.randrange(10**8, 1 << 32) for name in classes.APPLICATION_CLASSES},
        )

    def redeployed(self, seed: int | str) -> Deployment:
        """Draw names, the layout of a row, and what the script looks like anew.

        The list's service may stand in a deferred fragment then, and strings in variables; the
        server's habits stay. The same seed draws the same.
        """
        draw = random.Random(f"redeployment {seed}")  # noqa: S311 - no secrets
        new = Deployment.make(seed=seed, permutations=len(self.permutations))
        fragments = draw.randrange(4)
        columns = [*self.layout.before, *self.layout.after]
        draw.shuffle(columns)
        cut = draw.randrange(1, len(columns))
        kind: Reading = draw.choice(("a", "b", "c", "d"))
        return replace(
            self,
            permutations=new.permutations,
            policies=new.policies,
            signatures=new.signatures,
            layout=RowLayout(tuple(columns[:cut]), tuple(columns[cut:]), kind),
            interned=draw.random() < 0.5,
            fragments=fragments,
            list_fragment=draw.randrange(fragments + 1),
        )

    def signature(self, name: str) -> str:
        """Return a class's name and number as the wire has it, ``java.lang.Long/4227064769``."""
        return f"{name}/{self.signatures[name]}"

    def class_fields(self) -> dict[str, ClassFields]:
        """Return what the client reads of each class, by its name."""
        response = (Kind.OBJECT,) * (2 + self.other_lists)
        request = tuple(classes.REQUEST_FIELDS.values())
        fields = {
            **classes.FIELDS,
            classes.LIST_RECORD: self.layout.fields(),
            classes.LIST_RESPONSE: ClassFields((), (*response, Kind.NUMBER), len(response) + 1),
            classes.LIST_REQUEST: ClassFields((), request, len(request)),
        }
        return {name: fields[name] for name in self.signatures}
