"""What the routes of every interface need."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request

from bot.api.callers import Callers
from bot.api.desk import Desk
from bot.health import Health
from bot.texts.language import Say

if TYPE_CHECKING:
    from bot.distributed.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Parts:
    """speaker: returns what speaks the language of a request's caller. inventory: of the files
    that workers may fetch; None where there are no workers.
    """

    desk: Desk
    callers: Callers
    health: Health
    speaker: Callable[[Request], Say]
    inventory: "Inventory | None" = None
