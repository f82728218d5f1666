"""The settings of what people can do with a result on Discord."""

from typing import Literal

from pydantic import Field

from bot.settings.privacy import PrivacySettings


class ResultSettings(PrivacySettings):
    """See docs/settings.md."""

    buttons: Literal["everyone", "requester"] = Field(
        default="everyone",
        alias="IMAGEN_BUTTONS",
        description="Who may use the buttons below a result to make another image: `everyone` who "
        "may use the bot there, or only its `requester`.",
    )
    ping_after: float = Field(
        default=2,
        ge=0,
        le=1440,
        alias="IMAGEN_PING_AFTER",
        description="Minutes after which people are mentioned once when their image is ready, "
        "because editing a message notifies no one; `0` never does.",
    )
    report_channel: int | None = Field(
        default=None,
        ge=1,
        alias="IMAGEN_REPORT_CHANNEL",
        description="ID of the channel that gets reports of images. If unset, the bot's owner gets "
        "them as direct messages.",
    )
