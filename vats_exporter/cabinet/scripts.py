"""Discovery over HTTP: which of a deployment's scripts are read, and until what is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet import contract
from vats_exporter.cabinet.discovery import (
    Deployment,
    find_permutations,
    find_policies,
    find_signatures,
    missing_policy,
)
from vats_exporter.cabinet.errors import CabinetError, NotACabinetError
from vats_exporter.cabinet.rpc import SESSION_ENDED, refusal, session_ended
from vats_exporter.cabinet.session import http_error, is_login_page

if TYPE_CHECKING:
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.transport import Transport

_MOST_PERMUTATIONS: Final = 32
"""Permutations of one deployment whose scripts are asked for; the first one mostly does."""


def discover(transport: Transport, settings: CabinetSettings) -> Deployment:
    """Read the scripts; what is configured wins over what is found.

    Args:
        transport: signed in.
        settings: what is set by hand.

    Raises:
        SessionEndedError: the login page came.
        UndecodableError: the scripts do not name what is needed.
        CabinetError: they cannot be read.
    """
    module_base = transport.base_url + contract.MODULE_PATH
    if settings.permutation:
        names: tuple[str, ...] = (settings.permutation,)
    else:
        script = _script(transport, "nocache", contract.NOCACHE_PATH)
        names = find_permutations(script)[:_MOST_PERMUTATIONS]
    policies: dict[str, str] = {}
    signatures: dict[str, str] = {}
    chosen = names[0]
    missing: CabinetError | None = None
    for name in names:
        path = f"{contract.MODULE_PATH}{name}.cache.js"
        try:
            script = _script(transport, "permutation", path)
        except NotACabinetError as error:
            # Not all permutations of a deployment need have stayed; any of them works. [gwt]
            missing = missing or error
            continue
        chosen, policies, signatures = name, find_policies(script), find_signatures(script)
        if contract.LIST.path in {**policies, **settings.services}:
            break
    policies.update(settings.services)
    if contract.LIST.path not in policies:
        raise missing if missing and not policies else missing_policy(chosen, contract.LIST)
    return Deployment(
        module_base,
        chosen,
        policies,
        {**signatures, **settings.signatures},
    )


def _script(transport: Transport, call: str, path: str) -> str:
    answer = transport.get(call, path, follow=False)
    if answer.status in SESSION_ENDED:
        session_ended(call, refusal(answer.status))
    if answer.status == 404:
        raise NotACabinetError(f"{call}: {path} is not there (HTTP 404)")
    if answer.status != 200:
        raise http_error(f"{call}: {path}", answer)
    if is_login_page(answer) and answer.text.lstrip("\ufeff \t\r\n")[:1] == "<":
        session_ended(call)
    return answer.text
