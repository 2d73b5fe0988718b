"""The scripts: ``vpbxGwt.nocache.js``, ``{permutation}.cache.js`` and its deferred fragments.

What counts in them is real: the first names the permutations [observed]; the deserializers run in a
JavaScript engine and read the cabinet's answers, and the proxies name paths, policies, methods and
parameters as GWT 2.7 compiles them [gwt]. What a browser would show is left out.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import string
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vats_exporter.demo.deployment import (
    CONSTANTS,
    LIST_CLASSES,
    LIST_RECORD,
    LIST_REQUEST,
    LIST_SERVICE,
    MODULE,
    SERVICES,
    VALUES,
    Deployment,
)
from vats_exporter.gwt import Field, Fields, Kind, Repeat

_FOLDER: Final = Path(__file__).parent
_SELECTION: Final = (_FOLDER / "selection.js").read_text("utf-8")
_PERMUTATION: Final = (_FOLDER / "permutation.js").read_text("utf-8")
_RUNTIME: Final = (_FOLDER / "runtime.js").read_text("utf-8")
"""Names between dollar signs are minified, to others in each deployment."""

_BROWSERS: Final = ("safari", "gecko1_8", "ie10", "ie9", "ie8")
_LOCALES: Final = ("default", "ru")
_STRING: Final = re.compile(r'"([^"]*)"')
_NAME: Final = re.compile(r"\$(\w+)\$")
_PROPERTIES: Final = [*string.ascii_lowercase, *(f"a{one}" for one in string.ascii_lowercase)]


def selection_script(deployment: Deployment) -> str:
    """Return ``vpbxGwt.nocache.js``, which chooses a permutation for the browser."""
    names = _Names(deployment)
    keys = [f'["{locale}","{browser}"]' for browser in _BROWSERS for locale in _LOCALES]
    permutations = [f'"{permutation}"' for permutation in deployment.permutations]
    choices = f"n={permutations[0]}"
    if len(permutations) > 1:
        pairs = zip(keys, permutations, strict=False)
        choices = "".join(f"g({key},{permutation});" for key, permutation in pairs)
        choices += 'n=e[m("locale")][m("user.agent")]'
    text = names.minify(_SELECTION.replace("CHOICES", choices))
    text = _STRING.sub(lambda match: names.interned[match[1]], text)
    declared = ",".join(f"{name}='{string}'" for string, name in names.interned.items())
    return text.replace("DECLARED", declared)


def permutation_script(deployment: Deployment, permutation: str) -> str:
    """Return ``{permutation}.cache.js``."""
    release = "2.7.0" if deployment.style.quote == "'" else "2.13.1"
    code = _Compiler(deployment).permutation
    text = _PERMUTATION.replace("RELEASE", release).replace("PERMUTATION", permutation)
    return f"{MODULE}.onScriptDownloaded([{_literal(text.replace('CODE', code))}]);\n"


def fragment_script(deployment: Deployment, number: int) -> str:
    """Return ``deferredjs/{permutation}/{number}.cache.js``; numbers count from 1."""
    text = f"function screen{number}(){{return {number}}}\n"
    if number == deployment.list_fragment:
        text = _Compiler(deployment).fragment
    return f"{MODULE}.runAsyncCallback{number}({_literal(text)});\n"


def _literal(script: str) -> str:
    return json.dumps(script, ensure_ascii=False)


class _Names:
    """The short names of one deployment's scripts: the same ones for the same things.

    Attributes:
        interned: the variables that hold strings, by the string.
    """

    def __init__(self, deployment: Deployment) -> None:
        firsts, seconds = list(string.ascii_uppercase), list(string.ascii_letters + "$_")
        draw = random.Random(deployment.policies[LIST_SERVICE])  # noqa: S311 - names of variables
        draw.shuffle(firsts)
        draw.shuffle(seconds)
        # The local variables are single small letters, keywords small ones too.
        unused = map("".join, itertools.product(firsts, seconds))
        self._minified: defaultdict[str, str] = defaultdict(unused.__next__)
        self.interned: defaultdict[str, str] = defaultdict(unused.__next__)

    def minify(self, text: str) -> str:
        """Replace each name between dollar signs."""
        return _NAME.sub(lambda match: self._minified[match[1]], text)


class _Compiler:
    """Writes the code of one deployment.

    Attributes:
        permutation: the code of the permutation.
        fragment: that of the deferred fragment that the list is in, if it is in one.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._names = _Names(deployment)
        self.permutation = self._compile(in_fragment=False)
        self.fragment = self._compile(in_fragment=True) if deployment.list_fragment else ""

    def _compile(self, *, in_fragment: bool) -> str:
        deferred = self._deployment.list_fragment > 0
        interned = len(self._names.interned)
        parts = [
            self._proxy(path)
            for path in SERVICES
            if (deferred and path == LIST_SERVICE) is in_fragment
        ]
        parts += [
            self._class(name, fields)
            for name, fields in self._deployment.class_fields().items()
            if (deferred and name in LIST_CLASSES) is in_fragment
        ]
        new = [*self._names.interned.items()][interned:]
        strings = "".join(f"var {name}='{text}';" for text, name in new)
        runtime = "" if in_fragment else _RUNTIME
        return self._names.minify(f"{strings}\n{runtime}{''.join(parts)}")

    def _string(self, text: str) -> str:
        """A string where it is used, or a variable that holds it."""
        return self._names.interned[text] if self._deployment.interned else f"'{text}'"

    def _proxy(self, path: str) -> str:
        service = SERVICES[path]
        policy = self._string(self._deployment.policies[path])
        text = (
            f"function ${path}$(){{$Proxy$.call(this,$moduleBase,{self._string(path)},{policy},"
            "$table$)}\n"
        )
        proxy = self._string(f"{path.removesuffix('GwtService')}_Proxy")
        for method, parameters in service.methods.items():
            types = "".join(
                f"$append$(f,$index$(f,{self._string(self._deployment.signature(one))}));"
                for one in parameters
            )
            text += (
                f"function ${path}_{method}$(b,c,d){{var e,f;"
                f"e=new $Call$(b,{proxy},{self._string(method)});"
                f"try{{f=$begin$(e,{self._string(service.interface)},{len(parameters)});{types}"
                "$writeObject$(f,c);$send$(e,d,$object$)}catch(a){a=$wrap$(a);throw a}}\n"
            )
        return text

    def _class(self, name: str, fields: Fields) -> str:
        """A class's handlers, and their entry in the table."""
        key = re.sub(r"\W", "_", name)
        create, fill, write = f"$create_{key}$", f"$fill_{key}$", "undefined"
        if name == LIST_REQUEST:
            create = fill = "undefined"
            write = f"$write_{key}$"
            statements = ";".join(
                f"{_WRITE[kind]}(a,b.{letter})"
                for letter, kind in zip(_PROPERTIES, fields, strict=False)
            )
            text = f"function {write}(a,b){{{statements}}}\n"
        else:
            text = f"function {create}(b){{{_creating(name, fields)}}}\n"
            made = name in VALUES or name.startswith("[")
            own = len(fields) - len(self._deployment.layout.after) * (name == LIST_RECORD)
            inherited = fields[own:]
            statements = _filling(fields[made:own], 0)
            if inherited:
                parent = f"$fill_{key}_parent$"
                text += f"function {parent}(a,b){{{_filling(inherited, own)}}}\n"
                statements += f"{parent}(a,b)"
            text += f"function {fill}(a,b){{{statements}}}\n"
        signature = self._string(self._deployment.signature(name))
        return f"{text}$table$[{signature}]=[{create},{fill},{write}];\n"


