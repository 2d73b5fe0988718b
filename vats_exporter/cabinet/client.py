"""One account's cabinet: its trunks, their details and their selectors.

It is signed in to and discovered when first needed, and again when a session or a deployment ends,
as both do at any time. An answer tells: the login page where ``//OK`` was due [assumed], or an
``IncompatibleRemoteServiceException``. Then the call is repeated: once for each in a listing,
however many pages that has.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, TypeVar

from typing_extensions import Self

from vats_exporter import gwt
from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract, errors, sign_in
from vats_exporter.cabinet.contract import DETAILS, LIST, SELECTOR, Service, TrunkDetails
from vats_exporter.cabinet.discovery import Discovery, discover
from vats_exporter.cabinet.listing import Plausibility, read_all
from vats_exporter.cabinet.reading import Page
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import PageRead, Redeployed, SignIn, Trace, Transport
from vats_exporter.redaction import redact
from vats_exporter.trunks import Listing

T = TypeVar("T")

_WORTH_WAITING: Final = 2.0  # a sign-in waits so many rather than fail: lists are read as often

# Seconds of closing:
_SIGN_OUT_WITHIN: Final = 1.5  # the cabinet ends the session by itself some time later
_ENDS_WITHIN: Final = 0.25  # what a call under way still has when the session is to be closed
_BREAKS_EVERY: Final = 0.05  # between two attempts to break it, and those that wait behind it
CLOSES_WITHIN: Final = _ENDS_WITHIN + _BREAKS_EVERY + _SIGN_OUT_WITHIN
"""Seconds that closing takes, unless a call hangs where it cannot be broken: in connecting."""

# Failures of a list request that leave nothing to guess: the session, or the names, are over; or
# what answers speaks no HTTP.
_NO_GUESS: Final = (errors.SessionEndedError, errors.RedeployedError, errors.NotACabinetError)

_INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"

# A class with its package: what an exception's answer names, and what no credential looks like.
_CLASS: Final = re.compile(r"[a-z]\w*(?:\.[\w$]+){2,}", re.ASCII)
_LONGEST: Final = 200  # characters of the server's own words that are told


class CabinetClient:
    """One cabinet. Thread-safe: one call at a time."""

    def __init__(
        self,
        settings: CabinetSettings,
        *,
        trace: Trace | None = None,
        pace: sign_in.SignInPace | None = None,
    ) -> None:
        self.enterprise = ""  # its number, once signed in; empty where the cabinet does not tell
        self.discovery: Discovery | None = None
        self._settings = settings
        self._trace: Trace = trace or (lambda _: None)
        self._pace = pace or sign_in.PACE  # another one in tests
        self._base_url = parse_address(settings.address, allow_plain_http=settings.allow_plain_http)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._transport = Transport(self._base_url, settings, self._trace)
        self._plausibility = Plausibility()  # of its lists
        self._signed_in = False
        self._signed_in_as: int | None = None
        self._renewed: set[str] = set()  # what was, in the listing under way
        self._unanswered = 0  # lists in a row that were answered with something else
        self._permutation = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def credentials_changed(self) -> bool:
        """Whether login and password are others than those that were last sent."""
        return self._signed_in_as not in (None, self._credentials())

    def close(self) -> None:
        """Sign out and close the connection; a call under way ends soon, or is broken."""
        self._closing.set()
        patience = _ENDS_WITHIN
        while not self._lock.acquire(timeout=patience):
            patience = _BREAKS_EVERY
            self._transport.close()
        try:
            path, transport = self._settings.sign_out_path, self._transport
            # Where there is a cookie there may be a session, also after a call that was broken.
            if path and len(transport.cookies):
                with suppress(errors.CabinetError):  # only the trace tells whether it worked
                    transport.send("sign_out", path, within=_SIGN_OUT_WITHIN)
            transport.start_afresh()
            self._signed_in = False
            self._closing.clear()
        finally:
            self._lock.release()

    def read_trunks(self) -> Listing:
        """Read every trunk, or none; a doubtful list again, in another session."""
        with self._alone():
            read_page = partial(self._call, LIST, self._read_page)
            doubted = False
            while True:
                try:
                    listing = read_all(read_page, self._settings, self._plausibility)
                    break
                except errors.DoubtfulError:
                    if doubted:
                        raise
                    doubted, self._signed_in = True, False
                except errors.CabinetError as error:
                    if not self._plausibility.doubt:
                        raise
                    # Another session has to wait, or does not work; the doubt stays.
                    both = f"{self._plausibility.doubt}; {error}"
                    raise errors.IncompleteError(both, retry_after=error.retry_after) from None
            misfit = self.discovery.misfit if self.discovery else ""
        return listing._replace(warnings=(*listing.warnings, misfit)) if misfit else listing

    def _read_page(self, names: Discovery, number: int) -> Page:
        request = names.list_request.replace("{enterprise}", self._plausibility.reference)
        request = request.replace("{page}", gwt.encode_long(number))
        try:
            response = self._exchange(LIST, names, request)
        except (errors.NotGwtError, errors.GwtExceptionError) as error:
            # How the end of a session looks is a guess. So the next listing signs in first: after
            # the first failure in a row, the second, the fourth, the eighth.
            if not isinstance(error, _NO_GUESS):
                self._unanswered += 1
                if self._unanswered & (self._unanswered - 1) == 0:
                    self._signed_in = False
            raise
        self._unanswered = 0
        try:
            page = names.read_page(response)
        except errors.UndecodableError as error:
            error.args = (f"list: page {number + 1}: {error}",)
            raise
        self._trace(PageRead(page.read_by))
        return page

    def read_details(self, ref: str, *, renew: bool = True) -> TrunkDetails:
        """Read one trunk's device form, or the other form where that one does not apply.

        Unless ``renew``, signing in and discovering are left to the next listing.
        """

        def ask(
            names: Discovery, form: int, read: Callable[[gwt.Response], TrunkDetails]
        ) -> TrunkDetails:
            request = contract.details_request(names.strings(DETAILS), trunk=ref, form=form)
            return read(self._exchange(DETAILS, names, request))

        call = partial(self._call, DETAILS, ask, renew=renew)
        with self._alone():
            try:
                return call(contract.DEVICE_FORM, partial(contract.read_device_form, trunk=ref))
            except errors.RedeployedError:
                raise
            except errors.GwtExceptionError:
                return call(contract.MOBILE_FORM, contract.read_mobile_form)

    def move_selector(self, ref: str, *, enabled: bool) -> None:
        """Move one trunk's selector, without reading it back."""

        def ask(names: Discovery) -> None:
            request = names.selector_request(ref, enabled=enabled)
            self._exchange(SELECTOR, names, request)

        with self._alone():
            self._call(SELECTOR, ask)

    def selector_payload(self, ref: str, *, enabled: bool) -> str:
        """Build the request that :meth:`move_selector` would send, and do not send it."""
        with self._alone():
            return self._call(
                SELECTOR, partial(Discovery.selector_request, trunk=ref, enabled=enabled)
            )

    def discover(self) -> Discovery:
        """Discover the cabinet's names again, as is needed before a change.

        A call whose parameters are all plain Java types also works by names that are out of date,
        so nothing else would tell. [gwt]
        """
        with self._alone():
            self.discovery = None
            if not self._signed_in:
                self._sign_in()
            return self._discover()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make calls exclusively; no error gets out with a secret in it."""
        with self._lock:
            self._renewed.clear()
            try:
                yield
            except errors.CabinetError as error:
                error.args = tuple(redact(str(argument)) for argument in error.args)
                raise

    def _call(
        self, service: Service, ask: Callable[..., T], *given: object, renew: bool = True
    ) -> T:
        """Ask by the names in force, and what else is given; sign in or discover if necessary.

        Unless ``renew``, it fails where either would be necessary.
        """
        if not renew and not (self._signed_in and self.discovery):
            raise errors.SessionEndedError(f"{service.call}: not signed in")
        new_names = self.discovery is None
        while True:
            try:
                if not self._signed_in:
                    self._sign_in()
                names = self.discovery or self._discover()
                if service.path not in names.policies:
                    names.look_for(service.path)
                return ask(names, *given)
            except errors.SessionEndedError as error:
                if not renew:
                    raise
                self._signed_in = False
                if "session" in self._renewed:
                    again = f"{error.args[0]} again, right after signing in"
                    raise errors.NotGwtError(again) from None
            except errors.RedeployedError:
                # Also without renewing: the list's own names may be as they were, and not notice.
                self.discovery = None
                if not renew or new_names or "names" in self._renewed:
                    raise
                self._renewed.add("names")

    def _exchange(self, service: Service, names: Discovery, request: str) -> gwt.Response:
        """Send a request, and read the answer: the ``//OK``, or the error that it means."""
        headers = {
            "Content-Type": contract.CONTENT_TYPE,
            "X-GWT-Permutation": names.permutation,
            "X-GWT-Module-Base": names.module_base,
        }
        call, path = service.call, contract.MODULE_PATH + service.path
        answer = self._transport.send(call, path, request.encode("utf-8"), headers)
        answer.check(call)
        try:
            response = gwt.decode(answer.body, limit=self._settings.max_response)
        except gwt.NotAnAnswerError as error:
            raise errors.NotGwtError(f"{call}: {error}") from None
        except gwt.GwtError as error:
            raise errors.UndecodableError(f"{call}: {error}") from None
        if response.status != "OK":
            raise _refusal(service, response, names)
        return response

    def _sign_in(self) -> None:
        """Send the password, as soon as it may be, and trace what came of it."""
        self._renewed.add("session")
        who = self._credentials()
        left = self._pace.left(who)
        if left <= _WORTH_WAITING:
            self._closing.wait(left)
        self._signed_in_as = who
        with self._pace.sending(who):
            start, result = time.monotonic(), "success"
            try:
                self.enterprise = sign_in.send_form(self._transport, self._settings)
            except errors.CabinetError as error:
                result = error.result
                raise
            finally:
                self._trace(SignIn(result, time.monotonic() - start))
        self._signed_in = True
        # As GWT writes it: configured as a number or a reference, or as found.
        number = self._settings.enterprise or self.enterprise
        reference = gwt.encode_long(int(number)) if number.isdecimal() else number
        self._plausibility.signed_in(reference)

    def _discover(self) -> Discovery:
        """Find the names of the deployment in force, and trace whether it is another one."""
        self.discovery = discover(self._transport, self._settings)
        found = self.discovery.permutation
        if self._permutation and self._permutation != found:
            self._trace(Redeployed(self._permutation, found))
        self._permutation = found
        self._plausibility.deployed(found)
        return self.discovery

    def _credentials(self) -> int:
        """A number for address, login and password, which themselves are not kept."""
        settings = self._settings
        return hash((self._base_url, settings.login, settings.current_password()))


def _refusal(
    service: Service, response: gwt.Response, names: Discovery
) -> errors.GwtExceptionError:
    """Make the error for an ``//EX``."""
    # A broken answer may have any string of its where the class should stand.
    found = response.exception_class if _CLASS.fullmatch(response.exception_class) else ""
    if found != _INCOMPATIBLE:
        said = f"the server answers {found or 'an exception'}"
        return errors.GwtExceptionError(f"{service.call}: {said}")
    # GWT's own message about what is out of date: names of classes and methods, no data.
    text = "".join(response.string_table[1:2])[:_LONGEST]
    said = "".join(letter if letter.isprintable() else " " for letter in text)
    reason = said if _CLASS.search(text) else "no reason given"
    reason = f"{found.rpartition('.')[2]}: {reason}{names.unsure(service)}"
    return errors.RedeployedError(
        f"{service.call}: the server reports that names are out of date ({reason})"
    )
