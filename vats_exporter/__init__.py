"""Prometheus exporter for the MTS virtual PBX ("ВАТС МТС")."""

__version__ = "0.1.0"
