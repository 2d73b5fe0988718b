"""GWT-RPC's wire format: longs, answers, requests. Pure functions of bytes and text.

No sockets, no clock, no logging, and nothing of any one server's classes. Whatever comes in, a
value comes out or a :class:`GwtError` is raised.
"""

from vats_exporter.gwt.errors import (
    GwtError,
    LongError,
    MalformedError,
    NotGwtError,
    RequestError,
    TooLargeError,
    UnsupportedVersionError,
)
from vats_exporter.gwt.longs import decode_long, encode_long
from vats_exporter.gwt.request import Request, build_request, parse_request
from vats_exporter.gwt.response import DEFAULT_LIMIT, Response, Status, decode
from vats_exporter.gwt.scanner import Token

__all__ = [
    "DEFAULT_LIMIT",
    "GwtError",
    "LongError",
    "MalformedError",
    "NotGwtError",
    "Request",
    "RequestError",
    "Response",
    "Status",
    "Token",
    "TooLargeError",
    "UnsupportedVersionError",
    "build_request",
    "decode",
    "decode_long",
    "encode_long",
    "parse_request",
]
