"""One account's cabinet: session, discovery, the list, devices. Knows no Prometheus.

:class:`~vats_exporter.cabinet.client.CabinetClient` is the way in; programs use
:class:`vats_exporter.Cabinet`, which stands on it. What can go wrong is one of
:mod:`vats_exporter.cabinet.errors`; what it does can be watched with one hook,
:mod:`vats_exporter.cabinet.trace`.
"""
