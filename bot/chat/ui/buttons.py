"""Buttons below the message of a job: how they look, and which job their ids name.

What pressing one does is up to the cog that adds a component for that id.
"""

from dataclasses import dataclass
from typing import ClassVar

import discord

from bot.chat.ui.custom_id import CustomId, Routed
from bot.request import GenerationRequest, lighter
from bot.store import Job
from bot.texts.language import Say
from catalog.families import DEFAULT, Family

OUT_OF_MEMORY = "memory.out"


@dataclass(frozen=True)
class CancelId(CustomId):
    """Cancels that job."""

    prefix: ClassVar[str] = "cancel"

    job_id: str


@dataclass(frozen=True)
class RetryId(CustomId):
    """Queues the request of that failed job again, with less of what needs memory."""

    prefix: ClassVar[str] = "lighter"  # what the first messages said

    job_id: str


def cancel_view(say: Say, job_id: str) -> discord.ui.View:
    """What stands below the message of a job that waits or runs."""
    view = discord.ui.View(timeout=None)
    button = discord.ui.Button[discord.ui.View](
        label=say("button.cancel"), custom_id=str(CancelId(job_id))
    )
    view.add_item(Routed(button))
    return view


def retry_view(say: Say, job: Job, family: Family = DEFAULT) -> discord.ui.View | None:
    """What stands below a job that ran out of memory: a retry with less; None below any other."""
    if job.error is None or job.error.code != OUT_OF_MEMORY:
        return None
    if (less := lighter(job.request, family)) is None:
        return None
    view = discord.ui.View(timeout=None)
    button = discord.ui.Button[discord.ui.View](
        label=_label(say, job.request, less),
        style=discord.ButtonStyle.primary,
        custom_id=str(RetryId(job.id)),
    )
    view.add_item(Routed(button))
    return view


def _label(say: Say, request: GenerationRequest, less: GenerationRequest) -> str:
    if less.hires != request.hires:
        return say("button.lighter.hires")
    if less.adapters != request.adapters:
        return say("button.lighter.loras", count=len(less.adapters))
    return say("button.lighter.size", width=less.width, height=less.height)
