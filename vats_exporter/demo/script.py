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
from typing import TYPE_CHECKING, Final

from vats_exporter.demo.classes import (
    CONSTANTS,
    LIST_CLASSES,
    LIST_REQUEST,
    LIST_SERVICE,
    MODULE,
    SERVICES,
)
from vats_exporter.gwt.fields import Kind, Repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vats_exporter.demo.deployment import Deployment
    from vats_exporter.gwt.fields import ClassFields, Field

_START: Final = """\
var $wnd = $wnd || window.parent;var __gwtModuleFunction = $wnd.{module};\
var $sendStats = __gwtModuleFunction.__sendStats;$sendStats('moduleStartup', 'moduleEvalStart');\
var $gwt_version = "{release}";var $strongName = '{permutation}';var $gwt = {{}};\
var $doc = $wnd.document;var $moduleName, $moduleBase;
function __gwtStartLoadingFragment(frag) {{var fragFile = 'deferredjs/' + $strongName + '/' + frag \
+ '.cache.js';return __gwtModuleFunction.__startLoadingFragment(fragFile);}}
function gwtOnLoad(b,c,d){{$moduleName=c;$moduleBase=d}}
"""

# Names between dollar signs are minified, to others in each deployment.
_RUNTIME: Final = """\
function $prepare$(b){var a={};a.$tokens$=b;a.$at$=b.length;a.$objects$=[];\
a.$version$=$int$(a);a.$flags$=$int$(a);a.$strings$=a.$tokens$[--a.$at$];return a}
function $int$(a){return a.$tokens$[--a.$at$]}
function $boolean$(a){return !!a.$tokens$[--a.$at$]}
function $text$(b,a){return a>0?b.$strings$[a-1]:null}
function $code$(b,a){return b.charCodeAt(a)}
function $digit$(a){if(a>=65&&a<=90){return a-65}if(a>=97){return a-97+26}\
if(a>=48&&a<=57){return a-48+52}if(a==36){return 62}return 63}
function $parse$(a){var b,c,d;d=0;c=$digit$($code$(a,d++));b=a.length;\
while(d<b){c=c*64+$digit$($code$(a,d++))}return c}
function $long$(b){var a=b.$tokens$[--b.$at$];return $parse$(a)}
function $known$(a,b){return a.$objects$[b]}
function $reserve$(a){a.$objects$[a.$objects$.length]=null;return true}
function $remember$(a,b,c){a.$objects$[b]=c}
function $create$(c,a,b){return c[b][0](a)}
function $fill$(b,c,a,d){b[d][1](c,a)}
function $object$(a){var b,c,d,e;b=$int$(a);if(b<0){return $known$(a,-(b+1))}c=$text$(a,b);\
if(c==null){return null}return d=($reserve$(a),a.$objects$.length),e=$create$($table$,a,c),\
$remember$(a,d-1,e),$fill$($table$,a,e,c),e}
function $cast$(a,b){return a}
function $Plain$(){}
function $List$(){this.$items$=[]}
function $add$(a,b){a.$items$.push(b)}
function $none$(a,b){}
function $append$(a,b){a.$text$+=''+b;a.$text$+='|'}
function $index$(a,b){var c;if(b==null){return 0}c=a.$indices$[':'+b];if(c){return c}\
a.$written$.push(b);c=a.$written$.length;a.$indices$[':'+b]=c;return c}
function $writeString$(a,b){$append$(a,$index$(a,b))}
function $find$(a,b){var c,d;for(c=0,d=a.length;c<d;++c){if(a[c]===b){return c}}return -1}
function $write$(d,a,b,c){d[c][2](a,b)}
function $writeObject$(a,b){var c,d;if(b==null){$append$(a,$index$(a,null));return}\
c=$find$(a.$sent$,b);if(c>=0){$append$(a,''+-(c+1));return}a.$sent$.push(b);d=b.$class$;\
$append$(a,$index$(a,d));$write$($table$,a,b,d)}
function $Proxy$(a,b,c,d){this.$path$=a+b;this.$policy$=c;this.$name$=b;this.$types$=d}
function $Call$(a,b,c){this.$owner$=a;this.$name$=b+'.'+c;this.$method$=c}
function $begin$(a,b,c){a.$stream$={};$writeString$(a.$stream$,b);$writeString$(a.$stream$,\
a.$method$);$append$(a.$stream$,c);return a.$stream$}
function $send$(a,b,c){return c(a,b)}
function $wrap$(a){return a}
var $table$={};
"""

