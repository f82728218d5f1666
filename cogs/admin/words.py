"""/admin words: what may not be asked for anywhere, beside the owner's file."""

from discord import app_commands
from discord.app_commands import Choice

from bot.chat.client import ImagenBot, Interaction
from bot.store import OWNER
from cogs.admin.group import Commands, OwnersGroup, may_be_suggested
from cogs.blocking import Blocking, action_choices


class OwnersWords(OwnersGroup):
    """/admin words add, remove, list and test."""

    def __init__(self, blocking: Blocking) -> None:
        super().__init__(name="words", description="command.admin.words.description")
        self._blocking = blocking

    @app_commands.command(name="add", description="command.words.add.description")
    @app_commands.describe(word="command.words.add.word", action="command.words.add.action")
    async def add(self, interaction: Interaction, word: str, action: str | None = None) -> None:
        await self._blocking.add(interaction, OWNER, word, action)

    @app_commands.command(name="remove", description="command.words.remove.description")
    @app_commands.describe(word="command.words.remove.word")
    async def remove(self, interaction: Interaction, word: str) -> None:
        await self._blocking.remove(interaction, OWNER, word)

    @app_commands.command(name="list", description="command.words.list.description")
    async def show(self, interaction: Interaction) -> None:
        await self._blocking.show(interaction, OWNER)

    @app_commands.command(name="test", description="command.words.test.description")
    @app_commands.describe(text="command.words.test.text")
    async def test(self, interaction: Interaction, text: str) -> None:
        await self._blocking.test(interaction, OWNER, text)

    @remove.autocomplete("word")
    async def _complete(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if not await may_be_suggested(interaction):
            return []
        return await self._blocking.complete(OWNER, text)


def commands(bot: ImagenBot) -> Commands:
    backend, texts = bot.services.backend, bot.services.texts
    app_commands.choices(action=action_choices(texts))(OwnersWords.add)
    return (OwnersWords(Blocking(backend.words)),)
