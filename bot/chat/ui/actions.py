"""The buttons below a result: how they look, and which job their ids name.

The cog that registers a component for an id decides what the button does. Old messages carry the
prefixes, so they never change.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Final, TypeAlias

import discord

from bot.chat.ui.custom_id import CustomId, JobId, Routed
from bot.request import GenerationRequest
from bot.texts.language import Say


class ActionId(JobId):
    """An action on the result of a job. emoji, label: on its button; the label is a text's code."""

    emoji: ClassVar[str]
    label: ClassVar[str]


class SameSeedId(ActionId):
    prefix, emoji, label = "same", "🔁", "button.same"


class NewSeedId(ActionId):
    prefix, emoji, label = "new", "🎲", "button.new"


class VaryId(ActionId):
    """Offers to make images that are close to one of the result."""

    prefix, emoji, label = "variations", "🧬", "button.vary"


class EditId(ActionId):
    """Opens the form to change anything."""

    prefix, emoji, label = "edit", "✏️", "button.edit"


class CompareId(ActionId):
    """Opens the form to change one thing in several ways."""

    prefix, emoji, label = "compare", "🔬", "button.compare"


class UpscaleId(ActionId):
    """Offers the ways to enlarge each image."""

    prefix, emoji, label = "upscale", "⬆️", "button.upscale"


class UseId(ActionId):
    """Offers the images to paint over or as a reference."""

    prefix, emoji, label = "use", "🖼️", "button.use"


class ExtendId(ActionId):
    """Offers the ways to paint on around each image."""

    prefix, emoji, label = "extend", "↔️", "button.extend"


class PartId(ActionId):
    """Asks which part of an image to paint anew."""

    prefix, emoji, label = "part", "🖌️", "button.part"


class DetailId(ActionId):
    """Makes the result again, with its faces painted at full size."""

    prefix, emoji, label = "detail", "🙂", "button.detail"


class WordsId(ActionId):
    """Opens the form that says what to change about an image."""

    prefix, emoji, label = "words", "🪄", "button.words"


class DescribeId(ActionId):
    """Says in words what is in the image."""

    prefix, emoji, label = "describe", "💬", "button.describe"


class ImagineWordsId(ActionId):
    """Opens the form to make an image of a description."""

    prefix, emoji, label = "imaginewords", "🎨", "button.imagine_words"


class SavePresetId(ActionId):
    """Opens the form to save what the result was made with as a preset."""

    prefix, emoji, label = "savepreset", "💾", "button.save_preset"


class DetailsId(ActionId):
    prefix, emoji, label = "details", "ℹ️", "button.details"


class DeleteId(ActionId):
    """Asks whether the result is to be deleted."""

    prefix, emoji, label = "delete", "🗑️", "button.delete"


class ReportId(ActionId):
    """Opens the form to report the result."""

    prefix, emoji, label = "report", "🚩", "button.report"


class PublishId(ActionId):
    """Shows a hidden result to everyone in the channel."""

    prefix, emoji, label = "publish", "📢", "button.publish"


class KeepId(ActionId):
    """Makes the result a favourite of the person who presses it, or no more."""

    prefix, emoji, label = "keep", "⭐", "button.keep"


class MoreId(ActionId):
    """Offers the other actions."""

    prefix, emoji, label = "more", "➕", "button.more"


class EveryId(ActionId):
    """Offers all other actions, below a result that shows few."""

    prefix, emoji, label = "every", "➕", "button.more"


class EraseId(JobId):
    """Deletes the result, once the person said so."""

    prefix = "erase"


Rows: TypeAlias = tuple[tuple[type[ActionId], ...], ...]