_BROWSERS: Final = ("safari", "gecko1_8", "ie10", "ie9", "ie8")
_LOCALES: Final = ("default", "ru")
_NAME: Final = re.compile(r"\$(\w+)\$")
_PROPERTIES: Final = [*string.ascii_lowercase, *(f"a{one}" for one in string.ascii_lowercase)]


def selection_script(deployment: Deployment) -> str:
    """Return ``vpbxGwt.nocache.js``, which chooses a permutation for the browser."""
    names = _short_names(deployment)
    literals = {
        text: next(names)
        for text in (
            *("bootstrap", "begin", "end", MODULE, "startup", "DUMMY", "moduleRequested"),
            *("selectingPermutation", ".cache.js", ":", "clear.cache.gif", "user.agent", "locale"),
            *_BROWSERS,
            *_LOCALES,
            *deployment.permutations,
        )
    }
    declared = ",".join(f"{name}='{text}'" for text, name in literals.items())
    window, stats, select, resolve = (next(names) for _ in range(4))
    choices = [
        (literals[locale], literals[browser]) for browser in _BROWSERS for locale in _LOCALES
    ]
    if len(deployment.permutations) == 1:
        chosen = f"n={literals[deployment.permutations[0]]};"
    else:
        chosen = "".join(
            f"g([{locale},{browser}],{literals[permutation]});"
            for (locale, browser), permutation in zip(
                choices, deployment.permutations, strict=False
            )
        )
        chosen += f"n=e[m({literals['locale']})][m({literals['user.agent']})];"
    return (
        f"function {MODULE}(){{var {declared};"
        f"var {window}=window;{stats}({literals['bootstrap']},{literals['begin']});\n"
        f"function {stats}(a,b){{if({window}.__gwtStatsEvent){{{window}.__gwtStatsEvent("
        f"{{moduleName:{literals[MODULE]},subSystem:{literals['startup']},evtGroup:a,"
        "millis:(new Date).getTime(),type:b})}}\n"
        f"{MODULE}.__sendStats={stats};{MODULE}.__moduleName={literals[MODULE]};"
        f"{MODULE}.__errFn=null;{MODULE}.__moduleBase={literals['DUMMY']};"
        f"{MODULE}.__softPermutationId=0;\n"
        f"function {select}(){{var e=[],f=0,n;"
        "function g(a,b){var c=e;for(var d=0,h=a.length-1;d<h;++d){c=c[a[d]]||(c[a[d]]=[])}"
        "c[a[h]]=b}\n"
        f"var j=[];j[{literals['locale']}]=function(){{return {literals[_LOCALES[0]]}}};"
        f"j[{literals['user.agent']}]=function(){{return {literals[_BROWSERS[0]]}}};"
        "function m(a){return j[a]()}\n"
        f"try{{{chosen}var o=n.indexOf({literals[':']});"
        "if(o!=-1){f=parseInt(n.substring(o+1),10);n=n.substring(0,o)}}catch(a){}"
        f"{MODULE}.__softPermutationId=f;return {resolve}(n+{literals['.cache.js']})}}\n"
        f"function {resolve}(a){{return {MODULE}.__moduleBase+a}}\n"
        f"{stats}({literals['bootstrap']},{literals['end']});return {select}()}}\n"
        f"{MODULE}.succeeded={MODULE}();\n"
    )


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
        text = compiler.minify(f"function $screen{number}$(){{return {number}}}\n")
    return f"{MODULE}.runAsyncCallback{number}({_literal(text)});\n"


