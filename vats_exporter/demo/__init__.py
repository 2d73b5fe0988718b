"""A simulated cabinet: a real HTTP server that speaks the cabinet's wire format.

For the demo, and for tests: it signs in, redirects, serves the scripts that discovery reads and
answers GWT-RPC with the bytes that Google's server code would write, refusing what that code
refuses. It knows what it shows, so it can tell the truth to compare with (``/_demo/trunks``), and
it can be made to misbehave. Everything in it is invented.

It uses :mod:`vats_exporter.gwt` for the wire format and nothing else of the project.
"""

from vats_exporter.demo.cabinet import SimulatedCabinet
from vats_exporter.demo.deployment import Deployment, RowLayout
from vats_exporter.demo.enterprise import Account, Enterprise, make_accounts
from vats_exporter.demo.http import Answer, Fault, Incoming
from vats_exporter.demo.population import Population, SimulatedDevice, SimulatedTrunk, State

__all__ = [
    "Account",
    "Answer",
    "Deployment",
    "Enterprise",
    "Fault",
    "Incoming",
    "Population",
    "RowLayout",
    "SimulatedCabinet",
    "SimulatedDevice",
    "SimulatedTrunk",
    "State",
    "make_accounts",
]
