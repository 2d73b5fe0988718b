"""``/_demo/``: the truth about the simulated cabinet, and ways to change it by hand.

====== ========================== =============================================================
method path                       does
====== ========================== =============================================================
GET    /_demo/trunks              shows every trunk of every account (``?account=NAME`` of one)
GET    /_demo/stats               shows counts
POST   /_demo/trunks              adds a trunk: ``{"account": "demo"}``
POST   /_demo/trunks/PHONE        changes a trunk: ``{"active": false}``; also ``bound``,
                                  ``marked_for_deletion``, ``sip_device_enabled``, ``name``
DELETE /_demo/trunks/PHONE        takes a trunk from the list
POST   /_demo/redeploy            changes permutations, hashes and signatures
POST   /_demo/end-sessions        ends all sessions: ``{}`` or ``{"account": "demo"}``
POST   /_demo/password            ``{"account": "demo", "password": "…"}``; sessions end, too
POST   /_demo/pace                ``{"seconds": 0}`` stops what changes by itself
====== ========================== =============================================================

Everything answers JSON; what can't be done answers ``{"error": "…"}`` with status 400 or 404.
Nobody has to sign in: the server listens on the loopback interface unless told otherwise. SIP
logins and passwords are never shown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.demo import http
from vats_exporter.demo.enterprise import NoDeviceError, UnknownTrunkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.demo.accounts import Account
    from vats_exporter.demo.cabinet import SimulatedCabinet
    from vats_exporter.demo.http import Answer, HttpRequest
    from vats_exporter.demo.model import SimulatedTrunk

PREFIX: Final = "/_demo/"

_FLAGS: Final = {"active": "active", "bound": "bound", "marked_for_deletion": "marked"}
_CHANGES: Final = {**dict.fromkeys(_FLAGS, bool), "sip_device_enabled": bool, "name": str}


class _BadRequestError(Exception):
    """What was asked for makes no sense."""


def truth(account: Account, trunk: SimulatedTrunk) -> dict[str, Any]:
    """Return what a client should find out about a trunk, and when it last changed."""
    device = trunk.device
    return {
        "account": account.name,
        "ref": trunk.ref,
        "id": trunk.id,
        "phone": trunk.phone,
        "name": trunk.name,
        "active": trunk.state.active,
        "bound": trunk.state.bound,
        "marked_for_deletion": trunk.state.marked,
        "pattern": trunk.state.pattern,
        "line": device.line if device else None,
        "sip_device_enabled": device.enabled if device else None,
        "changed_at": trunk.changed_at,
    }


def answer(cabinet: SimulatedCabinet, request: HttpRequest) -> Answer:
    """Answer a request for something under :data:`PREFIX`."""
    name, _, key = request.path.removeprefix(PREFIX).partition("/")
    try:
        if request.method == "GET" and not key:
            return http.as_json(_show(cabinet, name, request))
        if request.method == "DELETE" and name == "trunks" and key:
            return http.as_json(_remove(cabinet, key))
        if request.method == "POST":
            return http.as_json(_do(cabinet, name, key, _parse(request.body)))
    except _BadRequestError as error:
        return http.as_json({"error": str(error)}, status=400)
    except LookupError as error:
        return http.as_json({"error": str(error.args[0])}, status=404)
    return http.as_json({"error": "no such thing to do"}, status=404)


def _show(cabinet: SimulatedCabinet, name: str, request: HttpRequest) -> dict[str, Any]:
    if name == "trunks":
        return {"trunks": cabinet.trunks(request.query("account")), "at": cabinet.clock()}
    if name == "stats":
        return cabinet.stats()
    raise LookupError("no such thing to show")


def _do(cabinet: SimulatedCabinet, name: str, key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    if name == "trunks":
        return _change(cabinet, key, asked) if key else _add(cabinet, asked)
    if key:
        raise LookupError("no such thing to do")
    if name == "redeploy":
        cabinet.redeploy()
        return {"permutations": list(cabinet.deployment.permutations)}
    if name == "end-sessions":
        account = _get(asked, "account", str) if "account" in asked else None
        return {"ended": cabinet.end_sessions(account)}
    if name == "password":
        cabinet.change_password(_get(asked, "account", str), _get(asked, "password", str))
        return {"changed": True}
    if name == "pace":
        return _set_pace(cabinet, _get(asked, "seconds", (int, float)))
    raise LookupError("no such thing to do")


def _add(cabinet: SimulatedCabinet, asked: Mapping[str, Any]) -> dict[str, Any]:
    account = cabinet.account(_get(asked, "account", str))
    try:
        return truth(account, account.enterprise.add())
    except ValueError as error:
        raise _BadRequestError(str(error)) from None


def _set_pace(cabinet: SimulatedCabinet, seconds: float) -> dict[str, Any]:
    try:
        for account in cabinet.accounts:
            account.enterprise.pace = seconds
    except ValueError as error:
        raise _BadRequestError(str(error)) from None
    return {"seconds": seconds}


def _remove(cabinet: SimulatedCabinet, key: str) -> dict[str, Any]:
    account = _owner(cabinet, key)
    return truth(account, account.enterprise.remove(key))


def _change(cabinet: SimulatedCabinet, key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    for name in asked:
        if name not in _CHANGES:
            raise _BadRequestError(f"{name}: can't be changed, only {', '.join(_CHANGES)}")
    given = {name: _get(asked, name, _CHANGES[name]) for name in asked}
    account = _owner(cabinet, key)
    enterprise = account.enterprise
    if "sip_device_enabled" in given:
        try:
            enterprise.set_enabled(key, enabled=given["sip_device_enabled"])
        except NoDeviceError as error:
            raise _BadRequestError(str(error)) from None
    if "name" in given:
        enterprise.rename(key, given["name"])
    flags = {flag: given[name] for name, flag in _FLAGS.items() if name in given}
    return truth(account, enterprise.change(key, **flags))


def _owner(cabinet: SimulatedCabinet, key: str) -> Account:
    for account in cabinet.accounts:
        try:
            account.enterprise.find(key)
        except UnknownTrunkError:
            continue
        return account
    raise LookupError(f"no trunk {key}")


def _parse(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise _BadRequestError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise _BadRequestError("the body is not a JSON object")
    return value


def _get(asked: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = asked.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _BadRequestError(f"{name}: missing, or of the wrong type")
    return value
