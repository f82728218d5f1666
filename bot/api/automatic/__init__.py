"""AUTOMATIC1111's interface (`/sdapi/v1`), for the clients that people already have, and what its
extension for ControlNets tells (`/controlnet`)."""

from fastapi import APIRouter

from bot.api.automatic import extension, looking, painting
from bot.api.automatic.problems import FORM
from bot.api.parts import Parts

PREFIX = "/sdapi/v1"

__all__ = ["FORM", "routes"]


def routes(parts: Parts) -> APIRouter:
    """The interface's router."""
    router = APIRouter()
    for part in (painting, looking):
        router.include_router(part.routes(parts), prefix=PREFIX)
    router.include_router(extension.routes(parts))
    return router
