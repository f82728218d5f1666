"""What the menu of a message offers under Apps: the actions on a result without its buttons.

It also serves results from before there were buttons. *Image info* reads anybody's images.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import locale_str

from bot.chat.client import ImagenBot, Interaction
from bot.errors import Refused
from bot.store import Job
from bot.texts.language import Texts
from cogs.delete import deleting_of
from cogs.edit import Editor
from cogs.info import image_infos_of
from cogs.results import Results

Act = Callable[[Interaction, Job], Awaitable[None]]


def command(texts: Texts, code: str, results: Results, act: Act) -> app_commands.ContextMenu:
    """A message command with the name `code` that acts on the result which the message shows."""

    async def callback(interaction: Interaction, message: discord.Message) -> None:
        job = await results.shown_by(interaction, message)
        if job is None:
            raise Refused("action.not_a_result")
        await act(interaction, job)

    name = locale_str(texts.speaker()(code), code=code)
    return app_commands.ContextMenu(name=name, callback=callback)


async def setup(bot: ImagenBot) -> None:
    results, editor, deleting = Results.of(bot), Editor.of(bot), deleting_of(bot)

    async def again(interaction: Interaction, job: Job) -> None:
        results.check_may_ask(interaction)
        job = await results.shown(interaction, job.id)
        await results.repeat(interaction, job, same_seed=True)

    async def edit(interaction: Interaction, job: Job) -> None:
        results.check_may_ask(interaction)
        await editor.open_for(interaction, await results.shown(interaction, job.id))

    async def use(interaction: Interaction, job: Job) -> None:
        results.check_may_ask(interaction)
        await editor.ask_use(interaction, await results.shown(interaction, job.id))

    acts: dict[str, Any] = {
        "menu.again": again,
        "menu.edit": edit,
        "menu.use": use,
        "menu.delete": deleting.ask,
    }
    for code, act in acts.items():
        bot.tree.add_command(command(bot.services.texts, code, results, act))
    infos = image_infos_of(bot)

    async def info(interaction: Interaction, message: discord.Message) -> None:
        results.check_may_use(interaction)
        await infos.of_message(interaction, message)

    name = locale_str(bot.services.texts.speaker()("menu.info"), code="menu.info")
    bot.tree.add_command(app_commands.ContextMenu(name=name, callback=info))
