"""One account's cabinet: session, discovery, the list, devices. Knows no Prometheus.

:class:`~vats_exporter.cabinet.client.CabinetClient` is the way in; programs use
:class:`vats_exporter.Cabinet`, which stands on it. What can go wrong is in
:mod:`~vats_exporter.cabinet.errors`, and the one hook that sees what it does in
:mod:`~vats_exporter.cabinet.transport`.
"""
