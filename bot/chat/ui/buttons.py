"""Buttons below the message of a job. Their ids carry what they do and to which job, so that they
work on messages from before a restart.

A click becomes an event of the client, to which the cog that knows what to do listens.
"""

import re
from typing import Any, Literal, Self

import discord

from bot.request import GenerationRequest, lighter
from bot.store import Job
from bot.texts.language import Say

OUT_OF_MEMORY = "memory.out"

Act = Literal["cancel", "lighter"]


class JobButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"(?P<act>cancel|lighter):(?P<job>[a-z0-9]{1,20})",
):
    """`cancel` or `lighter`: the event `<act>_click` with the interaction and the job's id."""

    def __init__(self, act: Act, job_id: str, label: str = "") -> None:
        style = discord.ButtonStyle.secondary if act == "cancel" else discord.ButtonStyle.primary
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"{act}:{job_id}"))
        self.act = act
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls("cancel" if match["act"] == "cancel" else "lighter", match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        interaction.client.dispatch(f"{self.act}_click", interaction, self.job_id)


def cancel_view(say: Say, job_id: str) -> discord.ui.View:
    """What stands below the message of a job that waits or runs."""
    view = discord.ui.View(timeout=None)
    view.add_item(JobButton("cancel", job_id, say("button.cancel")))
    return view


def retry_view(say: Say, job: Job) -> discord.ui.View | None:
    """What stands below a failed job: a lighter one to try, or nothing."""
    if job.error is None or job.error.code != OUT_OF_MEMORY:
        return None
    if (less := lighter(job.request)) is None:
        return None
    view = discord.ui.View(timeout=None)
    view.add_item(JobButton("lighter", job.id, _label(say, job.request, less)))
    return view


def _label(say: Say, request: GenerationRequest, less: GenerationRequest) -> str:
    if less.hires != request.hires:
        return say("button.lighter.hires")
    if less.adapters != request.adapters:
        return say("button.lighter.loras", count=len(less.adapters))
    return say("button.lighter.size", width=less.width, height=less.height)