def minified_names(deployment: Deployment) -> dict[str, str]:
    """Return what the runtime's functions are called, to run a script: ``prepare``, ``object``."""
    compiler = _Compiler(deployment)
    return {name: compiler.minify(f"${name}$") for name in ("prepare", "object")}


def _short_names(deployment: Deployment) -> Iterator[str]:
    """Yield names for what a script declares, other ones in each deployment.

    The scripts' own local variables are single small letters, keywords small ones too.
    """
    firsts, seconds = list(string.ascii_uppercase), list(string.ascii_letters + "$_")
    draw = random.Random(deployment.policies[LIST_SERVICE])  # noqa: S311 - names of variables
    draw.shuffle(firsts)
    draw.shuffle(seconds)
    return map("".join, itertools.product(firsts, seconds))


def _literal(script: str) -> str:
    return json.dumps(script, ensure_ascii=False)


class _Compiler:
    """Writes the code of one deployment: the same names for the same things in all its scripts.

    Attributes:
        permutation: the code of the permutation.
        fragment: that of the deferred fragment that the list is in, if it is in one.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._names = _short_names(deployment)
        self._minified: dict[str, str] = {}
        self._interned: dict[str, str] = {}
        self.permutation = self._compile(in_fragment=False)
        self.fragment = self._compile(in_fragment=True) if deployment.list_fragment else ""

    def minify(self, text: str) -> str:
        """Replace each name between dollar signs."""

        def name(match: re.Match[str]) -> str:
            return self._minified.get(match[1]) or self._minified.setdefault(
                match[1], next(self._names)
            )

        return _NAME.sub(name, text)

    def _compile(self, *, in_fragment: bool) -> str:
        deferred = self._deployment.list_fragment > 0
        interned = len(self._interned)
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
        new = [*self._interned.items()][interned:]
        strings = "".join(f"var {name}='{text}';" for text, name in new)
        runtime = "" if in_fragment else _RUNTIME
        return self.minify(f"{strings}\n{runtime}{''.join(parts)}")

    def _string(self, text: str) -> str:
        """A string where it is used, or a variable that holds it."""
        if not self._deployment.interned:
            return f"'{text}'"
        return self._interned.setdefault(text, f"$string{len(self._interned)}$")

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

    def _class(self, name: str, fields: ClassFields) -> str:
        """A class's handlers, and their entry in the table."""
        key = re.sub(r"\W", "_", name)
        create, fill, write = f"$create_{key}$", f"$fill_{key}$", "undefined"
        if name == LIST_REQUEST:
            create = fill = "undefined"
            write = f"$write_{key}$"
            text = f"function {write}(a,b){{{_writing(fields.deserialize)}}}\n"
        else:
            text = f"function {create}(b){{{_creating(name, fields)}}}\n"
            own, inherited = fields.deserialize[: fields.own], fields.deserialize[fields.own :]
            statements = _filling(own, 0)
            if inherited:
                parent = f"$fill_{key}_parent$"
                text += f"function {parent}(a,b){{{_filling(inherited, len(own))}}}\n"
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


def _creating(name: str, fields: ClassFields) -> str:
    """What makes an object: of the value it is, of an array's length, or of nothing."""
    if name in CONSTANTS:
        constants = ",".join(map(str, range(CONSTANTS[name])))
        return f"var a;a=$int$(b);return [{constants}][a]"
    if fields.instantiate == (Kind.NUMBER,) and name.startswith("["):
        return "var a;a=$int$(b);return new Array(a)"
    if fields.instantiate:
        (kind,) = fields.instantiate
        return f"return {_READ[kind].format('b')}" if isinstance(kind, Kind) else ""
    return "return new $List$" if _is_collection(fields.deserialize) else "return new $Plain$"


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
