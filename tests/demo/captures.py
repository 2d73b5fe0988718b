"""The captures as what a simulated cabinet is made of, so that it has to write them again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vats_exporter.demo import Deployment, SimulatedDevice, SimulatedTrunk, State
from vats_exporter.demo.deployment import Reading
from vats_exporter.gwt import GWT_2_7, GWT_2_13, decode_long

WIRE: Final = Path(__file__).parents[1] / "wire"


def truth(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text("utf-8"))
    return loaded


def capture(name: str) -> str:
    return (WIRE / f"{name}.txt").read_text("utf-8")


def captured_deployment(*, dq: bool = False, kind: Reading = "a") -> Deployment:
    """The deployment that the captures were made with; what they leave out is drawn."""
    script = truth("permutation_cache")
    pairs = (signature.split("/") for signature in script["type_signatures"])
    signatures = {name: int(number) for name, number in pairs}
    drawn = Deployment.make()
    return replace(
        drawn,
        permutations=tuple(truth("nocache_five")["permutations"]),
        policies=script["service_policies"],
        signatures={**drawn.signatures, **signatures},
        kind=kind,
        style=GWT_2_13 if dq else GWT_2_7,
    )


def captured_trunks(name: str) -> list[SimulatedTrunk]:
    """The trunks of a captured page: its truth, and what the truth leaves out from its tokens."""
    page = truth(name)
    tokens = page["tokens_wire_order"]
    at = {row["id_b64"]: tokens.index(row["id_b64"]) for row in page["rows"]}
    # Wire order around a reference: balance, note, date, Date, migration, inner number, *here*.
    # A constant that was seen before is a back reference; constants are numbered as they come.
    seen = [tokens[index - 3] for index in at.values() if tokens[index - 2] > 0]
    references = sorted({-tokens[index - 2] for index in at.values() if tokens[index - 2] < 0})
    ordinals = dict(zip(references, seen, strict=False))
    trunks = []
    for row in page["rows"]:
        index = at[row["id_b64"]]
        is_known = tokens[index - 2] < 0
        migration = ordinals[-tokens[index - 2]] if is_known else tokens[index - 3]
        before = index - (4 if is_known else 5)
        off = tokens[index + (8 if tokens[index + 4] < 0 else 9)]
        trunks.append(
            SimulatedTrunk(
                id=row["id"],
                phone=row["phone"],
                name=row["name"],
                department=row["department"],
                inner_number=row["inner_number"],
                state=State(row["active"], row["bound"], row["marked"], bool(off)),
                note=row["note"],
                migration=migration,
                created=decode_long(tokens[before]),
                balance=decode_long(tokens[before - 2]),
            )
        )
    return trunks


def captured_form(name: str) -> SimulatedTrunk:
    """The trunk of a captured form; what forms don't show is left empty."""
    form = truth(name)
    device = form["device"]
    return SimulatedTrunk(
        id=form["abonent_id"],
        phone="79161234650",
        name="",
        department="",
        inner_number="",
        mobile=form["form_ordinal"] == 32 or form["status"] == "EX",
        device=device
        and SimulatedDevice(
            id=device["device_id"],
            enabled=device["enabled"],
            line=device["sip_line"],
            sip_login=device["sip_login"],
            sip_password=device["sip_password_invented"],
        ),
    )
