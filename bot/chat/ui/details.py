"""The details of a result: everything it was made with, and whether it would be the same today."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import discord

from bot.chat.ui.facts import chosen_values, typed_seeds, variations
from bot.chat.ui.markdown import code, cut_off, one_line, plain, seen, shown
from bot.recipe import Weights
from bot.request import MASKED, GenerationRequest
from bot.request.controlling import untypable
from bot.request.drawing import typed_again
from bot.store import Discord, ImageRecord, Job
from bot.texts.language import Say
from bot.today import Today
from catalog.controlnets import ControlNets

PROMPT_SHOWN = 1_500
NEGATIVE_SHOWN = 500
FIELD_SHOWN = 700
"""All of them together stay below the 6,000 characters of one message; the file has everything."""
COMMAND_MAX = 1_900
"""What is left of a message's 2,000 characters for the command."""


def details_embed(
    say: Say, job: Job, images: Sequence[ImageRecord], today: Today | None
) -> discord.Embed:
    """today: None if the job has no recipe to compare with."""
    request = job.request
    embed = discord.Embed(
        title=say("details.title"), description=shown(request.prompt, PROMPT_SHOWN)
    )
    if request.template is not None and request.template.prompt is not None:
        typed = shown(request.template.prompt, NEGATIVE_SHOWN)
        embed.add_field(name=say("details.template"), value=typed, inline=False)
    if request.negative:
        negative = shown(request.negative, NEGATIVE_SHOWN)
        embed.add_field(name=say("result.negative"), value=negative, inline=False)
    embed.add_field(name=say("details.settings"), value=_settings(say, request), inline=False)
    seeds = [image.seed for image in images]
    for name, values in (
        ("result.seed", typed_seeds(request, seeds) if seeds else ()),
        ("result.variation", variations(request, seeds)),
    ):
        if values:
            copied = " ".join(f"`{value}`" for value in values)
            embed.add_field(name=say(name), value=cut_off(copied, FIELD_SHOWN), inline=False)
    if job.recipe is not None:
        made = job.recipe
        networks = (made.checkpoint, made.upscaler, made.vae, made.text_encoder)
        helping = (made.depth, made.pose, made.detector)
        weights = [*filter(None, (*networks, *helping)), *made.adapters, *made.embeddings]
        weights += [*made.reference, *made.controls]
        embed.add_field(name=say("details.files"), value=_hashes(weights), inline=False)
        facts = " · ".join(f"{key} {value}" for key, value in job.recipe.environment.items())
        embed.add_field(
            name=say("details.environment"), value=one_line(facts, FIELD_SHOWN) or "–", inline=False
        )
    if today is not None:
        embed.add_field(name=say("details.today"), value=today_sentence(say, today), inline=False)
    embed.add_field(name=say("result.asked_by"), value=f"<@{Discord.of(job.origin).user_id}>")
    embed.add_field(name=say("result.time"), value=say("result.seconds", seconds=job.seconds))
    embed.add_field(name=say("details.job"), value=code(job.id))
    return embed


def command_of(request: GenerationRequest) -> str | None:
    """`/imagine` with every option but the images, to paste; None if it does not fit, or is no
    request for `/imagine`."""
    if request.pictures or request.upscale or request.comparison:
        return None
    if len({use.sha256 for use in request.controls}) > 1:
        return None  # it takes one image to follow
    init, reference = request.init_image, request.reference
    prompt, negative = typed_again(request)
    options = {
        "prompt": " ".join([*seen(prompt).split(), *_flags(request)]),
        "model": request.model,
        "lora": ", ".join(str(use) for use in request.adapters),
        "negative": " ".join(seen(negative).split()),
        "steps": str(request.steps),
        "guidance": f"{request.guidance:g}",
        "seed": str(request.base_seed),
        "variation": request.mixed_in,
        "size": f"{request.width}x{request.height}",
        "count": str(request.count) if request.count > 1 else "",
        "scheduler": request.scheduler,
        "preset": request.preset or "",
        "hires": f"{request.hires.scale:g}" if request.hires else "",
        "strength": f"{init.strength:g}" if init else "",
        "extend": str(init.box) if init and init.box else "",
        "reference_weight": f"{reference.weight:g}" if reference else "",
        "control": ", ".join(map(str, request.controls)),
        "detail": ", ".join(map(str, request.detail)),
    }
    command = " ".join(["/imagine", *(f"{key}:{value}" for key, value in options.items() if value)])
    return command if len(command) <= COMMAND_MAX else None


