"""Buttons whose ids carry what they are for, so that they work on messages from before a restart.

A click becomes an event of the client, to which the cog that knows what to do listens.
"""

import re
from typing import Any, Self

import discord

from bot.ui.language import Say


class CancelButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"cancel:(?P<job>[a-z0-9]{1,20})"
):
    """Cancels one job: the event `cancel_click` with the interaction and the job's id."""

    def __init__(self, job_id: str, label: str = "") -> None:
        super().__init__(
            discord.ui.Button(
                label=label, style=discord.ButtonStyle.secondary, custom_id=f"cancel:{job_id}"
            )
        )
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        interaction.client.dispatch("cancel_click", interaction, self.job_id)


def cancel_view(say: Say, job_id: str) -> discord.ui.View:
    """What stands below the message of a job that waits or runs."""
    view = discord.ui.View(timeout=None)
    view.add_item(CancelButton(job_id, say("button.cancel")))
    return view
