"""What a deployment of the cabinet calls things: found in the scripts a browser loads.

The minified names in them change with every build, so only structure is matched: 32 hexadecimal
digits, a service's path beside its hash, a class beside its number. [observed] A ``.cache.js``
wraps its code in a string of its own, so the quotes in it may be escaped. Every expression is
linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.contract import LIST, MODULE_PATH, NOCACHE_PATH, OBSERVED_SIGNATURES
from vats_exporter.cabinet.errors import (
    CabinetError,
    NotACabinetError,
    SessionEndedError,
    UndecodableError,
)
from vats_exporter.cabinet.session import check_status, is_login_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.cabinet.contract import Service
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.transport import Transport

_MOST_READ: Final = 2
"""Permutations of one deployment whose scripts are read: all hold the same services. [gwt]"""

_MOST_TRIED: Final = 5
"""Permutations that are asked for: not all of them need have stayed."""

_QUOTE: Final = r"\\?['\"]"
_STRONG_NAME: Final = re.compile(
    # With or without the number of a soft permutation, which is decided in the browser. [gwt]
    rf"{_QUOTE}([0-9A-F]{{32}})(?::\d{{1,9}})?{_QUOTE}",
    re.ASCII,
)
_POLICY: Final = re.compile(
    # 'AbonentBrowserGwtService','3D7E…', or the same with a minifier's name before the hash.
    rf"{_QUOTE}(\w{{0,120}}Service){_QUOTE}\s{{0,8}},\s{{0,8}}(?:[\w$]{{1,16}}\s{{0,8}}=\s{{0,8}})?"
    rf"{_QUOTE}([0-9A-F]{{32}}){_QUOTE}",
    re.ASCII,
)
_SIGNATURE: Final = re.compile(
    rf"{_QUOTE}(\[{{0,8}}[A-Za-z_$][\w$.]{{0,255}};?)/(\d{{1,10}}){_QUOTE}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one deployment of the cabinet calls things.

    Attributes:
        module_base: the address of the GWT module, ``https://vpbx.mts.ru/vpbxGwt/``.
        permutation: strong name of one of its permutations; any works for RPC. [gwt]
        policies: serialization policy hash by service path.
        signatures: type signature by class name.
    """

    module_base: str
    permutation: str
    policies: Mapping[str, str] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)

    def strings(self, service: Service, method: str) -> tuple[str, ...]:
        """The strings a request to a service begins with.

        Args:
            service: the service.
            method: the method's name.

        Raises:
            UndecodableError: the script did not tell the service's policy hash.
        """
        if service.path not in self.policies:
            raise missing_policy(self.permutation, service)
        return (
            self.module_base,
            self.policies[service.path],
            service.interface,
            method,
            *(self.signatures.get(name, OBSERVED_SIGNATURES[name]) for name in service.classes),
        )


def missing_policy(permutation: str, service: Service) -> UndecodableError:
    """Make the error for a service whose policy hash is not in a permutation's script.

    Args:
        permutation: its strong name.
        service: the service.
    """
    return UndecodableError(
        f"permutation {permutation}: no policy hash of {service.path} in its script; "
        f"services.{service.path} sets it by hand"
    )


def find_permutations(script: str) -> tuple[str, ...]:
    """Read the strong names in a selection script, ``vpbxGwt.nocache.js``.

    Args:
        script: its text.

    Returns:
        the strong names in the order they stand, each once.

    Raises:
        UndecodableError: there is none.
    """
    names = tuple(dict.fromkeys(_STRONG_NAME.findall(script)))
    if not names:
        raise UndecodableError(
            f"{MODULE_PATH}vpbxGwt.nocache.js: no strong name of a permutation (32 hexadecimal "
            "digits) in it; permutation sets it by hand"
        )
    return names


def find_policies(script: str) -> dict[str, str]:
    """Read the policy hashes in a permutation's script, ``….cache.js``.

    Args:
        script: its text.

    Returns:
        the hash by service path; the last where a path stands twice. Empty if there is none.
    """
    return dict(_POLICY.findall(script))


def find_signatures(script: str) -> dict[str, str]:
    """Read the type signatures in a permutation's script.

    Args:
        script: its text.

    Returns:
        the signature by class name; the last where a class stands twice. Empty if there is none.
    """
    return {name: f"{name}/{number}" for name, number in _SIGNATURE.findall(script)}


def discover(transport: Transport, settings: CabinetSettings) -> Discovery:
    """Read the scripts; what is configured wins over what is found.

    Raises:
        SessionEndedError: the login page came.
        UndecodableError: the scripts do not name what is needed.
        CabinetError: they cannot be read.
    """
    if settings.permutation:
        names: tuple[str, ...] = (settings.permutation,)
    else:
        script = _script(transport, "nocache", NOCACHE_PATH)
        names = find_permutations(script)[:_MOST_TRIED]
    policies: dict[str, str] = {}
    signatures: dict[str, str] = {}
    chosen = names[0]
    missing: CabinetError | None = None
    read = 0
    for name in names:
        try:
            script = _script(transport, "permutation", f"{MODULE_PATH}{name}.cache.js")
        except NotACabinetError as error:
            missing = missing or error
            continue
        read += 1
        chosen, policies, signatures = name, find_policies(script), find_signatures(script)
        if LIST.path in {**policies, **settings.services} or read == _MOST_READ:
            break
    policies.update(settings.services)
    if LIST.path not in policies:
        raise missing if missing and not policies else missing_policy(chosen, LIST)
    return Discovery(
        transport.base_url + MODULE_PATH, chosen, policies, {**signatures, **settings.signatures}
    )


def _script(transport: Transport, call: str, path: str) -> str:
    answer = transport.get(call, path, follow=False)
    if answer.status == 404:
        raise NotACabinetError(f"{call}: {path} is not there (HTTP 404)")
    check_status(call, answer, where=f"{call}: {path}")
    if is_login_page(answer) and answer.text.lstrip("\ufeff \t\r\n")[:1] == "<":
        raise SessionEndedError(f"{call}: the login page")
    return answer.text
