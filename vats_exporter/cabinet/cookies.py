"""The cookies of one cabinet: which are kept and go back, and why the session's may not."""

from __future__ import annotations

from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.request import Request

_MOST_COOKIES: Final = 50
_LONGEST_COOKIE: Final = 4096


class CookieRules(DefaultCookiePolicy):
    """Which cookies a jar keeps and sends back: those that browsers do, within bounds.

    Browsers look neither at ``Version`` nor at a ``Path`` that is no path. They keep some fifty
    cookies of 4 KB for a host, and attributes as long at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jar = CookieJar(self)
        # Why cookies are not kept, or do not go back to the host's root, by their names.
        self.lost: dict[str, str] = {}

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        """Whether the jar keeps a cookie."""
        cookie.version = 0
        if not cookie.path.startswith("/"):
            cookie.path = "/"
        kept = {(one.domain, one.path, one.name) for one in self.jar}
        length = len(cookie.name) + len(cookie.value or "")
        attributes = sum(len(str(value)) for value in vars(cookie).values()) - length
        keeps, why = False, ""
        if max(length, attributes) > _LONGEST_COOKIE:
            why = f"it is longer than {_LONGEST_COOKIE} characters"
        elif len(kept | {(cookie.domain, cookie.path, cookie.name)}) > _MOST_COOKIES:
            why = f"there are more than {_MOST_COOKIES}"
        elif not (keeps := super().set_ok(cookie, request)):
            why = "it is for another host (Domain)"
        elif cookie.secure and request.type != "https":
            why = "it is marked Secure, and the address begins with http://"
        elif cookie.path != "/":
            why = "it is for another path (Path)"
        if why and len(self.lost) < _MOST_COOKIES:
            self.lost[cookie.name[:100]] = why
        return keeps

    def why_lost(self, url: str) -> str:
        """Why no cookie goes back, or the session's does not, in one sentence; empty if it does."""
        request = Request(url)  # noqa: S310 - it is not to be opened
        self.jar.add_cookie_header(request)
        sent = request.get_header("Cookie", "")
        for name, why in self.lost.items():
            # Others may go back beside JSESSIONID, such as that of a server that shares the load.
            if not sent or ("sess" in name.lower() and f"{name}=" not in sent):
                return f"the cabinet's cookie does not go back to it: {why}"
        return ""
