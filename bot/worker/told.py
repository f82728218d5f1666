"""The times at which people were told that their waiting jobs will be ready, until they pass."""

from collections.abc import Mapping

from bot.progress import Progress


def times_told(
    before: Mapping[str, int], places: Mapping[str, Progress], now: float
) -> dict[str, int]:
    """By job, the earliest time that its message may show, once it was told its place.

    A time is only told anew where that makes enough of a difference, so an earlier one, of
    `before`, counts until it has passed. Seconds since the epoch, as is `now`.
    """
    told = {}
    for job_id, place in places.items():
        if place.ready_at is not None:
            earlier = before.get(job_id, place.ready_at)
            told[job_id] = place.ready_at if earlier <= now else min(earlier, place.ready_at)
    return told
