"""What changed about the trunks and when: counted in memory, kept in a SQLite file.

Memory is the truth while the process runs; the file is what survives it. Knows
:mod:`vats_exporter.trunks`, SQLite and a clock; nothing of Prometheus, nothing of the cabinet.
"""
