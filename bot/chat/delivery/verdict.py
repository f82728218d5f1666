"""Verdict: what a reroll with the same seed shows, compared with the original."""

from collections.abc import Sequence

from bot.chat.ui.markdown import plain
from bot.chat.ui.messages import sentences
from bot.progress import Notice
from bot.store import ELSEWHERE, ImageRecord, Job, Store, shown_images
from bot.texts.language import Say


async def verdict(
    store: Store,
    say: Say,
    job: Job,
    images: tuple[ImageRecord, ...],
    warnings: Sequence[Notice],
) -> list[str]:
    """The notes on a reroll: its warnings, then whether `images` have the pixels of the original
    and, if not, what has changed since.

    That it was generated elsewhere is said in the verdict, if there is one.
    """
    others = [notice for notice in warnings if notice.code != ELSEWHERE]
    elsewhere = len(others) < len(warnings)
    original = await store.find(job.parent_id) if job.parent_id else None
    gone = original is None or original.deleted_at is not None
    if original is None or gone or original.recipe is None or job.recipe is None:
        return [*sentences(say, warnings), say("result.original_gone")]
    before = shown_images(original, await store.images(original.id))
    if [i.pixels_sha256 for i in before] == [i.pixels_sha256 for i in images]:
        said = say("result.identical")
    elif changed := job.recipe.changed_since(original.recipe):
        code = "result.differs_elsewhere" if elsewhere else "result.differs"
        said = say(code, **plain({"changed": changed}))
    else:
        said = say("result.differs_unknown")
    return [*sentences(say, others), said]
