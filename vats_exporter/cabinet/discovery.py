"""The names that a deployment of the cabinet uses, found in the scripts a browser loads.

``vpbxGwt.nocache.js`` names the permutations, of which any works for RPC [gwt]; what the script of
one tells is read by :mod:`vats_exporter.gwt.script`. A service, or a class of an answer, that it
does not hold is looked for in the permutation's deferred fragments, once in a deployment. Accounts
whose cabinet serves the same texts share what they tell; the texts are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from threading import BoundedSemaphore, Lock
from typing import Final
from weakref import WeakValueDictionary

from vats_exporter.cabinet import contract, errors
from vats_exporter.cabinet.contract import LIST, MODULE_PATH, Service
from vats_exporter.cabinet.reading import ClassTable, Page, read_page
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Transport
from vats_exporter.gwt import GwtError, NotUnderstood, Response
from vats_exporter.gwt.script import Script, read_script

_MOST_READ: Final = 2  # scripts of permutations: all hold the same services [gwt]
_MOST_TRIED: Final = 5  # permutations that are asked for: not all of them need have stayed
_MOST_FRAGMENTS: Final = 200
_LONGEST_SCRIPT: Final = 32 * 1024 * 1024  # bytes; the largest one seen has 11.5 MB

# With or without the number of a soft permutation, which is decided in the browser. [gwt]
_STRONG_NAME: Final = re.compile(r"\\?['\"]([0-9A-F]{32})(?::\d{1,9})?\\?['\"]", re.ASCII)


class _MissingError(errors.NotACabinetError):
    """HTTP 404 for a script."""


class _Findings(ClassTable):
    """What the texts of one permutation contain, parsed, and the table of its classes."""

    def __init__(self, script: Script) -> None:
        super().__init__(script.classes)
        self.script = script


_shared: WeakValueDictionary[bytes, _Findings] = WeakValueDictionary()
# One account reads at a time: it takes memory, and the others find it done. Few hold a text at a
# time: hundreds start together, and each may have some 10 MB.
_reading: Final = Lock()
_holding: Final = BoundedSemaphore(16)


@contextmanager
def _may_hold(within: float) -> Iterator[None]:
    """Hold scripts within it. Waits as long as a call at most: accounts that hang hold theirs."""
    if not _holding.acquire(timeout=within):
        raise errors.CabinetTimeoutError(
            f"permutation: waited for other accounts to read their scripts, more than {within:g} s"
        )
    try:
        yield
    finally:
        _holding.release()


def _read(*texts: str) -> _Findings:
    digest = sha256()
    for text in texts:  # one after the other: joined, they would be held twice more
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    key = digest.digest()
    with _reading:
        if (found := _shared.get(key)) is None:
            try:
                found = _shared[key] = _Findings(read_script(*texts))
            except GwtError as error:
                raise errors.UndecodableError(
                    f"permutation: its script cannot be read: {error}"
                ) from None
        return found


class Discovery:
    """The names of one deployment of the cabinet; configured ones take precedence."""

    def __init__(
        self, transport: Transport, settings: CabinetSettings, name: str, path: str, text: str
    ) -> None:
        self.module_base = transport.base_url + MODULE_PATH
        self.permutation = name  # the strong name of one
        self.fragments = 0  # how many of its were read
        self._reads_lists: bool | None = None  # before one with rows was read
        self._transport = transport
        self._settings = settings
        # The linker writes this into a permutation that can load fragments. [gwt]
        self._path = path if "deferredjs" in text else ""
        self._vain: set[str] = set()  # what was looked for, and is in no fragment
        self._use(text)

    def policy(self, service: Service) -> str:
        """A service's policy hash; an ``UndecodableError`` where the script does not tell it."""
        found = self.policies.get(service.path)
        if found is None:
            raise errors.UndecodableError(
                f"permutation {self.permutation}: no policy hash of {service.path} in its script; "
                f"services.{service.path} sets it by hand"
            )
        return found

    def signature(self, name: str) -> str:
        """A class's type signature; the one observed where the script does not name the class."""
        return self.signatures.get(name) or contract.OBSERVED_SIGNATURES[name]

    def strings(self, service: Service) -> tuple[str, ...]:
        """The strings a request to a service begins with."""
        head = self.module_base, self.policy(service), service.interface, service.method
        return (*head, *map(self.signature, service.classes))

    def selector_request(self, trunk: str, *, enabled: bool) -> str:
        """The request that moves a trunk's selector."""
        method = contract.selector_method(self.script.methods, self._settings.selector_method)
        head = self.module_base, self.policy(contract.SELECTOR)
        return contract.selector_request(*head, method, trunk=trunk, enabled=enabled)

    def read_page(self, response: Response) -> Page:
        """Read a page by the script and its fragments, or by its rows alone where they do not.

        A ``RedeployedError`` if they did before, and are out of date.
        """
        try:
            page = read_page(response, self.table)
        except errors.TableError as error:
            if error.missing and self.look_for(error.missing):
                return self.read_page(response)
            if self._reads_lists:
                self._reads_lists = False
                if self.permutation not in permutations(self._transport, self._settings):
                    raise errors.RedeployedError(
                        "list: the script does not read it any more"
                    ) from None
            return read_page(response, None, not_by_script=str(error))
        if page.records and self._reads_lists is None:
            self._reads_lists = True
        return page

    def unsure(self, service: Service) -> str:
        """What may be wrong in a request to a service, as the end of a sentence; often empty."""
        words = f"; {self.misfit}" if self.misfit and service is LIST else ""
        unnamed = {one.rpartition(".")[2] for one in service.classes if one not in self.signatures}
        if unnamed:
            words += "; not in the script, so the values seen elsewhere were used: "
        return words + ", ".join(sorted(unnamed))

    def look_for(self, name: str) -> bool:
        """Look for a service, by path, or a class, by type signature; whether it was found now."""
        if not self._lacks(name) or name in self._vain or not self._path:
            return False
        with suppress(_MissingError), _may_hold(self._settings.timeouts.call):
            self.search(name, _script(self._transport, "permutation", self._path)[1])
        return not self._lacks(name)

    def search(self, name: str, text: str) -> None:
        """Look for it in the fragments of a permutation, given its script; within `_may_hold`."""
        texts = [text]
        while self._path and self._lacks(name) and (fragment := self._after(texts)):
            texts.append(fragment)
            # A service and its classes' handlers stand in one fragment with the hash.
            if _STRONG_NAME.search(fragment) or name in fragment:
                self._use(*texts)
        if self._lacks(name):
            # Some function may stand in the last fragment, and be called from those before.
            self._use(*texts)
            self._vain.add(name)
        self.fragments = max(self.fragments, len(texts) - 1)

    def _after(self, texts: Sequence[str]) -> str:
        """The next fragment; empty where the numbers end, or there is enough."""
        if len(texts) > _MOST_FRAGMENTS or sum(map(len, texts)) > _LONGEST_SCRIPT:
            return ""
        path = f"{MODULE_PATH}deferredjs/{self.permutation}/{len(texts)}.cache.js"
        try:
            text = _script(self._transport, "fragment", path)[1].lstrip()
        except _MissingError:
            return ""
        # Some servers have a page, or the same few words, for whatever there is not.
        return "" if text.startswith("<") or text == texts[-1] else text

    def _use(self, *texts: str) -> None:
        """Read the permutation's script and its fragments."""
        settings, self.table = self._settings, _read(*texts)
        self.script = self.table.script
        self.policies = {**self.script.policies, **settings.services}  # by service path
        self.signatures = {**self.script.signatures, **settings.signatures}  # by class name
        fields = self.script.requests.get(self.signatures.get(contract.LIST_REQUEST, ""))
        # With why it does not fit the request's class; empty where it does.
        tail, self.misfit = contract.choose_list_tail(settings.list_tail, settings.filter, fields)
        if LIST.path in self.policies:  # as it is in all names that are used
            self.list_request = contract.list_request(
                self.strings(LIST), tail, row_filter=settings.filter, page_size=settings.page_size
            )

    def _lacks(self, name: str) -> bool:
        known = self.script.classes
        is_read = name in known and not isinstance(known[name], NotUnderstood)
        return name not in self.policies and not is_read


