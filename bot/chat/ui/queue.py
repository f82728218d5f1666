"""The queue as users see it: what is running, what is waiting, and when yours will be ready."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, islice

import discord
from discord.app_commands import Choice

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.lanes import LaneView, lane_lines
from bot.chat.ui.markdown import one_line, seen, shortened
from bot.chat.ui.messages import BLURPLE, YELLOW
from bot.progress import Progress
from bot.queue import Ticket
from bot.store import CommandLine, Discord, Job, Previewing, discord_person
from bot.texts.language import Say

LISTED = 10
LANES_SHOWN = 8
PROMPT_SHOWN = 80
MODEL_SHOWN = 40
_POSITION = "\x00"
"""Stands for a position in a sentence; no file or text has it."""


def queue_embed(
    say: Say,
    line: Sequence[Ticket],
    *,
    running: Collection[str],
    user_id: int,
    sees: Callable[[Discord], bool],
    gated: Callable[[Job], bool],
    withheld: Callable[[Job], bool],
    paused: bool,
    nsfw: bool = False,
    resumes_at: int | None = None,
    lanes: Sequence[LaneView] = (),
) -> discord.Embed:
    """line: the whole queue, in the order expected. running: ids of the running jobs.

    Shows only the prompts of `user_id`, and of others nothing that they asked where the user does
    not see it. sees: whether the user does. gated: whether the names of a job's models and LoRAs
    may not be shown here, for their age restriction. withheld: whether its model may not be used
    here, and so is not named either. nsfw: whether here may be shown what was asked in an
    age-restricted channel. resumes_at: when the quiet hours end, in seconds since the epoch; None
    if it is not quiet. lanes: all; they are shown where there are several.
    """
    still = paused or resumes_at is not None
    embed = discord.Embed(title=say("line.title"), colour=YELLOW if still else BLURPLE)
    lines = []
    if paused:
        lines.append(say("line.paused"))
    elif resumes_at is not None:
        lines.append(say("line.quiet", when=resumes_at))
    if not line:
        lines.append(say("line.empty"))
    for ticket in line[:LISTED]:
        mark = "▶️" if ticket.job.id in running else f"**#{ticket.position}**"
        who = _who(say, ticket.job, user_id, sees)
        about = _about(ticket, _model(say, ticket.job, gated, withheld))
        lines.append(" · ".join([f"{mark} {who}", *about, *_ready(say, ticket.place)]))
    if len(line) > LISTED:
        lines.append(say("line.more", count=len(line) - LISTED))
    embed.description = "\n".join(lines)
    if len(lanes) > 1:
        shown = "\n".join(lane_lines(say, lanes, LANES_SHOWN))
        embed.add_field(name=say("line.lanes"), value=shown, inline=False)
    person = discord_person(user_id)
    own = [ticket for ticket in line if ticket.job.person == person]
    if own:
        yours = [
            " · ".join(
                [
                    "▶️" if ticket.job.id in running else f"**#{ticket.position}**",
                    say("line.restricted")
                    if _restricted(ticket.job, gated, nsfw=nsfw)
                    else one_line(ticket.job.request.prompt, PROMPT_SHOWN),
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
    text: str,
    say: Say,
    line: Sequence[Ticket],
    *,
    user_id: int,
    moderates: Callable[[Discord], bool],
    gated: Callable[[Job], bool],
    withheld: Callable[[Job], bool],
    nsfw: bool = False,
) -> list[Choice[str]]:
    """The jobs that the user may cancel, their own first.

    moderates: whether they may cancel what others asked there; it is asked once for each channel.
    gated, withheld, nsfw: as in `queue_embed`.
    """
    person = discord_person(user_id)
    own = (ticket for ticket in line if ticket.job.person == person)
    foreign = (ticket for ticket in line if ticket.job.person != person)
    named = chain(
        _named_by_prompt(say, own, gated, nsfw=nsfw),
        _named_by_model(say, _moderated(foreign, moderates), gated, withheld),
    )
    wanted = text.strip().casefold()
    # One at a time: there may be 10,000 jobs, and this is done for each letter that is typed.
    found = ((name, job_id) for name, job_id in named if wanted in name.casefold())
    return [
        Choice(name=shortened(name, CHOICE_LENGTH), value=job_id)
        for name, job_id in islice(found, CHOICES_MAX)
    ]


def _named_by_prompt(
    say: Say, line: Iterable[Ticket], gated: Callable[[Job], bool], *, nsfw: bool
) -> Iterator[tuple[str, str]]:
    """The names of jobs, and their ids."""
    for ticket in line:
        hidden = _restricted(ticket.job, gated, nsfw=nsfw)
        prompt = say("line.restricted") if hidden else _one_line(ticket)
        yield say("cancel.choice", position=ticket.position, prompt=prompt), ticket.job.id


def _named_by_model(
    say: Say,
    line: Iterable[Ticket],
    gated: Callable[[Job], bool],
    withheld: Callable[[Job], bool],
) -> Iterator[tuple[str, str]]:
    sentences: dict[str, str] = {}
    for ticket in line:
        model = _model(say, ticket.job, gated, withheld)
        if model not in sentences:
            # To form a sentence takes as long as all else for twenty jobs.
            sentences[model] = say("cancel.other", position=_POSITION, model=model)
        yield sentences[model].replace(_POSITION, str(ticket.position)), ticket.job.id


def _moderated(line: Iterable[Ticket], moderates: Callable[[Discord], bool]) -> Iterator[Ticket]:
    """Those that were asked where the user moderates."""
    known: dict[tuple[int | None, int | None], bool] = {}
    for ticket in line:
        asked = ticket.job.origin
        if isinstance(asked, Discord):
            channel = asked.guild_id, asked.channel_id
            if channel not in known:
                known[channel] = moderates(asked)
            if known[channel]:
                yield ticket


def _who(say: Say, job: Job, user_id: int, sees: Callable[[Discord], bool]) -> str:
    if isinstance(job.origin, CommandLine):
        return say("line.command")
    if isinstance(job.origin, Previewing):
        return say("previews.queue")
    if not isinstance(job.origin, Discord):
        return say("line.elsewhere")
    named = job.person == discord_person(user_id) or sees(job.origin)
    return f"<@{job.origin.user_id}>" if named else say("line.elsewhere")


def _restricted(job: Job, gated: Callable[[Job], bool], *, nsfw: bool) -> bool:
    """Whether the prompt may not be shown here, not even to its person: others may look on."""
    asked = isinstance(job.origin, Discord) and job.origin.age_restricted
    return gated(job) or (asked and not nsfw)


def _one_line(ticket: Ticket) -> str:
    return " ".join(seen(ticket.job.request.prompt).split())


def _model(
    say: Say, job: Job, gated: Callable[[Job], bool], withheld: Callable[[Job], bool]
) -> str:
    """What may be said here of what makes its images."""
    if gated(job):
        return say("line.gated")
    if job.request.describe is not None:
        return say("title.describe")
    return say("line.withheld") if withheld(job) else job.request.made_with


def _about(ticket: Ticket, model: str) -> list[str]:
    request = ticket.job.request
    width, height = request.final_size
    size = f"{width}×{height}" + (f" ×{request.images}" if request.images > 1 else "")
    return [one_line(model, MODEL_SHOWN), size]


def _ready(say: Say, place: Progress) -> list[str]:
    return [] if place.ready_at is None else [say("line.ready", when=place.ready_at)]
