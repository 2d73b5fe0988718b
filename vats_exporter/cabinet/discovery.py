"""The names that a deployment of the cabinet uses, found in the scripts a browser loads.

``vpbxGwt.nocache.js`` names the permutations, of which any works for RPC [gwt]; what the script of
one tells is read by :mod:`vats_exporter.gwt.script`. Where something is wanted that the script
does not hold, a service or a class of an answer, it is looked for in the deferred fragments of the
same permutation, one after the other, until it is found or the numbers end. Both are asked for only
then, and what was not found is not looked for again in this deployment.

Texts are not kept, only what they tell; accounts whose cabinet serves the same text share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import sha256
from threading import BoundedSemaphore, Lock
from typing import Final
from weakref import WeakValueDictionary

from vats_exporter.cabinet.contract import (
    LIST,
    LIST_REQUEST,
    MODULE_PATH,
    NOCACHE_PATH,
    OBSERVED_SIGNATURES,
    Service,
    choose_list_tail,
)
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    UndecodableError,
)
from vats_exporter.cabinet.reading import ClassTable
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Transport
from vats_exporter.gwt import GwtError, NotUnderstood
from vats_exporter.gwt.script import Script, read_script

_MOST_READ: Final = 2  # scripts of permutations: all hold the same services [gwt]
_MOST_TRIED: Final = 5  # permutations that are asked for: not all of them need have stayed
_MOST_FRAGMENTS: Final = 200
_LONGEST_SCRIPT: Final = 32 * 1024 * 1024  # bytes; the largest one seen has 11.5 MB
_MOST_TEXT: Final = 2 * _LONGEST_SCRIPT  # with its fragments

_STRONG_NAME: Final = re.compile(
    # With or without the number of a soft permutation, which is decided in the browser. [gwt]
    r"\\?['\"]([0-9A-F]{32})(?::\d{1,9})?\\?['\"]",
    re.ASCII,
)


class MissingError(NotACabinetError):
    """HTTP 404 for a script."""


class _Findings:
    """What the texts of one permutation contain, parsed."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.table = ClassTable(script.classes)


_shared: WeakValueDictionary[bytes, _Findings] = WeakValueDictionary()
# One account reads at a time: it takes memory, and the others find it done. Few hold a text at a
# time: hundreds start together, and each may have some 10 MB.
_reading: Final = Lock()
_turns: Final = BoundedSemaphore(16)


@contextmanager
def _turn(settings: CabinetSettings) -> Iterator[None]:
    """Wait no longer than a call may take: accounts that hang may have all turns."""
    within = settings.timeouts.call
    if not _turns.acquire(timeout=within):
        raise CabinetTimeoutError(
            f"permutation: waited for other accounts to read their scripts, more than {within:g} s"
        )
    try:
        yield
    finally:
        _turns.release()


def _read(*texts: str) -> _Findings:
    digest = sha256()
    for text in texts:  # one after the other: joined, they would be held twice more
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    key = digest.digest()
    with _reading:
        found = _shared.get(key)
        if found is None:
            try:
                found = _shared[key] = _Findings(read_script(*texts))
            except GwtError as error:
                raise UndecodableError(f"permutation: its script cannot be read: {error}") from None
        return found


