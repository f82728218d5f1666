"""Buttons below a job's message: how they look, and which job their ids name.

The cog that registers a component for an id decides what the button does.
"""

import discord

from bot.chat.ui.actions import EditId, routed_button
from bot.chat.ui.custom_id import JobId
from bot.request import GenerationRequest, lighter
from bot.store import Job
from bot.texts.language import Say
from catalog.families import Family

OUT_OF_MEMORY = "memory.out"
UNREADABLE = "job.unreadable"
"""The failure of a job whose request is not known any more."""


class CancelId(JobId):
    """Cancels the job."""

    prefix = "cancel"


class RetryId(JobId):
    """Queues the failed job's request again, with lower memory needs."""

    prefix = "lighter"  # existing messages carry it


class AnewId(JobId):
    """Queues the failed job's request again, as it is."""

    prefix = "anew"


def cancel_view(say: Say, job_id: str) -> discord.ui.View:
    """The buttons below the message of a queued or running job."""
    view = discord.ui.View(timeout=None)
    view.add_item(routed_button(say("button.cancel"), CancelId(job_id)))
    return view


def failed_view(say: Say, job: Job, family: Family) -> discord.ui.View | None:
    """Ways on from a job that failed: to retry it, with less where it ran out of GPU memory, and to
    change it. None if it was cancelled, or nothing of it can be asked for again."""
    if job.error is None or job.error.code == UNREADABLE:
        return None
    view = discord.ui.View(timeout=None)
    if job.error.code != OUT_OF_MEMORY:
        view.add_item(routed_button(say("button.retry"), AnewId(job.id), "🔁"))
    elif (less := lighter(job.request, family)) is not None:
        label = _label(say, job.request, less)
        view.add_item(routed_button(label, RetryId(job.id), style=discord.ButtonStyle.primary))
    if job.request.upscale is None and job.request.describe is None:
        view.add_item(routed_button(say(EditId.label), EditId(job.id), EditId.emoji))
    return view if view.children else None


def _label(say: Say, request: GenerationRequest, less: GenerationRequest) -> str:
    if less.hires != request.hires:
        return say("button.lighter.hires")
    if less.detail != request.detail:
        return say("button.lighter.detail")
    if less.pictures != request.pictures:
        return say("button.lighter.pictures", count=len(less.pictures))
    if less.controls != request.controls:
        return say("button.lighter.controls", count=len(less.controls))
    if less.adapters != request.adapters:
        return say("button.lighter.loras", count=len(less.adapters))
    return say("button.lighter.size", width=less.width, height=less.height)
