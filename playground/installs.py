"""Where the app is installed, in a server or by a user, and which commands it offers where.

https://docs.discord.com/developers/resources/application#installation-context and
https://docs.discord.com/developers/interactions/application-commands#interaction-contexts
"""

from typing import Any

from playground import permissions
from playground.accounts import Account
from playground.state import Channel, ChannelType, InteractionState
from playground.world import World

JsonObject = dict[str, Any]
GUILD_INSTALL, USER_INSTALL = 0, 1
GUILD, BOT_DM, PRIVATE_CHANNEL = 0, 1, 2
FOLLOWUPS = 5
"""Follow-up messages to an interaction that only a user's installation allows."""
APP_ABROAD = permissions.bits(
    "attach_files", "embed_links", "mention_everyone", "use_external_emojis"
)
"""What the app may do where the bot is not."""


def context_of(channel: Channel) -> int:
    """The context of an interaction there."""
    if channel.type is ChannelType.GROUP:
        return PRIVATE_CHANNEL
    return BOT_DM if channel.guild is None else GUILD


def owners(channel: Channel, user: Account, bot: Account) -> JsonObject:
    """``authorizing_integration_owners``: key 0 has the guild, or 0 for the DM with the bot; key 1
    the user who has installed the app."""
    found: JsonObject = {}
    if channel.guild is not None and bot.id in channel.guild.members:
        found["0"] = str(channel.guild.id)
    elif channel.type is ChannelType.DM:
        found["0"] = "0"
    if user.installed:
        found["1"] = str(user.id)
    return found


def owners_of(interaction: InteractionState, bot: Account) -> JsonObject:
    """The same of an interaction; of a component, those of the message that it is on."""
    before = interaction
    while before.source is not None and before.source.interaction is not None:
        before = before.source.interaction
    return owners(before.channel, before.user, bot)


def only_user(interaction: InteractionState, bot: Account) -> bool:
    """Whether only a user's installation allows it."""
    return "0" not in owners_of(interaction, bot)


def forced_ephemeral(interaction: InteractionState, bot: Account) -> bool:
    """Whether its responses are private, because the user may not use external apps there."""
    channel = interaction.channel
    if channel.guild is None or not only_user(interaction, bot):
        return False
    return not permissions.has(interaction.user, channel, "use_external_apps")


def app_permissions(channel: Channel, bot: Account) -> int:
    """``app_permissions`` of an interaction there."""
    guild = channel.guild
    abroad = bot.id not in guild.members if guild else channel.type is ChannelType.GROUP
    return APP_ABROAD if abroad else permissions.of(bot, channel)


def refusal(command: JsonObject, channel: Channel, user: Account, world: World) -> str | None:
    """Why a command is not offered to ``user`` there; None if it is."""
    name, place = command["name"], context_of(channel)
    contexts = command.get("contexts")
    if contexts is not None and place not in contexts:
        return f"/{name} is not offered in context {place}; only in {contexts}"
    if place != GUILD and command.get("dm_permission") is False:
        return f"/{name} is not offered in private channels"
    installed = {int(kind) for kind in owners(channel, user, world.bot)}
    offered = {*(command.get("integration_types") or [GUILD_INSTALL])}
    if not installed & offered:
        return f"/{name} is for installations {sorted(offered)}; there are {sorted(installed)}"
    return None
