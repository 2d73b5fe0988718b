"""The configuration: ``vats-exporter.yml`` → validated settings.

Knows the file and what its keys mean. It does not know what the settings are used for, writes no
log and asks no cabinet.
"""

from vats_exporter.config.loading import load
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.config.settings import (
    Account,
    Cache,
    Config,
    Details,
    History,
    Log,
    LogFormat,
    LogLevel,
)

__all__ = [
    "Account",
    "Cache",
    "Config",
    "ConfigError",
    "Details",
    "History",
    "Log",
    "LogFormat",
    "LogLevel",
    "Problem",
    "load",
]
