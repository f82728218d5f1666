"""/history and /favourites: a page of results, and one of them opened again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import discord

from bot.chat.ui.actions import (
    ActionId,
    CompareId,
    DeleteId,
    DetailsId,
    EditId,
    ImagineWordsId,
    KeepId,
    NewSeedId,
    ReportId,
    Rows,
    SameSeedId,
    UpscaleId,
    VaryId,
)
from bot.chat.ui.custom_id import CustomId, Routed
from bot.chat.ui.forms.fields import OPTION_LENGTH
from bot.chat.ui.markdown import cut_at_word, cut_off, one_line, seen, shortened
from bot.request import MASKED, AdapterUse, GenerationRequest, Upscale
from bot.store import Discord, Job
from bot.texts.language import Say
from catalog import Catalog

SIZE: Final = 6
"""Results on a page. Discord takes 40 components in a message, and three are needed for each."""
PROMPT_SHOWN: Final = 140
LINE_SHOWN: Final = 300
FAVOURITES: Final = "favourites"
OLDER, NEWER = "older", "newer"


@dataclass(frozen=True)
class HistoryPageId(CustomId):
    """A page of a list. of: the id of the stored query, `favourites`, or "" for everything. way:
    older or newer than `at`, which is 0 for the first page. first: the job to compare one of the
    list with."""

    prefix: ClassVar[str] = "history"

    of: str = ""
    way: str = OLDER
    at: int = 0
    first: str = ""


@dataclass(frozen=True)
class HistoryPickId(CustomId):
    """Opens the chosen job, or compares two. first: one that was chosen before."""

    prefix: ClassVar[str] = "historypick"

    first: str = ""


class CompareWithId(ActionId):
    """Lists the results to compare this one with."""

    prefix, emoji, label = "comparewith", "⚖️", "button.compare_with"


class SendId(ActionId):
    """Shows the result in the channel, as a new message."""

    prefix, emoji, label = "send", "📤", "button.send"


@dataclass(frozen=True, slots=True)
class Listed:
    """A result on a page. place: where it is in the list. name: of what made it. thumbnail: the
    name of the attachment; None if there is none. pruned: whether its files were deleted."""

    place: int
    job: Job
    name: str
    thumbnail: str | None
    pruned: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Page:
    """rows: newest first. older, newer: the place that more come before or after; None if there are
    none. notes: sentences below."""

    rows: Sequence[Listed]
    older: int | None
    newer: int | None
    notes: Sequence[str] = ()


def page_layout(say: Say, page: Page, here: HistoryPageId, heading: str) -> discord.ui.LayoutView:
    """here: what is shown."""
    view = discord.ui.LayoutView(timeout=None)
    card = discord.ui.Container[Any](discord.ui.TextDisplay(heading))
    for n, row in enumerate(page.rows, 1):
        card.add_item(_row(say, n, row))
    if not page.rows:
        card.add_item(discord.ui.TextDisplay(_empty(say, here.of)))
    if page.notes:
        notes = "\n".join(f"-# {note}" for note in page.notes)
        card.add_item(discord.ui.TextDisplay(notes))
    view.add_item(card)
    if page.rows:
        view.add_item(discord.ui.ActionRow[Any](_picker(say, page.rows, here.first)))
    if page.older is not None or page.newer is not None:
        before = HistoryPageId(here.of, NEWER, page.newer or 0, here.first)
        after = HistoryPageId(here.of, OLDER, page.older or 0, here.first)
        view.add_item(
            discord.ui.ActionRow[Any](
                _turn(say("history.newer"), before, enabled=page.newer is not None),
                _turn(say("history.older"), after, enabled=page.older is not None),
            )
        )
    return view


def _empty(say: Say, of: str) -> str:
    if of == FAVOURITES:
        return say("history.no_favourites")
    return say("history.empty") if of else say("history.nothing")


def _row(say: Say, n: int, row: Listed) -> discord.ui.Item[Any]:
    said = row.job.words or row.job.request.prompt
    prompt = cut_at_word(" ".join(said.split()), PROMPT_SHOWN)
    text = f"**{n}.** {prompt}\n-# {_about(say, row)}"
    if row.thumbnail is None:
        return discord.ui.TextDisplay(text)
    picture = discord.ui.Thumbnail[Any](
        f"attachment://{row.thumbnail}",
        description=shortened(seen(row.job.request.prompt), 1_024) or "…",
        spoiler=Discord.of(row.job.origin).spoiler,
    )
    return discord.ui.Section(text, accessory=picture)


def _about(say: Say, row: Listed) -> str:
    request = row.job.request
    parts = [one_line(row.name, 60)]
    keys = (use.key for uses in (request.adapters, request.controls) for use in uses)
    parts += [one_line(key, 40) for key in keys]
    if row.job.kind in ("upscale", "describe", "compare", "extend", "part", "detail"):
        parts.append(say(f"history.kinds.{row.job.kind}"))
    if request.count > 1:
        parts.append(say("history.images", count=request.count))
    parts.append(f"<t:{row.job.created_at // 1000}:f>")
    if row.kept:
        parts.append("⭐")
    if row.pruned:
        parts.append(say("history.pruned"))
    return cut_off(" · ".join(parts), LINE_SHOWN)


def _picker(say: Say, rows: Sequence[Listed], first: str) -> Routed:
    options = [
        discord.SelectOption(
            label=shortened(f"{n}. {_plain(row.job)}", OPTION_LENGTH), value=row.job.id
        )
        for n, row in enumerate(rows, 1)
    ]
    most = 1 if first else min(2, len(rows))
    placeholder = "history.pick_second" if first else "history.pick"
    return Routed(
        discord.ui.Select[Any](
            custom_id=str(HistoryPickId(first)),
            options=options,
            placeholder=say(placeholder if most > 1 or first else "history.pick_only"),
            min_values=1,
            max_values=most,
        )
    )


def _plain(job: Job) -> str:
    said = job.words or job.request.prompt
    return " ".join(seen(said).split()) or job.request.made_with or "…"


def _turn(label: str, to: CustomId, *, enabled: bool) -> Routed:
    button = discord.ui.Button[Any](label=label, custom_id=str(to), disabled=not enabled)
    return Routed(button)


SHOWN_AGAIN: Final[Rows] = ((CompareWithId, KeepId, ReportId),)
"""Below another's result that is only seen where it was shown again."""


