"""A small bot with the real discord.py and one of everything that the playground must serve."""

import asyncio
import io
import sys
from typing import Any

import discord
import yarl
from discord import app_commands
from discord.ext import commands

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000300000002080200000012165e"
    "2c0000000c49444154789c6360a01e0000003e0001d1b5a5a00000000049454e44ae426082"
)


def picture(name: str = "fox.png", *, text: str | None = None, data: bytes = PNG) -> discord.File:
    return discord.File(io.BytesIO(data), filename=name, description=text)


class Form(discord.ui.Modal, title="Change it"):
    prompt: discord.ui.TextInput["Form"] = discord.ui.TextInput(
        label="Prompt", custom_id="prompt", max_length=20
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"form said {self.prompt.value}")


class Panel(discord.ui.View):
    @discord.ui.button(label="Again", custom_id="again", emoji="🔁")
    async def again(self, interaction: discord.Interaction, _: Any) -> None:
        await interaction.response.defer()
        await interaction.followup.send("done again")

    @discord.ui.button(label="Flip", custom_id="flip")
    async def flip(self, interaction: discord.Interaction, _: Any) -> None:
        await interaction.response.edit_message(content="flipped", view=None)

    @discord.ui.button(label="Form", custom_id="form")
    async def form(self, interaction: discord.Interaction, _: Any) -> None:
        await interaction.response.send_modal(Form())

    @discord.ui.button(label="Grey", custom_id="grey", disabled=True)
    async def grey(self, interaction: discord.Interaction, _: Any) -> None:
        raise AssertionError("cannot be pressed")

    @discord.ui.select(
        custom_id="style",
        options=[discord.SelectOption(label="Oil"), discord.SelectOption(label="Ink")],
        max_values=2,
    )
    async def style(self, interaction: discord.Interaction, menu: Any) -> None:
        await interaction.response.send_message(",".join(menu.values), ephemeral=True)

    @discord.ui.select(cls=discord.ui.UserSelect, custom_id="who")
    async def who(self, interaction: discord.Interaction, menu: Any) -> None:
        await interaction.response.send_message(menu.values[0].name, ephemeral=True)


class Bot(commands.AutoShardedBot):
    """Records what it sees; ``errors`` are the exceptions of its commands and callbacks."""

    def __init__(self, intents: discord.Intents | None = None, **options: Any) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            intents=intents
            or discord.Intents(guilds=True, guild_messages=True, guild_reactions=True),
            guild_ready_timeout=0.05,
            help_command=None,
            **options,
        )
        self.seen: list[tuple[str, Any]] = []
        self.errors: list[BaseException] = []
        self.news = asyncio.Event()
        self.gate = asyncio.Event()
        self.online = asyncio.Event()
        self.resumed = asyncio.Event()
        self.models = app_commands.Group(name="model", description="Models")
        self.tree.add_command(self.models)
        self.tree.on_error = self._failed  # type: ignore[method-assign]
        add_commands(self)

    async def _failed(self, _: discord.Interaction, error: BaseException) -> None:
        self.errors.append(getattr(error, "original", error))
        self.see("error", getattr(error, "original", error))

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Without discord.py's five seconds between two IDENTIFYs."""

    async def setup_hook(self) -> None:
        self.add_view(Panel(timeout=None))
        await self.tree.sync()

    async def on_ready(self) -> None:
        self.online.set()

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        self.see("react", (payload.user_id, payload.message_id, str(payload.emoji)))

    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        self.see("unreact", (payload.user_id, payload.message_id, str(payload.emoji)))

    async def on_message(self, message: discord.Message) -> None:
        self.see("message", message)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        self.see("delete", payload.message_id)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        self.see("channel_delete", channel.id)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        self.see("guild_remove", guild.id)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self.see("guild_join", guild.id)

    async def on_shard_resumed(self, _: int) -> None:
        self.resumed.set()

    def see(self, kind: str, value: Any) -> None:
        self.seen.append((kind, value))
        self.news.set()

    def all(self, kind: str) -> list[Any]:
        return [value for name, value in self.seen if name == kind]

    async def first(self, kind: str) -> Any:
        """Wait for the first event of that kind."""
        async with asyncio.timeout(10):
            while not (found := self.all(kind)):
                self.news.clear()
                await self.news.wait()
        return found[0]


def add_commands(bot: Bot) -> None:
    tree = bot.tree

    @tree.command(description="Echo every kind of option")
    @app_commands.choices(
        pick=[app_commands.Choice(name="One", value=1), app_commands.Choice(name="Two", value=2)]
    )
    async def options(
        interaction: discord.Interaction,
        text: app_commands.Range[str, 2, 10],
        whole: app_commands.Range[int, 1, 9] = 1,
        real: app_commands.Range[float, 0.5, 2.5] = 1.0,
        yes: bool = False,
        who: discord.Member | None = None,
        role: discord.Role | None = None,
        place: discord.TextChannel | None = None,
        any_of: discord.Member | discord.Role | None = None,
        file: discord.Attachment | None = None,
        pick: int = 0,
    ) -> None:
        size = len(await file.read()) if file else 0
        names = [getattr(x, "name", None) for x in (who, role, place, any_of)]
        await interaction.response.send_message(
            f"{text} {whole} {real} {yes} {names} {size} {pick}"
        )

    @tree.command(description="Defer, then show a picture")
    async def paint(interaction: discord.Interaction, prompt: str, lora: str = "") -> None:
        await interaction.response.defer(thinking=True)
        await bot.gate.wait()
        await interaction.edit_original_response(
            content=prompt, attachments=[picture(text=prompt)], view=Panel(timeout=None)
        )

    @paint.autocomplete("lora")
    async def lora(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        prompt = interaction.namespace.prompt
        return [app_commands.Choice(name=f"{typed} for {prompt}", value=f"{typed}-1")]

    @tree.command(description="Only you see it")
    async def secret(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.followup.send("hush")
        await interaction.followup.send("more", ephemeral=True)

    @tree.command(description="Buttons at once")
    async def panel(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("panel", view=Panel(timeout=None))

    @tree.command(description="Too late")
    async def slow(interaction: discord.Interaction) -> None:
        await bot.gate.wait()
        await interaction.response.send_message("late")

    @tree.command(description="Age-restricted", nsfw=True)
    async def adult(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("ok")

    @bot.models.command(name="info", description="A subcommand")
    async def info(interaction: discord.Interaction, name: str) -> None:
        await interaction.response.send_message(f"about {name}")

    @tree.context_menu(name="Recipe")
    async def recipe(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"of {message.id}", ephemeral=True)

    @tree.context_menu(name="Gallery")
    async def gallery(interaction: discord.Interaction, user: discord.User) -> None:
        await interaction.response.send_message(f"of {user.name}", ephemeral=True)


def main(api_url: str, gateway_url: str, token: str) -> None:
    """Run as a separate process, which needs only the addresses and the token."""
    discord.http.Route.BASE = api_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)
    bot = Bot()
    bot.gate.set()
    bot.run(token, log_handler=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
