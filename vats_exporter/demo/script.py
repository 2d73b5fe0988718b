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

from vats_exporter.demo import deployment as names
from vats_exporter.demo.deployment import CLASSES, MODULE, SERVICES, Deployment
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

_READ: Final[Mapping[Field, str]] = {
    Kind.NUMBER: "$int$(a)",
    Kind.BOOLEAN: "$boolean$(a)",
    Kind.LONG: "$long$(a)",
    Kind.STRING: "$text$(a,$int$(a))",
    Kind.OBJECT: "$cast$($object$(a),1)",
}
_WRITE: Final[Mapping[Field, str]] = {Kind.STRING: "$writeString$", Kind.OBJECT: "$writeObject$"}


def scripts(deployment: Deployment) -> dict[str, str]:
    """Write all scripts of a deployment, by their paths within the module."""
    written = {f"{MODULE}.nocache.js": _Compiler(deployment).selection()}
    compiler = _Compiler(deployment)
    release = "2.7.0" if deployment.style.quote == "'" else "2.13.1"
    text = _PERMUTATION.replace("RELEASE", release).replace("CODE", compiler.code())
    for name in deployment.permutations:
        literal = json.dumps(text.replace("PERMUTATION", name), ensure_ascii=False)
        written[f"{name}.cache.js"] = f"{MODULE}.onScriptDownloaded([{literal}]);\n"
    for number in range(1, deployment.fragments + 1):
        text = f"function screen{number}(){{return {number}}}\n"
        if number == deployment.list_fragment:
            text = compiler.code(of_fragment=True)
        literal = json.dumps(text, ensure_ascii=False)
        for name in deployment.permutations:
            path = f"deferredjs/{name}/{number}.cache.js"
            written[path] = f"{MODULE}.runAsyncCallback{number}({literal});\n"
    return written


class _Compiler:
    """Writes code of one deployment, with the same short names for the same things."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        firsts, seconds = list(string.ascii_uppercase), list(string.ascii_letters + "$_")
        draw = random.Random(deployment.policies[names.LIST_SERVICE])  # noqa: S311 - no secrets
        draw.shuffle(firsts)
        draw.shuffle(seconds)
        # The local variables are single small letters, keywords small ones too.
        unused = map("".join, itertools.product(firsts, seconds))
        self._minified: defaultdict[str, str] = defaultdict(unused.__next__)
        self._interned: defaultdict[str, str] = defaultdict(unused.__next__)  # by the string

    def selection(self) -> str:
        """Write the script that chooses a permutation for the browser."""
        first, *others = self._deployment.permutations
        choices = f'n="{first}"'
        if others:
            keys = (f'["{locale}","{browser}"]' for browser in _BROWSERS for locale in _LOCALES)
            pairs = zip(keys, self._deployment.permutations, strict=False)
            choices = "".join(f'g({key},"{permutation}");' for key, permutation in pairs)
            choices += 'n=e[m("locale")][m("user.agent")]'
        text = self._minify(_SELECTION.replace("CHOICES", choices))
        text = _STRING.sub(lambda match: self._interned[match[1]], text)
        declared = ",".join(f"{name}='{value}'" for value, name in self._interned.items())
        return text.replace("DECLARED", declared)

    def code(self, *, of_fragment: bool = False) -> str:
        """Write the permutation's code, or, after that, that of the fragment with the list."""
        deferred = self._deployment.list_fragment > 0
        known = len(self._interned)
        parts = [] if of_fragment else [_RUNTIME]
        parts += [
            self._proxy(path)
            for path in SERVICES
            if (deferred and path == names.LIST_SERVICE) is of_fragment
        ]
        parts += [
            self._class(name, fields)
            for name, fields in self._deployment.class_fields().items()
            if (deferred and CLASSES[name].in_list) is of_fragment
        ]
        new = [*self._interned.items()][known:]
        strings = "".join(f"var {name}='{text}';" for text, name in new)
        return self._minify(f"{strings}\n{''.join(parts)}")

    def _minify(self, text: str) -> str:
        """Replace each name between dollar signs."""
        return _NAME.sub(lambda match: self._minified[match[1]], text)

    def _string(self, text: str) -> str:
        """A string where it is used, or a variable that holds it."""
        return self._interned[text] if self._deployment.interned else f"'{text}'"

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
        if name == names.LIST_REQUEST:
            create, fill, write = "undefined", "undefined", f"$write_{key}$"
            pairs = zip(_PROPERTIES, fields, strict=False)
            statements = [f"{_WRITE[kind]}(a,b.{letter});" for letter, kind in pairs]
            text = f"function {write}(a,b){{{''.join(statements)}}}\n"
        else:
            creating, filling = _reading(name, fields)
            text = f"function {create}(a){{{creating}}}\n"
            if name == names.LIST_RECORD and self._deployment.after:
                own = len(fields) - len(self._deployment.after)
                parent = f"$fill_{key}_parent$"
                text += f"function {parent}(a,b){{{''.join(filling[own:])}}}\n"
                filling[own:] = [f"{parent}(a,b)"]
            text += f"function {fill}(a,b){{{''.join(filling)}}}\n"
        signature = self._string(self._deployment.signature(name))
        return f"{text}$table$[{signature}]=[{create},{fill},{write}];\n"


def _reading(name: str, fields: Fields) -> tuple[str, list[str]]:
    """What makes an object, and what reads its fields after that, one after the other."""
    if constants := CLASSES[name].constants:
        listed = ",".join(map(str, range(constants)))
        return f"var b;b=$int$(a);return [{listed}][b]", []
    if len(fields) == 1:
        return f"return {_READ[fields[0]]}", []
    if name.startswith("["):
        elements = "var c,d;for(c=0,d=b.length;c<d;++c){b[c]=$int$(a)}"
        return "var b;b=$int$(a);return new Array(b)", [elements]
    if isinstance(fields[-1], Repeat):
        elements = "".join(f"d={_READ[kind]};$add$(b,d);" for kind in fields[-1].fields)
        return "return new $List$", [f"var c,d,e;e=$int$(a);for(c=0;c<e;++c){{{elements}}}"]
    pairs = zip(_PROPERTIES, fields, strict=False)
    return "return new $Plain$", [f"b.{letter}={_READ[kind]};" for letter, kind in pairs]