def opened_rows(request: GenerationRequest, *, own: bool, send: bool) -> Rows:
    """The buttons of a result that was opened again. send: whether it may be shown where it is."""
    again: Rows
    if request.describe is not None:
        return ((ImagineWordsId, KeepId, *([DeleteId] if own else [])),)
    if request.upscale is not None:
        again = ((SameSeedId, UpscaleId),)
    elif request.comparison is not None:
        again = ((EditId, SameSeedId, NewSeedId),)
    else:
        again = ((EditId, SameSeedId, NewSeedId, VaryId), (CompareId, UpscaleId))
    more: tuple[type[ActionId], ...] = (CompareWithId, KeepId, DetailsId)
    if own:
        more = (CompareWithId, *([SendId] if send else []), KeepId, DetailsId, DeleteId)
    return *again, more


def pair_layout(
    say: Say, jobs: tuple[Job, Job], picture: str | None, differences: Sequence[str]
) -> discord.ui.LayoutView:
    """Two results beside each other. picture: the attachment with both; None if there is none."""
    view = discord.ui.LayoutView(timeout=None)
    if picture is not None:
        spoiler = any(Discord.of(job.origin).spoiler for job in jobs)
        both = " | ".join(shortened(seen(job.request.prompt), 500) for job in jobs)
        item = discord.MediaGalleryItem(f"attachment://{picture}", description=both or "…")
        item.spoiler = spoiler
        view.add_item(discord.ui.MediaGallery(item))
    else:
        view.add_item(discord.ui.TextDisplay(say("history.pair_pruned")))
    text = "\n".join(differences) or say("history.no_difference")
    view.add_item(discord.ui.TextDisplay(cut_off(text, 3_500)))
    return view


