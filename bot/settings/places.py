"""The settings of where on Discord people can use the bot."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class PlaceSettings(BaseSettings):
    """See docs/settings.md."""

    direct_messages: bool = Field(
        default=True,
        description="Whether people who share a server with the bot can also use it in direct "
        "messages: `true` or `false`. Limits per person hold there as well; what a server has set "
        "does not. With `DISCORD_GUILD_ID`, they never can.",
    )
    user_install: bool = Field(
        default=False,
        description="Whether people can install the bot for themselves and use it in any server "
        "or group, also where it is not a member: `true` or `false`. Anyone on Discord can then "
        "use this GPU, unless a role is required. With `DISCORD_GUILD_ID`, they never can.",
    )
    welcome: Literal["inviter", "channel", "none"] = Field(
        default="channel",
        description="Who gets a first message when the bot joins a server: the server's "
        "`channel` for system messages; its `inviter`, which takes the permission *View Audit Log* "
        "and is the channel without it; or `none`.",
    )
