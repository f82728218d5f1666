"""The embeds of a job: status and failure; bot.chat.ui.result has its result."""

from collections.abc import Sequence
from dataclasses import replace

import discord

from bot.chat.ui.markdown import cut_at_word, cut_off, one_line, plain, seen, shortened, shown
from bot.progress import Notice, Progress
from bot.store import Job
from bot.texts.language import Say
from bot.texts.lines import status_line

BLURPLE = discord.Colour.blurple()
GREY = discord.Colour.light_grey()
RED = discord.Colour.red()
YELLOW = discord.Colour.gold()

BLOCKED = "delivery.blocked"
"""The failure of a job whose result a filter of the server has blocked."""
DESCRIPTION_MAX = 4_096
ALT_TEXT_MAX = 1_024
FAILED_SHOWN = 280
"""Characters of the prompt of a job that failed or was cancelled, as of one with a result."""
PROMPT_SHOWN = 2_500  # leaves room for the fields within the 6,000 characters of one message


def status_embed(
    say: Say,
    job: Job,
    progress: Progress,
    preview: str | None = None,
    note: str = "",
    *,
    hidden: bool = False,
) -> discord.Embed:
    """A queued or running job. preview: file name of the attachment with the preview image.

    note: a sentence about this job, shown in every state.
    hidden: leave out its prompt and names, which may not be shown in the channel any more.
    """
    embed = discord.Embed(title=_title(say, job), colour=BLURPLE)
    about = []
    if progress.resumes_at is not None and not progress.paused:
        about.append(say("status.resumes", when=progress.resumes_at))
    if progress.ready_at is not None:
        about.append(say("status.ready", when=progress.ready_at))
    if hidden:
        embed.description = say("status.hidden")
        progress = replace(progress, subject="…")
    else:
        progress = replace(progress, subject=one_line(progress.subject))
        embed.description = _prompt(job.request.prompt)
        about.append(_facts(say, job))
    # In the value, because Discord does not render timestamps in a field's name.
    value = "\n".join(about) or "\u200b"
    embed.add_field(name=status_line(say, progress), value=value, inline=False)
    if note:
        embed.add_field(name="\u200b", value=note, inline=False)
    embed.set_footer(text=job.id)
    if preview is not None:
        embed.set_image(url=f"attachment://{preview}")
    return embed


def failure_embed(say: Say, job: Job, *, hidden: bool = False) -> discord.Embed:
    """A failed or cancelled job: the reason in one sentence, and the request.

    What the server's filters have blocked is not repeated, or they would block this, too.
    hidden: as in `status_embed`; a reason that may name something is then left out as well.
    """
    if job.error is None:
        embed = discord.Embed(title=say("title.cancelled"), colour=GREY)
    else:
        if hidden and job.error.params:
            sentence = say("status.hidden")
        else:
            sentence = say(job.error.code, **plain(job.error.params))
        embed = discord.Embed(
            title=say("title.failed"), description=cut_off(sentence, DESCRIPTION_MAX), colour=RED
        )
    if not hidden and (job.error is None or job.error.code != BLOCKED):
        prompt = cut_at_word(job.request.prompt, FAILED_SHOWN)
        embed.add_field(name=_facts(say, job), value=prompt, inline=False)
    embed.set_footer(text=job.id)
    return embed


def sentences(say: Say, notices: Sequence[Notice]) -> list[str]:
    """Each warning of a result as a sentence."""
    return [f"⚠️ {say(notice.code, **plain(notice.params))}" for notice in notices]


def alt_text(prompt: str) -> str:
    """What an image shows, for people who do not see it."""
    return shortened(seen(prompt), ALT_TEXT_MAX) or "…"


def _title(say: Say, job: Job) -> str:
    if job.kind == "vary" and job.request.variation is not None:
        return say("title.variations")
    return say(f"title.{job.kind}")


def _facts(say: Say, job: Job) -> str:
    """`sdxl-base · 1024×1024 · Seed 42`, for status and failure messages."""
    request = job.request
    if request.describe is not None:
        return say(f"describe.styles.{request.describe.style}")
    part_only = request.init_image and request.init_image.area
    width, height = request.final_size if part_only else (request.width, request.height)
    parts = [
        request.made_with,
        f"{width}×{height}",
        f"{say('result.seed')} {request.base_seed}",
    ]
    if request.variation is not None:
        parts.append(f"{say('result.variation')} {request.mixed_in}")
    parts += [str(use) for use in request.adapters]
    return one_line(" · ".join(parts), 256)


def _prompt(prompt: str) -> str:
    return shown(prompt, PROMPT_SHOWN)
