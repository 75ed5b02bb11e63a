"""Who may ask: a token where other machines reach the page, and no other site's scripts ever.

A page on another site can make a browser send requests here. Those that change anything are
refused unless the browser says that they come from this page; and where only this machine
listens, a request must name this machine, so that no foreign host name leads here (DNS rebinding).
"""

import secrets
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analyzer_service.page.ready import PATH as READY

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SAFE: Final = ("GET", "HEAD")
_HEALTH: Final = "/healthz"
_TOKEN: Final = "token"


class Access:
    """ASGI middleware that lets in who may ask, and says in each answer what browsers may do.

    Parameters
    ----------
    app : ASGI application
    token : str or None
        What a browser must bring, in the URL once, then in a cookie; None: only requests that
        name this machine are let in.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                guard(MutableHeaders(scope=message), scope["path"])
            await send(message)

        refused = self._refusal(scope)
        await (refused or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """What to say instead of an answer; None where the request may pass."""
        headers = Headers(scope=scope)
        if scope["path"] == _HEALTH:  # that it answers is no secret, and checks bring no token
            return JSONResponse({"status": "ok"})
        if scope["path"] == READY and scope["method"] in _SAFE:
            return None
        if self._token is None and not _names_this_machine(headers):
            return _forbidden("This page answers to localhost and 127.0.0.1 only.")
        if self._token is not None and (entry := self._entry(scope, headers)) is not None:
            return entry
        if scope["method"] not in _SAFE and not _from_this_page(headers):
            return _forbidden("Only this page itself may change anything.")
        return None

    def _entry(self, scope: Scope, headers: Headers) -> Response | None:
        """None for who has the cookie; a cookie for who brings the token; else a refusal."""
        assert self._token is not None
        port = scope["server"][1] if scope.get("server") else 0
        cookie = f"sidelight_{port}"  # cookies do not tell ports apart
        kept = quote(self._token, safe="")  # a token may be any text, a cookie's value not
        if _same(cookie_parser(headers.get("cookie", "")).get(cookie, ""), kept):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not _same(dict(query).get(_TOKEN, ""), self._token):
            return _forbidden(
                "A token is needed: open the address that the page printed as it started "
                "(http://…/?token=…).",
                status=401,
            )
        rest = urlencode([pair for pair in query if pair[0] != _TOKEN])
        # The path alone, and no second slash at its head: the redirect leads nowhere else.
        path = quote("/" + scope["path"].lstrip("/\\"))
        response = RedirectResponse(f"{path}?{rest}" if rest else path, status_code=303)
        # Not "strict": who follows the address from a mail or a chat would not bring it along on
        # the way from here to there. What changes anything is held by its origin.
        response.set_cookie(cookie, kept, httponly=True, samesite="lax", path="/")
        return response


def guard(headers: MutableHeaders, path: str) -> None:
    """Add to the headers of an answer what browsers may do with it."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    # Scripts are asked for each time, by their ETag; what is said of runs is not kept at all.
    headers.setdefault("Cache-Control", "no-cache" if path.startswith("/static/") else "no-store")


def _forbidden(sentence: str, status: int = 403) -> Response:
    return PlainTextResponse(f"{sentence}\n", status)


def _names_this_machine(headers: Headers) -> bool:
    named = _split(f"//{headers.get('host', '')}")
    return named is not None and named.hostname in _LOOPBACK


def _from_this_page(headers: Headers) -> bool:
    """Whether the browser says so, by either of the two headers that scripts cannot set."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    named = _split(origin or "")
    return named is not None and named.netloc != "" and named.netloc == headers.get("host")


def _split(address: str) -> SplitResult | None:
    """Parts of an address, which is as whoever asks wrote it; None where it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
