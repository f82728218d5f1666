"""Who may talk to the page's server: the page, and no other web site.

A browser sends to 127.0.0.1 what any web site asks it to. A foreign page gives itself away by its
Origin, and one whose name was rebound to this address by the Host it asks for
(https://owasp.org/www-community/attacks/DNS_rebinding).
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API = "/api/"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pass what the page itself asks for; 403 for everything else, 415 for what is no JSON."""
    if request.host not in _names_of(request):
        return _refused(403, f"Host {request.host!r} is not this page")
    own = f"http://{request.host}"
    origin = request.headers.get("Origin")
    reading = request.method in ("GET", "HEAD")
    if origin != own and not (reading and origin is None):
        return _refused(403, f"Origin {origin!r} is not this page")
    if request.path.startswith(API):
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site not in ("same-origin", "none"):
            return _refused(403, f"this was sent by another site ({site})")
        if not reading and request.content_type != "application/json":
            return _refused(415, f"{request.content_type!r} is not application/json")
    return await handler(request)


def _names_of(request: web.Request) -> tuple[str, ...]:
    if request.transport is None:
        return ()
    port = request.transport.get_extra_info("sockname")[1]
    return (f"127.0.0.1:{port}", f"localhost:{port}")


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=f"Refused: {why}.")


def headers(files: str) -> dict[str, str]:
    """What every answer says to the browser. files: the address that attachments come from.

    Pictures apart, the page loads nothing that is not its own, and runs no script written into
    it: a prompt that got past the escaping would still do nothing.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"'self' blob: {files}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # The files change with the checkout, and the address is another project's tomorrow.
        "Cache-Control": "no-store",
    }
