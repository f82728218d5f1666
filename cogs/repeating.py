"""Doing a result again: the request for it, and as many images as may be asked for."""

from dataclasses import replace

from bot.levels import Place, Rules
from bot.progress import Notice
from bot.queue import JobQueue
from bot.recipe import place_id
from bot.request import COUNT_MAX, GenerationRequest, draw_seed, varied
from bot.store import Job, Kind
from bot.today import family_in
from catalog import Catalog


def repeated(
    job: Job, catalog: Catalog, *, nsfw: bool, same_seed: bool
) -> tuple[GenerationRequest, Kind]:
    """The request of `job` for doing it again, and the kind of job that it becomes.

    Raises InvalidRequest or Refused if nothing can be drawn from its template any more.
    """
    if not same_seed and job.request.describe is None:
        return varied(job.request, catalog, nsfw=nsfw, seed=draw_seed()), "vary"
    if job.recipe is None:
        return replace(job.request.with_kernels(None), environment=None), "reroll"
    # Other kernels and machines round differently. A comparison's recipe has each cell's kernels.
    environment = job.recipe.environment
    request = job.recipe.request.with_kernels(environment.get("kernels"))
    place = place_id(environment, family_in(job.recipe, catalog))
    return replace(request, environment=place or None), "reroll"


def at_most(most: int, request: GenerationRequest) -> tuple[GenerationRequest, tuple[Notice, ...]]:
    """`request` with no more than `most` images, and a note if that are fewer than it had. Of a
    comparison, none can be left out."""
    if request.comparison is not None or request.count <= most:
        return request, ()
    note = Notice("repeat.fewer", {"count": most, "asked": request.count})
    return request.with_count(most), (note,)


async def count_max(queue: JobQueue, place: Place, rules: Rules) -> int:
    """As many images as the person may ask for at once there and now; 1 if it is none, for which
    the refusal says why."""
    allowed = (COUNT_MAX, rules.count_max, await queue.images_left(place, rules))
    return max(1, min(most for most in allowed if most is not None))
