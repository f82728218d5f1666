"""The settings of what people can do with a result on Discord."""

from typing import Literal

from pydantic import Field

from bot.settings.api import ApiSettings


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
    report_channel: int | None = Field(
        default=None,
        ge=1,
        alias="IMAGEN_REPORT_CHANNEL",
        description="ID of the channel that gets reports of images. If unset, the bot's owner gets "
        "them as direct messages.",
    )
    previews_prompt: str = Field(
        default="portrait of a red fox in a forest, soft morning light",
        min_length=1,
        max_length=500,
        repr=False,
        alias="IMAGEN_PREVIEWS_PROMPT",
        description="What the preview pictures show that `/admin previews start` paints of each "
        "model and LoRA, for `/models` and `/loras`.",
    )