_READ: Final[Mapping[Field, str]] = {
    Kind.NUMBER: "$int$({0})",
    Kind.BOOLEAN: "$boolean$({0})",
    Kind.LONG: "$long$({0})",
    Kind.STRING: "$text$({0},$int$({0}))",
    Kind.OBJECT: "$cast$($object$({0}),1)",
}
_WRITE: Final[Mapping[Field, str]] = {Kind.STRING: "$writeString$", Kind.OBJECT: "$writeObject$"}


def _creating(name: str, fields: Fields) -> str:
    """What makes an object: of the value it is, of an array's length, or of nothing."""
    if name in CONSTANTS:
        constants = ",".join(map(str, range(CONSTANTS[name])))
        return f"var a;a=$int$(b);return [{constants}][a]"
    if name.startswith("["):
        return "var a;a=$int$(b);return new Array(a)"
    if name in VALUES:
        return f"return {_READ[fields[0]].format('b')}"
    return "return new $List$" if isinstance(fields[-1], Repeat) else "return new $Plain$"


def _filling(fields: Fields, first: int) -> str:
    """What reads fields one after the other, or a collection's elements.

    ``first`` of the object's properties have names already.
    """
    if fields and isinstance(fields[-1], Repeat):
        if len(fields) == 1:  # an array: its length is known
            return "var c,d;for(c=0,d=b.length;c<d;++c){b[c]=$int$(a)}"
        elements = (f"d={_READ[kind].format('a')};$add$(b,d);" for kind in fields[-1].fields)
        return f"var c,d,e;e=$int$(a);for(c=0;c<e;++c){{{''.join(elements)}}}"
    pairs = zip(_PROPERTIES[first:], fields, strict=False)
    return "".join(f"b.{letter}={_READ[kind].format('a')};" for letter, kind in pairs)
