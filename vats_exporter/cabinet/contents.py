"""What follows the name of one of Java's own classes in a stream of GWT-RPC.

All of it is a property of the protocol. [gwt] The content of an enum, and of the application's own
classes, is not known here.
"""

from __future__ import annotations

from typing import Final

LONG: Final = "java.lang.Long"
BOOLEAN: Final = "java.lang.Boolean"

ONE_TOKEN: Final[dict[str, type | tuple[type, ...]]] = {
    LONG: str,
    "java.util.Date": str,
    "java.sql.Date": str,
    "java.sql.Time": str,
    BOOLEAN: int,
    "java.lang.Byte": int,
    "java.lang.Character": int,
    "java.lang.Short": int,
    "java.lang.Integer": int,
    "java.lang.String": int,
    "java.math.BigDecimal": int,
    "java.math.BigInteger": int,
    "java.lang.Float": (int, float),
    "java.lang.Double": (int, float, str),
}
"""Classes whose content is one token, and that token's type. [gwt]"""

TEXTUAL: Final = ("java.lang.String", "java.math.BigDecimal", "java.math.BigInteger")
"""Those whose content is a string's number. [gwt]"""

COLLECTIONS: Final = {
    "java.util.ArrayList": 1,
    "java.util.LinkedList": 1,
    "java.util.Vector": 1,
    "java.util.Stack": 1,
    "java.util.HashSet": 1,
    "java.util.LinkedHashSet": 1,
    "java.util.Arrays$ArrayList": 1,
    "java.util.HashMap": 2,
    "java.util.IdentityHashMap": 2,
}
"""Classes whose content is a length and that many elements, or pairs of them. [gwt]"""


def is_collection(name: str) -> bool:
    """Whether a class's content is a length and that many elements; an array's is, too."""
    return name in COLLECTIONS or name.startswith("[")


def may_be_content(name: str, token: float | str, left: int) -> bool:
    """Whether a token can be the first of a class's content.

    Args:
        name: of the class, without its hash.
        token: the one after it.
        left: how many tokens there are from it to the end.
    """
    if name in ONE_TOKEN:
        if name == BOOLEAN:
            return isinstance(token, int) and token in (0, 1)
        return isinstance(token, ONE_TOKEN[name])
    if is_collection(name):
        return isinstance(token, int) and 0 <= token <= left
    return True
