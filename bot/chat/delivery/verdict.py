"""Verdict: what a reroll with the same seed shows, compared with the original."""

from bot.chat.ui.markdown import plain
from bot.store import ImageRecord, Job, Store, shown_images
from bot.texts.language import Say


async def verdict(store: Store, say: Say, job: Job, images: tuple[ImageRecord, ...]) -> str:
    """Whether `images` have the pixels of the original and, if not, what has changed since."""
    original = await store.find(job.parent_id) if job.parent_id else None
    gone = original is None or original.deleted_at is not None
    if original is None or gone or original.recipe is None or job.recipe is None:
        return say("result.original_gone")
    before = shown_images(original, await store.images(original.id))
    if [i.pixels_sha256 for i in before] == [i.pixels_sha256 for i in images]:
        return say("result.identical")
    changed = job.recipe.changed_since(original.recipe)
    if not changed:
        return say("result.differs_unknown")
    return say("result.differs", **plain({"changed": changed}))
