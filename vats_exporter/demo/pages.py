"""The pages and scripts of the application: what a browser loads before it makes a call.

They look like the real ones where a client has to look: the login page's form, and the selection
script that names the permutations. The compiled application is
:mod:`vats_exporter.demo.script`. [observed] [gwt]
"""

from __future__ import annotations

import html
import itertools
import random
import string
from typing import TYPE_CHECKING, Final

from vats_exporter.demo.deployment import LIST_SERVICE, MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.demo.deployment import Deployment

REFUSED: Final = "Неверный логин или пароль"

_LOGIN_PAGE: Final = """\
<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><title>Виртуальная АТС — вход</title></head>
<body>
<form action="/j_spring_security_check" method="POST">
<label>Логин <input type="text" name="j_username"></label>
<label>Пароль <input type="password" name="j_password"></label>
<input type="submit" value="Войти">
</form>
<script>var lastError = '{error}';</script>
</body></html>
"""

_APPLICATION_PAGE: Final = """\
<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><title>Виртуальная АТС</title>
<script type="text/javascript" src="/{module}/{module}.nocache.js"></script></head>
<body>
<noscript>Для работы кабинета нужен JavaScript</noscript>
<div id="enterprise" data-id="{enterprise}">{login}</div>
</body></html>
"""

_BROWSERS: Final = ("safari", "gecko1_8", "ie10", "ie9", "ie8")
_LOCALES: Final = ("default", "ru")


def login_page(*, refused: bool = False) -> str:
    """Return the login page, which says so where it follows a refused login."""
    return _LOGIN_PAGE.format(error=REFUSED if refused else "")


def application_page(enterprise: int, login: str) -> str:
    """Return the page that loads the application."""
    return _APPLICATION_PAGE.format(module=MODULE, enterprise=enterprise, login=html.escape(login))


def selection_script(deployment: Deployment) -> str:
    """Return ``vpbxGwt.nocache.js``, which chooses a permutation for the browser."""
    names = _minified(deployment)
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


def _minified(deployment: Deployment) -> Iterator[str]:
    """Return short names for a script, other ones in each deployment."""
    firsts, seconds = list(string.ascii_uppercase), list(string.ascii_letters + "$_")
    draw = random.Random(deployment.policies[LIST_SERVICE])  # noqa: S311 - names of variables
    draw.shuffle(firsts)
    draw.shuffle(seconds)
    # The scripts' own local variables are single small letters, keywords small ones too.
    return map("".join, itertools.product(firsts, seconds))
