"""The settings of what people can do with a result on Discord, and of moderation there."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.image_check import ImageCheck
from bot.settings.values import Ids


class ResultSettings(BaseSettings):
    """See docs/settings.md."""

    buttons: Literal["everyone", "requester"] = Field(
        default="everyone",
        description="Who may use the buttons below a result to make another image: `everyone` who "
        "may use the bot there, or only its `requester`.",
    )
    blocked_in_negatives: bool = Field(
        default=True,
        description="Whether blocked words are also looked for in negative prompts: `true` or "
        "`false`.",
    )
    ping_after: float = Field(
        default=2,
        ge=0,
        le=1440,
        description="Minutes after which people are mentioned once when their image is ready, "
        "because editing a message notifies no one; `0` never does.",
    )
    image_check: ImageCheck = Field(
        default="off",
        description="What to do with images that Stable Diffusion's safety checker flags, outside "
        "of age-restricted channels: `off` checks none, `spoiler` blurs them until someone clicks, "
        "`private` sends them to their person alone, and `refuse` deletes them. A server can be "
        "stricter, but not milder. An image that cannot be checked counts as flagged.",
    )
    report_channel: int | None = Field(
        default=None,
        ge=1,
        description="ID of the channel that is told of what the bot's owners change with `/admin`, "
        "and of reports from servers that have no audit channel. If unset, the owners are told in "
        "direct messages.",
    )
    admin_servers: Ids = Field(
        default=(),
        description="IDs of servers, separated by commas, that have the command `/admin`, which "
        "only the owners of the bot's application may use. If unset, there is no such command.",
    )
    previews_prompt: str = Field(
        default="portrait of a red fox in a forest, soft morning light",
        min_length=1,
        max_length=500,
        repr=False,
        description="What the preview pictures show that `/admin previews start` paints of each "
        "model and LoRA, for `/models` and `/loras`.",
    )
