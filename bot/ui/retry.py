"""The button below a job that the memory did not suffice for: the same, but lighter."""

import re
from typing import Any, Self

import discord

from bot.request import GenerationRequest, lighter
from bot.store import Job
from bot.ui.language import Say

OUT_OF_MEMORY = "memory.out"


class LighterButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"lighter:(?P<job>[a-z0-9]{1,20})"
):
    """Asks for a lighter job: the event `lighter_click` with the interaction and the job's id."""

    def __init__(self, job_id: str, label: str = "") -> None:
        super().__init__(
            discord.ui.Button(
                label=label, style=discord.ButtonStyle.primary, custom_id=f"lighter:{job_id}"
            )
        )
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        interaction.client.dispatch("lighter_click", interaction, self.job_id)


def retry_view(say: Say, job: Job) -> discord.ui.View | None:
    """What stands below a failed job: a lighter one to try, or nothing."""
    if job.error is None or job.error.code != OUT_OF_MEMORY:
        return None
    if (less := lighter(job.request)) is None:
        return None
    view = discord.ui.View(timeout=None)
    view.add_item(LighterButton(job.id, _label(say, job.request, less)))
    return view


def _label(say: Say, request: GenerationRequest, less: GenerationRequest) -> str:
    if less.hires != request.hires:
        return say("button.lighter.hires")
    if less.adapters != request.adapters:
        return say("button.lighter.loras", count=len(less.adapters))
    return say("button.lighter.size", width=less.width, height=less.height)
