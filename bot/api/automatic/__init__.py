"""AUTOMATIC1111's interface (`/sdapi/v1`), for the clients that people already have."""

from fastapi import APIRouter

from bot.api.automatic import looking, painting
from bot.api.automatic.problems import FORM
from bot.api.parts import Parts

PREFIX = "/sdapi/v1"

__all__ = ["FORM", "routes"]


def routes(parts: Parts) -> APIRouter:
    """The interface's router."""
    router = APIRouter(prefix=PREFIX)
    router.include_router(painting.routes(parts))
    router.include_router(looking.routes(parts))
    return router
