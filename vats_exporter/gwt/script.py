"""What a compiled GWT permutation tells: classes, services and methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vats_exporter.gwt.fields import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.gwt.fields import ClassFields, Field


@dataclass(frozen=True, slots=True)
class Method:
    """A remote method that the script calls.

    Attributes:
        interface: the service's Java interface.
        name: the method.
        parameters: the types as a request names them: ``java.lang.Long/4227064769``, ``Z``.
    """

    interface: str
    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """What the texts of one permutation tell. Plain data; no parse tree is kept.

    Attributes:
        classes: by type signature; ``None`` where the client never reads the class.
        requests: by type signature, what the client writes of a class, in order.
        policies: the policy hash of each service, by the last part of its path.
        methods: the remote methods that are called.
        signatures: by class name, every type signature that stands in the script.
    """

    classes: Mapping[str, ClassFields | NotUnderstood | None]
    requests: Mapping[str, tuple[Field, ...]]
    policies: Mapping[str, str]
    methods: tuple[Method, ...]
    signatures: Mapping[str, str]

    def merge(self, other: Script) -> Script:
        """Both together; what this one has understood stays."""
        classes = dict(other.classes)
        for signature, fields in self.classes.items():
            if fields is None or isinstance(fields, NotUnderstood):
                classes.setdefault(signature, fields)
            else:
                classes[signature] = fields
        return Script(
            classes=classes,
            requests={**other.requests, **self.requests},
            policies={**other.policies, **self.policies},
            methods=tuple(dict.fromkeys(self.methods + other.methods)),
            signatures={**other.signatures, **self.signatures},
        )