class Discovery:
    """The names of one deployment of the cabinet; configured ones take precedence.

    Args:
        module_base: the address of the GWT module, ``https://vpbx.mts.ru/vpbxGwt/``.
        permutation: strong name of one of its permutations; any works for RPC. [gwt]
        settings: what is set by hand.
        path: of the permutation's script.
        text: that script; empty where there is none.

    Attributes:
        script: what the script and the fragments that were read tell.
        table: their classes, to read lists by.
        policies: serialization policy hash by service path.
        signatures: type signature by class name.
        list_tail: the end of the list request.
        misfit: why that does not fit the class of the request; empty where it does.
        fragments: how many deferred fragments were read.
        fits: whether the script reads lists; ``None`` before one with rows was read.
    """

    def __init__(
        self,
        module_base: str,
        permutation: str,
        settings: CabinetSettings,
        path: str = "",
        text: str = "",
    ) -> None:
        self.module_base = module_base
        self.permutation = permutation
        self.fragments = 0
        self.fits: bool | None = None
        self._settings = settings
        self._vain: set[str] = set()
        # The linker writes this into a permutation that can load fragments. [gwt]
        self._path = path if "deferredjs" in text else ""
        self._use(text)

    def policy(self, service: Service) -> str:
        """A service's policy hash; an ``UndecodableError`` where the script does not tell it."""
        found = self.policies.get(service.path)
        if found is None:
            raise UndecodableError(
                f"permutation {self.permutation}: no policy hash of {service.path} in its script; "
                f"services.{service.path} sets it by hand"
            )
        return found

    def signature(self, name: str) -> str:
        """A class's type signature; the one observed where the script does not name the class."""
        return self.signatures.get(name) or OBSERVED_SIGNATURES[name]

    def strings(self, service: Service, method: str) -> tuple[str, ...]:
        """The strings a request to a service begins with."""
        signatures = map(self.signature, service.classes)
        return (self.module_base, self.policy(service), service.interface, method, *signatures)

    def unsure(self, service: Service) -> str:
        """What may be wrong in a request to a service, as the end of a sentence; often empty."""
        words = f"; {self.misfit}" if self.misfit and service is LIST else ""
        unnamed = [one.rpartition(".")[2] for one in service.classes if one not in self.signatures]
        if unnamed:
            names = ", ".join(sorted(unnamed))
            words += f"; not in the script, so the values seen elsewhere were used: {names}"
        return words

    def is_outdated(self, transport: Transport) -> bool:
        """Whether the cabinet was redeployed meanwhile."""
        return self.permutation not in permutations(transport, self._settings)

    def look_for(self, transport: Transport, wanted: Iterable[str], text: str = "") -> bool:
        """Look in the deferred fragments for what the script does not hold; whether it was found.

        ``wanted`` are services, by path, and classes, by type signature; ``text`` is the script,
        where it is at hand and it is our turn.
        """
        missing = self._missing(wanted) - self._vain
        if not missing or not self._path:
            return False
        texts: list[str] = []
        with nullcontext() if text else _turn(self._settings):
            with suppress(MissingError):
                texts.append(text or _script(transport, "permutation", self._path))
                for number in range(1, _MOST_FRAGMENTS + 1):
                    path = f"{MODULE_PATH}deferredjs/{self.permutation}/{number}.cache.js"
                    fragment = _script(transport, "fragment", path)
                    # Some servers have a page, or nothing, for whatever there is not.
                    is_none = fragment == texts[-1] or fragment.strip()[:1] in ("", "<")
                    if is_none or len(fragment) + sum(map(len, texts)) > _MOST_TEXT:
                        break
                    texts.append(fragment)
                    # A service and its classes' handlers stand in one fragment with the hash.
                    if _STRONG_NAME.search(fragment) or any(name in fragment for name in missing):
                        self._use(*texts)
                        if not self._missing(missing):
                            break
            vain = self._missing(missing)
            if vain and texts:
                # Some function may stand in the last fragment, and be called from those before.
                self._use(*texts)
                vain = self._missing(missing)
                self._vain |= vain
        self.fragments = max(self.fragments, len(texts) - 1)
        return vain != missing

    def _use(self, *texts: str) -> None:
        """Read the permutation's script and its fragments."""
        settings, self._findings = self._settings, _read(*texts)
        self.script, self.table = self._findings.script, self._findings.table
        self.policies = {**self.script.policies, **settings.services}
        self.signatures = {**self.script.signatures, **settings.signatures}
        fields = self.script.requests.get(self.signatures.get(LIST_REQUEST, ""))
        self.list_tail, self.misfit = choose_list_tail(settings.list_tail, settings.filter, fields)

    def _missing(self, wanted: Iterable[str]) -> set[str]:
        known = self.script.classes
        return {
            name
            for name in wanted
            if name not in self.policies
            and (name not in known or isinstance(known[name], NotUnderstood))
        }


def discover(transport: Transport, settings: CabinetSettings) -> Discovery:
    """Find the names of the current deployment.

    A permutation that did not come whole ends it: another one is asked for only where one is not
    there, or was read and does not tell what is needed.
    """
    names = permutations(transport, settings)[:_MOST_TRIED]
    missing: list[CabinetError] = []
    useless: list[CabinetError] = []
    with _turn(settings):
        for name in names:
            try:
                path, text = _permutation(transport, name)
            except MissingError as error:
                missing.append(error)
                continue
            try:
                found = Discovery(transport.base_url + MODULE_PATH, name, settings, path, text)
                found.look_for(transport, [LIST.path], text)
                found.policy(LIST)
            except UndecodableError as error:
                useless.append(error)
                if len(useless) == _MOST_READ:
                    break
            else:
                return found
    raise (useless or missing)[0]


def permutations(transport: Transport, settings: CabinetSettings) -> tuple[str, ...]:
    """The strong names of the deployment in force: the configured one, or those that are found."""
    if settings.permutation:
        return (settings.permutation,)
    return find_permutations(_script(transport, "nocache", NOCACHE_PATH))


def find_permutations(script: str) -> tuple[str, ...]:
    """Read the strong names in a selection script, one at least, in the order they stand."""
    names = tuple(dict.fromkeys(_STRONG_NAME.findall(script)))
    if not names:
        what = "no strong name of a permutation (32 hexadecimal digits) in it"
        raise UndecodableError(f"{NOCACHE_PATH}: {what}; permutation sets it by hand")
    return names


def _permutation(transport: Transport, name: str) -> tuple[str, str]:
    """The path and text of a permutation: ``.cache.js``, or ``.cache.html`` of other linkers."""
    script, page = (f"{MODULE_PATH}{name}.cache.{ending}" for ending in ("js", "html"))
    try:
        return script, _script(transport, "permutation", script)
    except MissingError as missing:
        with suppress(MissingError):
            return page, _script(transport, "permutation", page)
        raise missing from None


def _script(transport: Transport, call: str, path: str) -> str:
    answer = transport.send(call, path, follow=False, limit=_LONGEST_SCRIPT)
    if answer.status == 404:
        raise MissingError(f"{call}: {path} is not there (HTTP 404)")
    answer.check(call, f"{call}: {path}")
    return answer.text
