"""Selects that ask which image of a result is meant, and what for."""

from collections.abc import Sequence
from typing import Any, Final

import discord

from bot.chat.ui.custom_id import CustomId, JobId, Routed
from bot.chat.ui.forms.fields import OPTION_LENGTH, OPTIONS_MAX
from bot.chat.ui.markdown import seen, shortened
from bot.request import CRISP, REPAINT, Cell, scales_for
from bot.store import ImageRecord, Job
from bot.texts.language import Say

HIRES: Final = "hires"
WAYS: Final = {CRISP: "pick.crisp", REPAINT: "pick.repaint", HIRES: "pick.hires"}
"""The ways to enlarge an image, and what they are called."""
STRENGTHS: Final = {"0.1": "pick.subtle", "0.2": "pick.medium", "0.4": "pick.strong"}
"""How far variations are from an image, and what that is called."""


class UseAsId(JobId):
    """Uses an image of a job's result; the value is `start 0`, `reference 0` or `control 0`."""

    prefix = "useas"


def uses_view(
    say: Say, job_id: str, images: Sequence[int], *, references: bool, controls: bool
) -> discord.ui.View:
    """images: numbers, from 0. references: whether reference images are set up here; controls:
    whether ControlNets are."""
    several = len(images) > 1
    start = "pick.start_n" if several else "pick.start"
    reference = "pick.reference_n" if several else "pick.reference"
    control = "pick.control_n" if several else "pick.control"
    roles = [("start", start)]
    roles += [("reference", reference)] if references else []
    roles += [("control", control)] if controls else []
    options = [
        discord.SelectOption(label=say(code, image=n + 1), value=f"{role} {n}")
        for role, code in roles
        for n in images
    ]
    return select_view(UseAsId(job_id), options)


class EnlargeId(JobId):
    """Enlarges an image of a job's result; the value is `0 crisp 2`: number, way and scale."""

    prefix = "enlarge"


class VaryById(JobId):
    """Varies an image of a job's result; the value is `0 0.2`: number and strength."""

    prefix = "varyby"


class OpenCellId(JobId):
    """Opens an image of a comparison; the value is its number."""

    prefix = "opencell"


class DescribePickId(JobId):
    """Describes an image of a job's result; the value is its number."""

    prefix = "describepick"


def describe_view(say: Say, job_id: str, images: Sequence[int]) -> discord.ui.View:
    """images: numbers, from 0."""
    options = [
        discord.SelectOption(label=say("pick.describe_n", image=n + 1), value=str(n))
        for n in images
    ]
    return select_view(DescribePickId(job_id), options)


def ways_view(say: Say, job: Job, images: Sequence[ImageRecord]) -> discord.ui.View | None:
    """The ways to enlarge each of `images`; None if all of them are too large already."""
    options = []
    for image in images:
        scales = scales_for(image.width, image.height)
        ways = [(CRISP, scale) for scale in (2.0, 4.0) if scale in scales]
        if job.request.model and 2.0 in scales:
            ways.append((REPAINT, 2.0))
        keeps = job.request.init_image and job.request.init_image.keeps
        if job.request.hires is None and job.request.upscale is None and not keeps:
            ways.append((HIRES, 1.5))
        for way, scale in ways:
            code = "pick.way" if len(images) == 1 else "pick.way_n"
            named = say(WAYS[way])
            label = say(code, way=named, scale=f"{scale:g}", image=image.n + 1)
            options.append(discord.SelectOption(label=label, value=f"{image.n} {way} {scale:g}"))
    return select_view(EnlargeId(job.id), options[:OPTIONS_MAX]) if options else None


def variations_view(say: Say, job_id: str, images: Sequence[int]) -> discord.ui.View:
    """How far to go from each of `images`, given by their numbers, from 0."""
    code = "pick.vary" if len(images) == 1 else "pick.vary_n"
    options = [
        discord.SelectOption(
            label=say(code, way=say(way), strength=strength, image=n + 1), value=f"{n} {strength}"
        )
        for n in images
        for strength, way in STRENGTHS.items()
    ]
    return select_view(VaryById(job_id), options[:OPTIONS_MAX])


def cell_select(say: Say, job: Job, cells: Sequence[Cell]) -> Routed:
    """Opens one image of a comparison."""
    options = [
        discord.SelectOption(
            label=shortened(seen(" · ".join(cell.values)), OPTION_LENGTH), value=str(cell.n)
        )
        for cell in cells
    ]
    return Routed(
        discord.ui.Select[Any](
            custom_id=str(OpenCellId(job.id)), options=options, placeholder=say("pick.cell")
        )
    )


def select_view(custom_id: CustomId, options: Sequence[discord.SelectOption]) -> discord.ui.View:
    """One select, routed by its custom_id."""
    view = discord.ui.View(timeout=None)
    select = discord.ui.Select[Any](custom_id=str(custom_id), options=[*options])
    view.add_item(Routed(select))
    return view
