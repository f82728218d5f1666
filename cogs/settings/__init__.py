"""/settings: what a person, a channel and a server set for themselves."""

from bot.chat.client import ImagenBot
from cogs.settings.commands import Settings
from cogs.settings.desk import SettingsDesk
from cogs.settings.panel import BackButton, FormEntered, GroupSelect, Picker, ResetButton, Value


async def setup(bot: ImagenBot) -> None:
    desk = SettingsDesk.of(bot)
    await bot.add_cog(Settings(desk))
    for kind in (GroupSelect, Picker, Value, ResetButton, BackButton, FormEntered):
        bot.components.add(kind(desk))
