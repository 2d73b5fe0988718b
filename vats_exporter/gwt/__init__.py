"""GWT-RPC's wire format: longs, answers, requests. Pure functions of bytes and text.

No sockets, no clock, no logging, and nothing of any one server's classes. Whatever comes in, a
value comes out or a :class:`GwtError` is raised.
"""

from vats_exporter.gwt.errors import GwtError as GwtError
from vats_exporter.gwt.errors import LongError as LongError
from vats_exporter.gwt.errors import MalformedError as MalformedError
from vats_exporter.gwt.errors import NotAnAnswerError as NotAnAnswerError
from vats_exporter.gwt.errors import ObjectsError as ObjectsError
from vats_exporter.gwt.errors import RequestError as RequestError
from vats_exporter.gwt.objects import SIGNATURE as SIGNATURE
from vats_exporter.gwt.objects import Field as Field
from vats_exporter.gwt.objects import Fields as Fields
from vats_exporter.gwt.objects import GwtObject as GwtObject
from vats_exporter.gwt.objects import Kind as Kind
from vats_exporter.gwt.objects import NotUnderstood as NotUnderstood
from vats_exporter.gwt.objects import ObjectReader as ObjectReader
from vats_exporter.gwt.objects import ObjectType as ObjectType
from vats_exporter.gwt.objects import Repeat as Repeat
from vats_exporter.gwt.objects import letters_of as letters_of
from vats_exporter.gwt.request import Request as Request
from vats_exporter.gwt.request import build_request as build_request
from vats_exporter.gwt.request import parse_request as parse_request
from vats_exporter.gwt.response import DEFAULT_LIMIT as DEFAULT_LIMIT
from vats_exporter.gwt.response import Response as Response
from vats_exporter.gwt.response import Token as Token
from vats_exporter.gwt.response import decode as decode
from vats_exporter.gwt.response import decode_long as decode_long
from vats_exporter.gwt.response import encode_long as encode_long
from vats_exporter.gwt.writer import GWT_2_7 as GWT_2_7
from vats_exporter.gwt.writer import GWT_2_13 as GWT_2_13
from vats_exporter.gwt.writer import ResponseWriter as ResponseWriter
from vats_exporter.gwt.writer import Style as Style
from vats_exporter.gwt.writer import encode_response as encode_response