def command_text(say: Say, request: GenerationRequest, controlnets: ControlNets) -> str | None:
    """The command to copy, with what to attach to it, or why it would be refused; None for none.

    controlnets: those that `/imagine` knows.
    """
    if (command := command_of(request)) is None:
        return None
    if names := untypable(request, controlnets):
        return say("details.untypable", **plain({"names": names}))
    text = f"```\n{command.replace('`', chr(39))}\n```"
    attached = attachments_of(request)
    return text + say("details.attach", names=attached) if attached else text


def _flags(request: GenerationRequest) -> tuple[str, ...]:
    """What `/imagine` has no option for, as it is written at the end of a prompt."""
    tile = ("--tile",) if request.tile else ()
    if (init := request.init_image) is None or init.area is None:
        return tile
    return *tile, f"--inpaint_area {MASKED}", f"--inpaint_padding {init.area.padding}"


def attachments_of(request: GenerationRequest) -> tuple[str, ...]:
    """The options of `/imagine` that need an image to be attached."""
    init = request.init_image
    followed = {use.sha256 for use in request.controls}
    needed = {
        "image": init,
        "mask": init and init.mask,
        "reference": request.reference,
        # Without one of their own, ControlNets follow the image to start from.
        "control_image": followed - {init.sha256 if init else None},
    }
    return tuple(f"`{name}`" for name, given in needed.items() if given)


def recipe_json(job: Job, images: Sequence[ImageRecord]) -> bytes:
    """The whole recipe as a file: the request, every hash, versions, and the images' own hashes."""
    data = {
        "job": job.id,
        "request": job.request.to_dict(),
        "recipe": job.recipe.to_dict() if job.recipe else None,
        "images": [asdict(image) for image in images],
    }
    return json.dumps(data, ensure_ascii=False, indent=2).encode()


def _settings(say: Say, request: GenerationRequest) -> str:
    """Every value, also those that are the model's defaults."""
    parts = [one_line(request.made_with), *(one_line(str(use)) for use in request.adapters)]
    if request.hires or request.upscale:
        parts.append(f"{request.width}×{request.height}")
    if request.model:
        parts += chosen_values(say, request)
    if request.trigger_words:
        words = one_line(", ".join(request.trigger_words))
        parts.append(say("details.triggers", words=words))
    return cut_off(" · ".join(parts), FIELD_SHOWN)


def _hashes(weights: Sequence[Weights]) -> str:
    lines = [f"{one_line(one.name, 60)} `{one.short}`" for one in weights]
    return "\n".join(_as_many(lines))


def _as_many(lines: Sequence[str]) -> Iterator[str]:
    """As many lines as there is room for, then …"""
    room = FIELD_SHOWN
    for line in lines:
        room -= len(line) + 1
        if room < 2:
            yield "…"
            return
        yield line


def today_sentence(say: Say, today: Today) -> str:
    """Whether it would be the same today, and if not, why."""
    if today.same:
        return say("details.same")
    sentences = []
    if today.gone:
        sentences.append(say("details.gone", **plain({"names": today.gone})))
    if today.changed:
        sentences.append(say("details.changed", **plain({"names": today.changed})))
    if today.stored:
        sentences.append(say("details.stored", **plain({"networks": today.stored})))
    if today.unsure:
        sentences.append(say("details.unsure", **plain({"names": today.unsure})))
    return cut_off(" ".join(sentences), FIELD_SHOWN)
