"""Levels: what holds in a place, resolved from what each level has set."""

from bot.levels.place import Place
from bot.levels.rules import Rules
from bot.settings.image_check import ImageCheckMode
from bot.store import Store


class Levels:
    """Reads what the levels have set."""

    def __init__(self, store: Store, image_check: ImageCheckMode) -> None:
        self._store = store
        self._image_check = image_check

    async def rules(self, place: Place) -> Rules:
        """What holds for that person in that place."""
        return Rules(image_check=self._image_check)
