"""The result of a job: its images first and largest, then what made them, then what one can do.

Built of Discord's components (docs, components/reference.mdx), which show it in this order. Nothing
but the images has to be read: the prompt is cut, and the whole of it is in the file and in the
details.
"""

from collections.abc import Sequence
from typing import Any

import discord

from bot.chat.ui.actions import DIRECT, SHOWN, Rows, action_rows
from bot.chat.ui.facts import facts_line
from bot.chat.ui.markdown import cut_at_word, cut_off, escaped
from bot.chat.ui.messages import alt_text
from bot.chat.ui.picking import cell_select
from bot.request import Cell, GenerationRequest
from bot.store import ImageRecord, Job
from bot.texts.language import Say
from bot.texts.lines import compared_line
from catalog import ModelEntry

PROMPT_SHOWN = 280
DRAWN_SHOWN = 160
NEGATIVE_SHOWN = 120
FACTS_SHOWN = 900
NOTES_SHOWN = 1_200


def result_layout(
    say: Say,
    job: Job,
    images: Sequence[ImageRecord],
    *,
    files: Sequence[str],
    model: ModelEntry | None,
    upscaler: str | None = None,
    cells: Sequence[Cell] = (),
    notes: Sequence[str] = (),
    heading: str | None = None,
    spoiler: bool = False,
    compact: bool = False,
    actions: Rows = SHOWN,
) -> discord.ui.LayoutView:
    """A finished job as a message.

    images: that it shows. files: the names of the attachments with them. model: the entry of the
    request's; None if the catalog has it no more. upscaler: the name of what enlarged it. cells:
    those of a comparison that can be opened. notes: sentences, such as warnings, how a repeat
    compares, and which files were re-encoded. heading: stands above everything. spoiler: blurs the
    images until someone clicks. compact: leaves out what made them. actions: the buttons that are
    offered.
    """
    request = job.request
    view = discord.ui.LayoutView(timeout=None)
    if heading:
        view.add_item(discord.ui.TextDisplay(heading))
    if files:
        items = [
            discord.MediaGalleryItem(
                f"attachment://{name}",
                description=_alt_text(request.alone(n).prompt, n, len(files), say),
                spoiler=spoiler,
            )
            for n, name in enumerate(files)
        ]
        view.add_item(discord.ui.MediaGallery(*items))
    if not compact:
        if request.prompt:
            view.add_item(discord.ui.TextDisplay(_prompts(request, len(images))))
        view.add_item(discord.ui.TextDisplay(_small(say, request, model, upscaler, images)))
    if notes:
        said = discord.ui.TextDisplay[discord.ui.LayoutView](cut_off("\n".join(notes), NOTES_SHOWN))
        colour = discord.Colour.gold() if job.warnings else None
        view.add_item(discord.ui.Container(said, accent_colour=colour))
    if cells and actions is not DIRECT:
        view.add_item(discord.ui.ActionRow[Any](cell_select(say, job, cells)))
    for row in action_rows(say, job.id, actions):
        view.add_item(row)
    return view


def _prompts(request: GenerationRequest, count: int) -> str:
    """The prompt; one for each image where they were drawn differently."""
    if not request.others:
        return cut_at_word(request.prompt, PROMPT_SHOWN)
    each = [request.alone(n).prompt for n in range(count)]
    return "\n".join(f"{n}. {cut_at_word(one, DRAWN_SHOWN)}" for n, one in enumerate(each, 1))


def _small(
    say: Say,
    request: GenerationRequest,
    model: ModelEntry | None,
    upscaler: str | None,
    images: Sequence[ImageRecord],
) -> str:
    """The facts in small print, and the negative prompt, unless it is the model's own."""
    seeds = [image.seed for image in images] if request.comparison is None else [request.seed]
    name = upscaler if not request.model else None
    axes = request.comparison.axes if request.comparison else ()
    lines = [facts_line(say, request, model, seeds, name, {axis.name for axis in axes})]
    if request.comparison is not None:
        lines.insert(0, escaped(compared_line(say, request.comparison)))
    if request.negative and (model is None or request.negative != model.default_negative):
        negative = cut_at_word(" ".join(request.negative.split()), NEGATIVE_SHOWN)
        lines.append(say("facts.negative", negative=negative))
    return "\n".join(f"-# {cut_off(line, FACTS_SHOWN)}" for line in lines)


def _alt_text(prompt: str, n: int, count: int, say: Say) -> str:
    """What image `n` of `count` shows, for people who do not see it."""
    which = f"{say('status.image', image=n + 1, count=count)}: " if count > 1 else ""
    return alt_text(which + prompt)
