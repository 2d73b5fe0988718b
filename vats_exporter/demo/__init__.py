"""A simulated cabinet: a real HTTP server that speaks the cabinet's wire format.

For the demo, and for tests: it signs in, redirects, serves the scripts that discovery reads and
answers GWT-RPC with the bytes that Google's server code would write, refusing what that code
refuses. It knows what it shows, so it can tell the truth to compare with (``/_demo/trunks``), and
it can be made to misbehave. Everything in it is invented.

It uses :mod:`vats_exporter.gwt` for the wire format and nothing else of the project.
"""

from vats_exporter.demo.cabinet import SimulatedCabinet as SimulatedCabinet
from vats_exporter.demo.deployment import Deployment as Deployment
from vats_exporter.demo.enterprise import Account as Account
from vats_exporter.demo.enterprise import Enterprise as Enterprise
from vats_exporter.demo.enterprise import Population as Population
from vats_exporter.demo.enterprise import SimulatedDevice as SimulatedDevice
from vats_exporter.demo.enterprise import SimulatedTrunk as SimulatedTrunk
from vats_exporter.demo.enterprise import State as State
from vats_exporter.demo.enterprise import make_accounts as make_accounts
from vats_exporter.demo.http import Answer as Answer
from vats_exporter.demo.http import Fault as Fault
from vats_exporter.demo.http import Incoming as Incoming
