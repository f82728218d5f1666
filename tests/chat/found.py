"""What the command tree finds out about an interaction, for tests without one."""

from typing import Any

from bot.chat.contexts import Contexts
from bot.chat.here import KEPT, Here
from bot.levels import Place, Rules
from tests.language import TEXTS

ANYWHERE = Contexts(direct=True, elsewhere=True)


def found_here(*, nsfw: bool = False, rules: Rules | None = None) -> dict[str, Here]:
    """The `extras` of an interaction. rules: by default, nothing is set."""
    place = Place(person="discord:7", community="discord:2", channel_id=3)
    return {KEPT: Here(place, "en-US", TEXTS.speaker(), nsfw, rules or Rules())}


async def find_nothing(interaction: Any) -> None:
    """Stands for FindHere where nobody asks."""
