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
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vats_exporter.demo.deployment import (
    CONSTANTS,
    LIST_CLASSES,
    LIST_RECORD,
    LIST_REQUEST,
    LIST_SERVICE,
    MODULE,
    SERVICES,
    VALUES,
)
from vats_exporter.gwt import Kind, Repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vats_exporter.demo.deployment import Deployment
    from vats_exporter.gwt import Field, Fields

_START: Final = """\
var $wnd = $wnd || window.parent;var __gwtModuleFunction = $wnd.{module};\
var $sendStats = __gwtModuleFunction.__sendStats;$sendStats('moduleStartup', 'moduleEvalStart');\
var $gwt_version = "{release}";var $strongName = '{permutation}';var $gwt = {{}};\
var $doc = $wnd.document;var $moduleName, $moduleBase;
function __gwtStartLoadingFragment(frag) {{var fragFile = 'deferredjs/' + $strongName + '/' + frag \
+ '.cache.js';return __gwtModuleFunction.__startLoadingFragment(fragFile);}}
function gwtOnLoad(b,c,d){{$moduleName=c;$moduleBase=d}}
"""

_FOLDER: Final = Path(__file__).parent
_SELECTION: Final = (_FOLDER / "selection.js").read_text("utf-8")
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
    text = _STRING.sub(lambda match: names.intern(match[1]), text)
    declared = ",".join(f"{name}='{string}'" for string, name in names.interned.items())
    return text.replace("DECLARED", declared)


def permutation_script(deployment: Deployment, permutation: str) -> str:
    """Return ``{permutation}.cache.js``."""
    release = "2.7.0" if deployment.style.quote == "'" else "2.13.1"
    start = _START.format(module=MODULE, release=release, permutation=permutation)
    text = _Compiler(deployment).permutation
    end = "$sendStats('moduleStartup', 'moduleEvalEnd');gwtOnLoad();\n"
    return f"{MODULE}.onScriptDownloaded([{_literal(start + text + end)}]);\n"


def fragment_script(deployment: Deployment, number: int) -> str:
    """Return ``deferredjs/{permutation}/{number}.cache.js``; numbers count from 1."""
    compiler = _Compiler(deployment)
    text = compiler.fragment
    if number != deployment.list_fragment:
        text = compiler.names.minify(f"function $screen{number}$(){{return {number}}}\n")
    return f"{MODULE}.runAsyncCallback{number}({_literal(text)});\n"


def minified_names(deployment: Deployment) -> dict[str, str]:
    """Return what the runtime's functions are called, to run a script: ``prepare``, ``object``."""
    compiler = _Compiler(deployment)
    return {name: compiler.names.minify(f"${name}$") for name in ("prepare", "object")}


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
        self._unused = map("".join, itertools.product(firsts, seconds))
        self._minified: dict[str, str] = {}
        self.interned: dict[str, str] = {}

    def minify(self, text: str) -> str:
        """Replace each name between dollar signs."""
        return _NAME.sub(lambda match: self._short(self._minified, match[1]), text)

    def intern(self, text: str) -> str:
        """Return the variable that holds a string."""
        return self._short(self.interned, text)

    def _short(self, names: dict[str, str], key: str) -> str:
        return names.get(key) or names.setdefault(key, next(self._unused))


class _Compiler:
    """Writes the code of one deployment.

    Attributes:
        permutation: the code of the permutation.
        fragment: that of the deferred fragment that the list is in, if it is in one.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.names = _Names(deployment)
        self.permutation = self._compile(in_fragment=False)
        self.fragment = self._compile(in_fragment=True) if deployment.list_fragment else ""

    def _compile(self, *, in_fragment: bool) -> str:
        deferred = self._deployment.list_fragment > 0
        interned = len(self.names.interned)
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
        new = [*self.names.interned.items()][interned:]
        strings = "".join(f"var {name}='{text}';" for text, name in new)
        runtime = "" if in_fragment else _RUNTIME
        return self.names.minify(f"{strings}\n{runtime}{''.join(parts)}")

    def _string(self, text: str) -> str:
        """A string where it is used, or a variable that holds it."""
        return self.names.intern(text) if self._deployment.interned else f"'{text}'"

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
            text = f"function {write}(a,b){{{_writing(fields)}}}\n"
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


_READ: Final = {
    Kind.NUMBER: "$int$({0})",
    Kind.BOOLEAN: "$boolean$({0})",
    Kind.LONG: "$long$({0})",
    Kind.STRING: "$text$({0},$int$({0}))",
    Kind.OBJECT: "$cast$($object$({0}),1)",
}


def _creating(name: str, fields: Fields) -> str:
    """What makes an object: of the value it is, of an array's length, or of nothing."""
    if name in CONSTANTS:
        constants = ",".join(map(str, range(CONSTANTS[name])))
        return f"var a;a=$int$(b);return [{constants}][a]"
    if name.startswith("["):
        return "var a;a=$int$(b);return new Array(a)"
    if name in VALUES:
        (kind,) = fields
        return f"return {_READ[kind].format('b')}" if isinstance(kind, Kind) else ""
    return "return new $List$" if _is_collection(fields) else "return new $Plain$"


def _is_collection(fields: Sequence[Field]) -> bool:
    return any(isinstance(field, Repeat) for field in fields)


def _filling(fields: Sequence[Field], first: int) -> str:
    """What reads fields one after the other, or a collection's elements.

    ``first`` of the object's properties have names already.
    """
    last = fields[-1] if fields else None
    if isinstance(last, Repeat):
        element = "".join(
            f"d={_READ[kind].format('a')};$add$(b,d);"
            for kind in last.fields
            if isinstance(kind, Kind)
        )
        if len(fields) == 1:  # an array: its length is known
            return "var c,d;for(c=0,d=b.length;c<d;++c){b[c]=$int$(a)}"
        return f"var c,d,e;e=$int$(a);for(c=0;c<e;++c){{{element}}}"
    return "".join(
        f"b.{_PROPERTIES[first + at]}={_READ[kind].format('a')};"
        for at, kind in enumerate(fields)
        if isinstance(kind, Kind)
    )


def _writing(fields: Iterable[Field]) -> str:
    write = {Kind.STRING: "$writeString$", Kind.OBJECT: "$writeObject$"}
    return ";".join(
        f"{write[kind]}(a,b.{letter})"
        for letter, kind in zip(_PROPERTIES, fields, strict=False)
        if isinstance(kind, Kind)
    )
