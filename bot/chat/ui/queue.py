"""The queue as users see it: what is running, what is waiting, and when yours will be ready."""

from collections.abc import Collection, Sequence

import discord
from discord.app_commands import Choice

from bot.chat.ui.markdown import escaped, shortened, shown
from bot.chat.ui.messages import BLURPLE, YELLOW
from bot.progress import Progress
from bot.queue import Ticket
from bot.store import CommandLine, Discord, Job, discord_person
from bot.texts.language import Say

LISTED = 10
PROMPT_SHOWN = 80
MODEL_SHOWN = 40
CHOICES_MAX = 25
CHOICE_LENGTH = 100


def queue_embed(
    say: Say,
    line: Sequence[Ticket],
    *,
    running: Collection[str],
    user_id: int,
    guild_id: int | None,
    paused: bool,
) -> discord.Embed:
    """line: the whole queue, in the order expected. running: ids of the running jobs.

    Shows only the prompts of `user_id`, and only the names of users in the server `guild_id`.
    """
    embed = discord.Embed(title=say("line.title"), colour=YELLOW if paused else BLURPLE)
    lines = [say("line.paused")] if paused else []
    if not line:
        lines.append(say("line.empty"))
    for ticket in line[:LISTED]:
        mark = "▶️" if ticket.job.id in running else f"**#{ticket.position}**"
        who = _who(say, ticket.job, guild_id)
        lines.append(" · ".join([f"{mark} {who}", *_about(ticket), *_ready(say, ticket.place)]))
    if len(line) > LISTED:
        lines.append(say("line.more", count=len(line) - LISTED))
    embed.description = "\n".join(lines)
    person = discord_person(user_id)
    own = [ticket for ticket in line if ticket.job.person == person]
    if own:
        yours = [
            " · ".join(
                [
                    "▶️" if ticket.job.id in running else f"**#{ticket.position}**",
                    shown(_one_line(ticket), PROMPT_SHOWN),
                    *_ready(say, ticket.place),
                ]
            )
            for ticket in own[: LISTED // 2]
        ]
        if len(own) > len(yours):
            yours.append(say("line.more", count=len(own) - len(yours)))
        embed.add_field(name=say("line.yours"), value="\n".join(yours), inline=False)
        embed.set_footer(text=say("line.hint"))
    return embed


def job_choices(
    text: str, say: Say, line: Sequence[Ticket], *, user_id: int, others: int | None
) -> list[Choice[str]]:
    """The jobs that the user may cancel, their own first.

    others: the server in which they may cancel all jobs; None for own jobs only.
    """
    wanted, person = text.strip().casefold(), discord_person(user_id)
    own, foreign = [], []
    for ticket in line:
        if ticket.job.person == person:
            name = say("cancel.choice", position=ticket.position, prompt=_one_line(ticket))
            own.append((name, ticket.job.id))
        elif others is not None and _guild_of(ticket.job) == others:
            name = say("cancel.other", position=ticket.position, model=ticket.job.request.model)
            foreign.append((name, ticket.job.id))
    return [
        Choice(name=shortened(name, CHOICE_LENGTH), value=job_id)
        for name, job_id in (*own, *foreign)
        if wanted in name.casefold()
    ][:CHOICES_MAX]


def _who(say: Say, job: Job, guild_id: int | None) -> str:
    if isinstance(job.origin, CommandLine):
        return say("line.command")
    if not isinstance(job.origin, Discord):
        return say("line.elsewhere")
    there = job.origin.guild_id == guild_id
    return f"<@{job.origin.user_id}>" if there else say("line.elsewhere")


def _guild_of(job: Job) -> int | None:
    return job.origin.guild_id if isinstance(job.origin, Discord) else None


def _one_line(ticket: Ticket) -> str:
    return " ".join(ticket.job.request.prompt.split())


def _about(ticket: Ticket) -> list[str]:
    request = ticket.job.request
    width, height = request.final_size
    size = f"{width}×{height}" + (f" ×{request.count}" if request.count > 1 else "")
    return [escaped(shortened(request.model, MODEL_SHOWN)), size]


def _ready(say: Say, place: Progress) -> list[str]:
    return [] if place.ready_at is None else [say("line.ready", when=place.ready_at)]
