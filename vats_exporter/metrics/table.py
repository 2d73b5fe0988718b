"""Every metric of the exporter's: the one place where their names stand.

The reference in the documentation, the dashboard and the rules are tested against this table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from vats_exporter.trunks import FLAGS

MetricType = Literal["gauge", "counter", "histogram"]
Scope = Literal["trunk", "account", "probe", "exporter"]


class Metric(NamedTuple):
    """A metric, one per trunk, account, probe, or in all; a histogram has ``le`` besides."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]
    scope: Scope


_metrics: list[Metric] = []


def _adder(scope: Scope, *own: str) -> Callable[..., Metric]:
    """Return what adds metrics of this scope, with its own labels before any others."""

    def add(name: str, text: str, *labels: str, kind: MetricType | None = None) -> Metric:
        usual: MetricType = "counter" if name.endswith("_total") else "gauge"
        _metrics.append(Metric(name, kind or usual, text, (*own, *labels), scope))
        return _metrics[-1]

    return add


_trunk = _adder("trunk", "account", "trunk", "phone")
_account = _adder("account", "account")
_probe = _adder("probe")
_exporter = _adder("exporter")

TRUNK_FLAGS: Final = {flag: _trunk(flag.metric, flag.help.en) for flag in FLAGS}
TRUNK_EXPECTED_OFF: Final = _trunk(
    "vats_trunk_expected_off", "Always 1; the configuration says that the trunk is off on purpose."
)
TRUNK_INFO: Final = _trunk(
    "vats_trunk_info",
    "Always 1; the labels hold the trunk's name and its SIP line.",
    "name",
    "line",
)
TRUNK_FLAG_CHANGES: Final = _trunk(
    "vats_trunk_flag_changes_total", "Changes of the trunk's flag that were observed.", "flag"
)
TRUNK_FLAG_CHANGED_TIMESTAMP: Final = _trunk(
    "vats_trunk_flag_changed_timestamp_seconds",
    "When the trunk's flag last changed, in seconds since the epoch; absent if it never did.",
    "flag",
)
UP: Final = _account("vats_up", "Whether the account's latest refresh worked.")
TRUNKS: Final = _account("vats_trunks", "Trunks in the snapshot that is served.")
TRUNK_PATTERNS: Final = _account(
    "vats_trunk_patterns",
    "Trunks by the pattern of their row; known is false for an unknown pattern.",
    "pattern",
    "known",
)
REFRESH_TIMESTAMP: Final = _account(
    "vats_refresh_timestamp_seconds",
    "When the snapshot that is served was taken, in seconds since the epoch.",
)
REFRESH_DURATION: Final = _account(
    "vats_refresh_duration_seconds", "How long the account's latest refresh took."
)
REFRESHES: Final = _account("vats_refreshes_total", "Refreshes by result.", "result")
LOGINS: Final = _account("vats_logins_total", "Sign-ins into the cabinet by result.", "result")
REQUESTS: Final = _account(
    "vats_requests_total",
    "HTTP calls to the cabinet by status, or by result where there was no response.",
    "call",
    "status",
)
REQUEST_DURATION: Final = _account(
    "vats_request_duration_seconds",
    "How long HTTP calls to the cabinet took.",
    "call",
    kind="histogram",
)
ANSWERS: Final = _account(
    "vats_answers_total",
    "Pages of the list that were read: by the classes of the cabinet's script, or by the block of "
    "each row alone.",
    "read_by",
)
REDEPLOYMENTS: Final = _account(
    "vats_redeployments_total", "Changes of the permutation that the cabinet serves."
)
LOGIN_RETRY_TIMESTAMP: Final = _account(
    "vats_login_retry_timestamp_seconds",
    "When a refused login is tried again, in seconds since the epoch; absent otherwise.",
)
DETAILS: Final = _account(
    "vats_details_total",
    "Trunks whose details were requested, by result; only with details.",
    "result",
)
DETAILS_TIMESTAMP: Final = _account(
    "vats_details_timestamp_seconds",
    "When the oldest details that are served were read, in seconds since the epoch; only with "
    "details.",
)
PROBE_SUCCESS: Final = _probe(
    "vats_probe_success",
    "Whether the latest refresh of the probed account worked, and ended in time for the probe.",
)
PROBE_DURATION: Final = _probe("vats_probe_duration_seconds", "How long the probe took.")
CONFIG_RELOAD_SUCCESSFUL: Final = _exporter(
    "vats_config_last_reload_successful",
    "Whether the latest attempt to load the configuration worked.",
)
CONFIG_RELOAD_TIMESTAMP: Final = _exporter(
    "vats_config_last_reload_success_timestamp_seconds",
    "When the configuration in use was loaded, in seconds since the epoch.",
)
HISTORY_UP: Final = _exporter(
    "vats_history_up",
    "Whether the history's file can be used; 1 without one, since nothing is missing then.",
)
HISTORY_ERRORS: Final = _exporter(
    "vats_history_errors_total", "How often the history's file could not be read or written."
)
LOG_DROPPED: Final = _exporter(
    "vats_log_dropped_total", "How many lines of the log were dropped because it was not read."
)
BUILD_INFO: Final = _exporter(
    "vats_exporter_build_info",
    "Always 1; the labels hold the versions of the exporter and of Python.",
    "version",
    "python",
)

METRICS: Final = tuple(_metrics)
"""Every metric of the exporter's, in the order of the page."""
