"""The settings of the connection to Discord."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from bot.settings.values import DiscordUrl, ProxyUrl

DISCORD_API_URL = "https://discord.com/api/v10"


class ConnectionSettings(BaseSettings):
    """See docs/settings.md."""

    token: SecretStr | None = Field(
        default=None,
        alias="DISCORD_TOKEN",
        description="The bot's token, from https://discord.com/developers/applications. Only "
        "`run` and `sync` need it.",
    )
    api_url: DiscordUrl = Field(
        default=DISCORD_API_URL,
        alias="DISCORD_API_URL",
        description="Base URL of Discord's REST API. The bot asks it for the gateway's address.",
    )
    proxy: ProxyUrl | None = Field(
        default=None,
        repr=False,
        alias="DISCORD_PROXY",
        description="HTTP proxy for all traffic with Discord, e.g. `http://127.0.0.1:3128`.",
    )
    guild_id: int | None = Field(
        default=None,
        ge=1,
        alias="DISCORD_GUILD_ID",
        description="ID of one server to register the commands in. If unset, they are registered "
        "globally.",
    )
    presence: bool = Field(
        default=True,
        description="Whether the bot's status says which model is loaded and how many requests "
        "wait: `true` or `false`. Everyone in its servers sees it, so it names no model that is "
        "only for age-restricted channels, or that any server or channel does not allow.",
    )