def pair_differences(
    say: Say, one: GenerationRequest, two: GenerationRequest, catalog: Catalog
) -> list[str]:
    """What differs between two requests, a line for each. catalog: has the names of entries."""
    both = [pair_values(request, catalog) for request in (one, two)]
    found = []
    for name in both[0]:
        a, b = (values[name] for values in both)
        if a != b:
            label = say(f"history.differs.{name}")
            found.append(f"**{label}**\nA: {_shown(a)}\nB: {_shown(b)}")
    one, two = (replace(request.bare(), kernels=None) for request in (one, two))
    if not found and one != two:
        found.append(say("history.differs_else"))
    return found


def _shown(value: str) -> str:
    return cut_at_word(value, 400) if value else "–"


def pair_values(request: GenerationRequest, catalog: Catalog) -> dict[str, str]:
    """What is compared, by name."""
    width, height = request.final_size
    painted = bool(request.model)
    return {
        "prompt": " / ".join(each.prompt for each in request.prompts),
        "negative": " / ".join(each.negative for each in request.prompts),
        "model": _model_name(request, catalog),
        "lora": ", ".join(_lora_name(use, catalog) for use in request.adapters),
        "size": f"{width}×{height}",
        "steps": str(request.steps) if painted else "",
        "guidance": f"{request.guidance:g}" if painted else "",
        "scheduler": " ".join(filter(None, (request.scheduler, request.spacing)))
        if painted
        else "",
        "seed": str(request.base_seed) if painted else "",
        "variation": request.mixed_in,
        **_further_values(request),
    }


def _further_values(request: GenerationRequest) -> dict[str, str]:
    hires, image, reference = request.hires, request.init_image, request.reference
    upscale, comparison = request.upscale, request.comparison
    skip = request.clip_skip
    axes = () if comparison is None else comparison.axes
    return {
        "count": str(request.count),
        "clip_skip": "" if skip is None else str(skip),
        "tile": "✓" if request.tile else "",
        "preset": request.preset or "",
        "hires": f"{hires.scale:g}× · {hires.strength:g} · {hires.steps}" if hires else "",
        "image": f"{image.sha256[:8]} · {image.strength:g}" if image else "",
        "mask": (image.mask or "")[:8] if image else "",
        "extend": str(image.box or "") if image else "",
        "inpaint_area": f"{MASKED} · {image.area.padding}" if image and image.area else "",
        "reference": f"{reference.sha256[:8]} · {reference.weight:g}" if reference else "",
        "control": ", ".join(f"{use} · {use.sha256[:8]}" for use in request.controls),
        "detail": ", ".join(map(str, request.detail)),
        "pictures": ", ".join(sha256[:8] for sha256 in request.pictures),
        "embeddings": ", ".join(dict.fromkeys(use.key for use in request.embeddings)),
        "upscale": _upscale_value(upscale) if upscale else "",
        "describe": request.describe.style if request.describe else "",
        "compared": "; ".join(f"{axis.name}: {', '.join(axis.values)}" for axis in axes),
    }


def _upscale_value(upscale: Upscale) -> str:
    parts = (upscale.sha256[:8], f"{upscale.scale:g}×", upscale.mode)
    strength = () if upscale.strength is None else (f"{upscale.strength:g}",)
    return " · ".join((*parts, *strength))


def _model_name(request: GenerationRequest, catalog: Catalog) -> str:
    key = request.made_with
    entry = catalog.models.get(key) or catalog.upscalers.entries.get(key)
    return entry.name if entry else key


def _lora_name(use: AdapterUse, catalog: Catalog) -> str:
    entry = catalog.adapters.get(use.key)
    weights = str(use).removeprefix(use.key)
    return f"{entry.name}{weights}" if entry else str(use)
