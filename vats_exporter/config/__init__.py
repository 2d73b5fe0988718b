"""The configuration: ``vats-exporter.yml`` → validated settings.

Knows the file and what its keys mean. It does not know what the settings are used for, writes no
log and asks no cabinet.
"""
