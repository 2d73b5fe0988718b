"""The cabinet's cookies: what browsers keep and send back, within bounds, and why one is lost.

Browsers look neither at ``Version`` nor at a ``Path`` that is no path. They keep some fifty cookies
of 4 KB for a host, which bounds what a server can make a client hold.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request

if TYPE_CHECKING:
    from http.cookiejar import Cookie

_MOST: Final = 50
_LONGEST: Final = 4096


class Cookies:
    """What one cabinet has set."""

    def __init__(self) -> None:
        self._policy = _Policy()
        self._jar = CookieJar(self._policy)

    def __len__(self) -> int:
        return len(self._jar)

    def take(self, response: Any, url: str) -> None:
        """Keep the cookies of an answer, of ``urllib3``, to a request for an address."""
        self._policy.held = {cookie.name for cookie in self._jar}
        self._jar.extract_cookies(response, Request(url))  # noqa: S310 - nothing is opened

    def header(self, url: str) -> str:
        """The header ``Cookie`` for an address; empty without any."""
        request = Request(url)  # noqa: S310 - nothing is opened
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""

    def values(self) -> list[str]:
        """The cookies' values, which are secrets."""
        return [cookie.value for cookie in self._jar if cookie.value]

    def forget(self) -> None:
        """Begin without any."""
        self._jar.clear()
        self._policy.refused.clear()

    def lost(self, url: str) -> str:
        """Why a cookie that was set does not go to an address, in one sentence; empty if all do."""
        request = Request(url)  # noqa: S310 - nothing is opened
        reasons = list(self._policy.refused)
        for cookie in self._jar:
            if cookie.secure and request.type != "https":
                reasons.append("it is marked Secure, and the address begins with http://")
            elif not request.selector.startswith(cookie.path):
                reasons.append("it is for another path (Path)")
        return f"the cabinet's cookie does not go back to it: {reasons[0]}" if reasons else ""


class _Policy(DefaultCookiePolicy):
    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.refused: list[str] = []

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        cookie.version = 0
        if not cookie.path.startswith("/"):
            cookie.path = "/"
        if len(cookie.name) + len(cookie.value or "") > _LONGEST:
            reason = f"it is longer than {_LONGEST} characters"
        elif len(self.held | {cookie.name}) > _MOST:
            reason = f"there are more than {_MOST}"
        elif not super().set_ok(cookie, request):
            reason = "it is for another host (Domain)"
        else:
            self.held.add(cookie.name)
            return True
        if len(self.refused) < _MOST:
            self.refused.append(reason)
        return False
