"""GWT-RPC's wire format: longs, answers, requests. Pure functions of bytes and text.

No sockets, no clock, no logging, and nothing of any one server's classes. Whatever comes in, a
value comes out or a :class:`GwtError` is raised.
"""

from vats_exporter.gwt.errors import (
    GwtError,
    LongError,
    MalformedError,
    NotAnAnswerError,
    ObjectsError,
    RequestError,
)
from vats_exporter.gwt.longs import decode_long, encode_long
from vats_exporter.gwt.objects import (
    SIGNATURE,
    Field,
    Fields,
    GwtObject,
    Kind,
    NotUnderstood,
    ObjectReader,
    ObjectType,
    Repeat,
    letters,
)
from vats_exporter.gwt.request import Request, build_request, parse_request
from vats_exporter.gwt.response import DEFAULT_LIMIT, Response, Status, Token, decode
from vats_exporter.gwt.writer import GWT_2_7, GWT_2_13, ResponseWriter, Style, encode_response

__all__ = [
    "DEFAULT_LIMIT",
    "GWT_2_7",
    "GWT_2_13",
    "SIGNATURE",
    "Field",
    "Fields",
    "GwtError",
    "GwtObject",
    "Kind",
    "LongError",
    "MalformedError",
    "NotAnAnswerError",
    "NotUnderstood",
    "ObjectReader",
    "ObjectType",
    "ObjectsError",
    "Repeat",
    "Request",
    "RequestError",
    "Response",
    "ResponseWriter",
    "Status",
    "Style",
    "Token",
    "build_request",
    "decode",
    "decode_long",
    "encode_long",
    "encode_response",
    "letters",
    "parse_request",
]
