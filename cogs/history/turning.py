"""The buttons that turn the pages of a list."""

from bot.chat.client import Interaction
from bot.chat.components import Component
from bot.chat.ui.history import HistoryPageId
from cogs.history.lists import Lists


class PageButton(Component[HistoryPageId]):
    ids = HistoryPageId

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def check(self, interaction: Interaction, custom_id: HistoryPageId) -> None:
        self._lists.results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: HistoryPageId) -> None:
        await self._lists.turn(interaction, custom_id)