def discover(transport: Transport, settings: CabinetSettings) -> Discovery:
    """Find the names of the current deployment.

    A permutation that did not come whole ends it: another one is asked for only where one is not
    there, or was read and does not tell what is needed.
    """
    names = permutations(transport, settings)[:_MOST_TRIED]
    missing: list[errors.CabinetError] = []
    useless: list[errors.CabinetError] = []
    with _may_hold(settings.timeouts.call):
        for name in names:
            try:
                # Some linkers write it into a page.
                script, page = (f"{MODULE_PATH}{name}.cache.{ending}" for ending in ("js", "html"))
                path, text = _script(transport, "permutation", script, page)
            except _MissingError as error:
                missing.append(error)
                continue
            try:
                found = Discovery(transport, settings, name, path, text)
                found.search(LIST.path, text)
                found.policy(LIST)
            except errors.UndecodableError as error:
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
    return find_permutations(_script(transport, "nocache", contract.NOCACHE_PATH)[1])


def find_permutations(script: str) -> tuple[str, ...]:
    """Read the strong names in a selection script, one at least, in the order they stand."""
    names = tuple(dict.fromkeys(_STRONG_NAME.findall(script)))
    if not names:
        what = "no strong name of a permutation (32 hexadecimal digits) in it"
        raise errors.UndecodableError(
            f"{contract.NOCACHE_PATH}: {what}; permutation sets it by hand"
        )
    return names


def _script(transport: Transport, call: str, *paths: str) -> tuple[str, str]:
    """The first of some scripts that is there: its path and text."""
    for path in paths:
        answer = transport.send(call, path)
        if answer.status != 404:
            answer.check(f"{call}: {path}")
            if len(answer.body) <= _LONGEST_SCRIPT:
                return path, answer.body.decode("utf-8", "replace")
            raise errors.UndecodableError(f"{call}: {path} is longer than {_LONGEST_SCRIPT} bytes")
    raise _MissingError(f"{call}: {paths[0]} is not there (HTTP 404)")
