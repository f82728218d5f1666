"""Only the page itself may talk to its server, and no other web site.

Any web site can make a browser send requests to 127.0.0.1. Another page is recognised by its
Origin, and one whose name was rebound to this address by its Host
(https://owasp.org/www-community/attacks/DNS_rebinding).
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API = "/api/"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pass requests of the page itself; 403 for any other, 415 for bodies that are not JSON."""
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
            return _refused(403, f"the request was sent by another site ({site!r})")
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
    """Headers for every response. files: the origin of the attachments.

    Except for images, the page only loads its own files, and runs no inline scripts: a prompt that
    got past the escaping would still do nothing.
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
        # The files change with the checkout, and another project may use this address later.
        "Cache-Control": "no-store",
    }
