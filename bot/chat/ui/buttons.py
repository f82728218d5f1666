"""Buttons below a job's message: how they look, and which job their ids name.

The cog that registers a component for an id decides what the button does.
"""

from dataclasses import dataclass
from typing import ClassVar

import discord

from bot.chat.ui.custom_id import CustomId, Routed
from bot.request import GenerationRequest, lighter
from bot.store import Job
from bot.texts.language import Say
from catalog.families import Family

OUT_OF_MEMORY = "memory.out"


@dataclass(frozen=True)
class CancelId(CustomId):
    """Cancels the job."""

    prefix: ClassVar[str] = "cancel"

    job_id: str


@dataclass(frozen=True)
class RetryId(CustomId):
    """Queues the failed job's request again, with lower memory needs."""

    prefix: ClassVar[str] = "lighter"  # existing messages carry it

    job_id: str


def cancel_view(say: Say, job_id: str) -> discord.ui.View:
    """The buttons below the message of a queued or running job."""
    view = discord.ui.View(timeout=None)
    button = discord.ui.Button[discord.ui.View](
        label=say("button.cancel"), custom_id=str(CancelId(job_id))
    )
    view.add_item(Routed(button))
    return view


def retry_view(say: Say, job: Job, family: Family) -> discord.ui.View | None:
    """For a job that ran out of GPU memory, a button to retry with less; otherwise None."""
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
    if less.pictures != request.pictures:
        return say("button.lighter.pictures", count=len(less.pictures))
    if less.adapters != request.adapters:
        return say("button.lighter.loras", count=len(less.adapters))
    return say("button.lighter.size", width=less.width, height=less.height)
