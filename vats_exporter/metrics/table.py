"""Every metric of the exporter's: the one place where their names stand.

The reference in the documentation, the dashboard and the rules are tested against this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from vats_exporter.metrics.exposition import Family, MetricType
from vats_exporter.trunks import FLAGS


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """A metric of the exporter's. Each there is once, and equal to itself alone.

    Attributes:
        name: as Prometheus stores it.
        type: of the metric.
        help: one sentence.
        labels: by name, in the documented order; a histogram has ``le`` besides.
        scope: whether there is one per trunk, per account, per probe or one in all.
    """

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]
    scope: Literal["trunk", "account", "probe", "exporter"]

    @property
    def family(self) -> Family:
        """The same, as the exposition format knows it."""
        return Family(self.name, self.type, self.help)


_TRUNK: Final = ("account", "trunk", "phone")

TRUNK_FLAGS: Final = {
    flag: Metric(flag.metric, "gauge", flag.help.en, _TRUNK, "trunk") for flag in FLAGS
}
TRUNK_EXPECTED_OFF: Final = Metric(
    "vats_trunk_expected_off",
    "gauge",
    "Always 1; the configuration says that the trunk is off on purpose.",
    _TRUNK,
    "trunk",
)
TRUNK_INFO: Final = Metric(
    "vats_trunk_info",
    "gauge",
    "Always 1; the labels hold the trunk's name and its SIP line.",
    (*_TRUNK, "name", "line"),
    "trunk",
)
TRUNK_FLAG_CHANGES: Final = Metric(
    "vats_trunk_flag_changes_total",
    "counter",
    "Changes of the trunk's flag that were observed.",
    (*_TRUNK, "flag"),
    "trunk",
)
TRUNK_FLAG_CHANGED_TIMESTAMP: Final = Metric(
    "vats_trunk_flag_changed_timestamp_seconds",
    "gauge",
    "When the trunk's flag last changed, in seconds since the epoch; absent if it never did.",
    (*_TRUNK, "flag"),
    "trunk",
)
UP: Final = Metric(
    "vats_up",
    "gauge",
    "Whether the account's latest refresh worked.",
    ("account",),
    "account",
)
TRUNKS: Final = Metric(
    "vats_trunks", "gauge", "Trunks in the snapshot that is served.", ("account",), "account"
)
TRUNK_PATTERNS: Final = Metric(
    "vats_trunk_patterns",
    "gauge",
    "Trunks by the pattern of their row; known is false for an unknown pattern.",
    ("account", "pattern", "known"),
    "account",
)
REFRESH_TIMESTAMP: Final = Metric(
    "vats_refresh_timestamp_seconds",
    "gauge",
    "When the snapshot that is served was taken, in seconds since the epoch.",
    ("account",),
    "account",
)
REFRESH_DURATION: Final = Metric(
    "vats_refresh_duration_seconds",
    "gauge",
    "How long the account's latest refresh took.",
    ("account",),
    "account",
)
REFRESHES: Final = Metric(
    "vats_refreshes_total", "counter", "Refreshes by result.", ("account", "result"), "account"
)
LOGINS: Final = Metric(
    "vats_logins_total",
    "counter",
    "Sign-ins into the cabinet by result.",
    ("account", "result"),
    "account",
)
REQUESTS: Final = Metric(
    "vats_requests_total",
    "counter",
    "HTTP calls to the cabinet by status, or by result where there was no response.",
    ("account", "call", "status"),
    "account",
)
REQUEST_DURATION: Final = Metric(
    "vats_request_duration_seconds",
    "histogram",
    "How long HTTP calls to the cabinet took.",
    ("account", "call"),
    "account",
)
REDEPLOYMENTS: Final = Metric(
    "vats_redeployments_total",
    "counter",
    "Changes of the permutation that the cabinet serves.",
    ("account",),
    "account",
)
LOGIN_RETRY_TIMESTAMP: Final = Metric(
    "vats_login_retry_timestamp_seconds",
    "gauge",
    "When a refused login is tried again, in seconds since the epoch; absent otherwise.",
    ("account",),
    "account",
)
DETAILS: Final = Metric(
    "vats_details_total",
    "counter",
    "Trunks whose details were requested, by result; only with details.",
    ("account", "result"),
    "account",
)
DETAILS_TIMESTAMP: Final = Metric(
    "vats_details_timestamp_seconds",
    "gauge",
    "When the oldest details that are served were read, in seconds since the epoch; only with "
    "details.",
    ("account",),
    "account",
)
PROBE_SUCCESS: Final = Metric(
    "vats_probe_success",
    "gauge",
    "Whether the latest refresh of the probed account worked, and ended in time for the probe.",
    (),
    "probe",
)
PROBE_DURATION: Final = Metric(
    "vats_probe_duration_seconds", "gauge", "How long the probe took.", (), "probe"
)
CONFIG_RELOAD_SUCCESSFUL: Final = Metric(
    "vats_config_last_reload_successful",
    "gauge",
    "Whether the latest attempt to load the configuration worked.",
    (),
    "exporter",
)
CONFIG_RELOAD_TIMESTAMP: Final = Metric(
    "vats_config_last_reload_success_timestamp_seconds",
    "gauge",
    "When the configuration in use was loaded, in seconds since the epoch.",
    (),
    "exporter",
)
HISTORY_UP: Final = Metric(
    "vats_history_up",
    "gauge",
    "Whether the history's file can be used; 1 without one, since nothing is missing then.",
    (),
    "exporter",
)
HISTORY_ERRORS: Final = Metric(
    "vats_history_errors_total",
    "counter",
    "How often the history's file could not be read or written.",
    (),
    "exporter",
)
LOG_DROPPED: Final = Metric(
    "vats_log_dropped_total",
    "counter",
    "How many lines of the log were dropped because it was not read.",
    (),
    "exporter",
)
BUILD_INFO: Final = Metric(
    "vats_exporter_build_info",
    "gauge",
    "Always 1; the labels hold the versions of the exporter and of Python.",
    ("version", "python"),
    "exporter",
)

METRICS: Final[tuple[Metric, ...]] = (
    *TRUNK_FLAGS.values(),
    TRUNK_EXPECTED_OFF,
    TRUNK_INFO,
    TRUNK_FLAG_CHANGES,
    TRUNK_FLAG_CHANGED_TIMESTAMP,
    UP,
    TRUNKS,
    TRUNK_PATTERNS,
    REFRESH_TIMESTAMP,
    REFRESH_DURATION,
    REFRESHES,
    LOGINS,
    REQUESTS,
    REQUEST_DURATION,
    REDEPLOYMENTS,
    LOGIN_RETRY_TIMESTAMP,
    DETAILS,
    DETAILS_TIMESTAMP,
    PROBE_SUCCESS,
    PROBE_DURATION,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    HISTORY_UP,
    HISTORY_ERRORS,
    LOG_DROPPED,
    BUILD_INFO,
)
"""Every metric of the exporter's, in the order of the page."""
