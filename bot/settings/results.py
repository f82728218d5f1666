"""The settings of what people can do with a result on Discord."""

from typing import Literal

from pydantic import Field

from bot.settings.api import ApiSettings
from bot.settings.image_check import ImageCheckMode


class ResultSettings(ApiSettings):
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
    image_check: ImageCheckMode = Field(
        default=ImageCheckMode.OFF,
        alias="IMAGEN_IMAGE_CHECK",
        description="What to do with images that Stable Diffusion's safety checker flags, outside "
        "of age-restricted channels: `off` checks none, `spoiler` blurs them until someone clicks, "
        "`private` sends them to their person alone, and `refuse` deletes them. A server can be "
        "stricter, but not milder. An image that cannot be checked counts as flagged.",
    )
    report_channel: int | None = Field(
        default=None,
        ge=1,
        alias="IMAGEN_REPORT_CHANNEL",
        description="ID of the channel that gets reports of images. If unset, the bot's owner gets "
        "them as direct messages.",
    )