SHOWN: Final[Rows] = ((SameSeedId, EditId, CompareId), (NewSeedId, UpscaleId, MoreId))
"""Below a result in a channel: first what keeps the seed. A phone shows them in two rows."""
HIDDEN: Final[Rows] = ((SameSeedId, NewSeedId, EditId), (PublishId, UpscaleId, MoreId))
"""Below a result that only its person sees."""
DIRECT: Final[Rows] = ((DetailsId, DeleteId),)
"""Below one in a direct message, where the owner lets nobody ask for images."""
COMPARED: Final[Rows] = ((SameSeedId, EditId, CompareId), (NewSeedId, MoreId))
"""Below the sheet of a comparison: to enlarge one of its images, or use it, one opens it first."""
ENLARGED: Final[Rows] = ((UpscaleId, MoreId),)
"""Below an enlarged image: it has no seed, or one that changes little."""
DESCRIBED: Final[Rows] = ((ImagineWordsId, DeleteId, ReportId),)
"""Below the words for an image."""
AGAIN: Final[Rows] = ((ReportId, DeleteId),)
"""Below one that is shown again in another channel."""
COMPACT: Final[Rows] = ((SameSeedId, EditId, EveryId),)
"""Below a compact result."""
MORE: Final[Rows] = (
    (VaryId, ExtendId, PartId, DetailId, UseId),
    (KeepId, SavePresetId, DetailsId, DeleteId, ReportId),
    (DescribeId,),
)
MORE_HIDDEN: Final[Rows] = (
    (VaryId, ExtendId, PartId, DetailId, UseId),
    (CompareId, KeepId, SavePresetId, DetailsId, DeleteId),
    (DescribeId,),
)
MORE_ENLARGED: Final[Rows] = ((UseId, KeepId, DetailsId, DeleteId, ReportId), (DescribeId,))
MORE_COMPARED: Final[Rows] = ((KeepId, DetailsId, DeleteId, ReportId),)
"""What More offers."""


def rows_below(
    request: GenerationRequest, *, hidden: bool, compact: bool = False, publish: bool = True
) -> Rows:
    """The buttons of a result. publish: whether a hidden one can be shown to others there."""
    rows = _all_below(request, hidden=hidden, compact=compact)
    if publish:
        return rows
    return tuple(row for row in _without(rows, {PublishId}) if row)


def _all_below(request: GenerationRequest, *, hidden: bool, compact: bool) -> Rows:
    if request.describe is not None:
        return (*DESCRIBED, (PublishId,)) if hidden else DESCRIBED
    if compact:
        return COMPACT if request.upscale is None else ((EveryId,),)
    if request.comparison is not None:
        rows = COMPARED
    elif request.upscale is not None:
        rows = ENLARGED
    else:
        return HIDDEN if hidden else SHOWN
    return (*rows, (PublishId,)) if hidden else rows


def rows_of_more(
    request: GenerationRequest,
    *,
    hidden: bool,
    words: bool,
    repainting: bool,
    detailing: bool,
    describing: bool,
) -> Rows:
    """The buttons that More offers. words: whether a model here edits images by what is said.
    repainting: whether the images can be extended, or painted anew in part. detailing: whether
    faces can be found in them and painted again. describing: whether images can be described."""
    if request.comparison is not None:
        return MORE_COMPARED
    usual = MORE_HIDDEN if hidden else MORE
    if not repainting:
        usual = _without(usual, {ExtendId, PartId})
    if not detailing:
        usual = _without(usual, {DetailId})
    rows = usual if request.upscale is None else MORE_ENLARGED
    if not describing:
        rows = tuple(row for row in _without(rows, {DescribeId}) if row)
    return ((WordsId,), *rows) if words else rows


def rows_of_every(
    request: GenerationRequest,
    *,
    hidden: bool,
    words: bool,
    repainting: bool,
    detailing: bool,
    describing: bool,
) -> Rows:
    """The buttons that a compact result leaves out. words … describing: as for More."""
    more = rows_of_more(
        request,
        hidden=hidden,
        words=words,
        repainting=repainting,
        detailing=detailing,
        describing=describing,
    )
    rows = (*rows_below(request, hidden=hidden), *more)
    return _without(rows, {*(kind for row in COMPACT for kind in row), MoreId})


def _without(rows: Rows, left_out: Collection[type[ActionId]]) -> Rows:
    return tuple(tuple(kind for kind in row if kind not in left_out) for row in rows)


def action_rows(say: Say, job_id: str, rows: Rows) -> list[discord.ui.ActionRow[Any]]:
    """The buttons of a result, with an emoji and a word or two each."""
    return [
        discord.ui.ActionRow[Any](
            *(routed_button(say(kind.label), kind(job_id), kind.emoji) for kind in kinds)
        )
        for kinds in rows
    ]


def more_view(say: Say, job_id: str, rows: Rows) -> discord.ui.View:
    """The other actions, below a sentence."""
    view = discord.ui.View(timeout=None)
    for kinds in rows:
        for kind in kinds:
            view.add_item(routed_button(say(kind.label), kind(job_id), kind.emoji))
    return view


def routed_button(
    label: str,
    custom_id: CustomId,
    emoji: str | None = None,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
) -> Routed:
    button = discord.ui.Button[discord.ui.View](
        label=label, emoji=emoji, style=style, custom_id=str(custom_id)
    )
    return Routed(button)
