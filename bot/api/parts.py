"""What the routes of every interface need."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from bot.api.callers import Callers
from bot.api.desk import Desk
from bot.health import Health
from bot.texts.language import Say


@dataclass(frozen=True, slots=True)
class Parts:
    """speaker: returns what speaks the language of a request's caller."""

    desk: Desk
    callers: Callers
    health: Health
    speaker: Callable[[Request], Say]
