"""A job that a call waits for, as AUTOMATIC1111's do."""

from collections.abc import Mapping

from fastapi import Request

from bot.api.desk import Desk, Given
from bot.api.waiting import HungUp, while_there
from bot.errors import JobFailed
from bot.request import AnyDraft
from bot.store import ApiKey, Job, JobState


async def ended(
    request: Request,
    desk: Desk,
    caller: ApiKey,
    draft: AnyDraft,
    pictures: Mapping[str, Given],
    *,
    counted: bool = False,
) -> Job:
    """The job that was asked for, done or cancelled. A caller that hangs up cancels it.

    counted: see `Desk.accept`. Raises JobFailed, and as `Desk.accept`.
    """
    desk.check_following(caller)
    accepted = await desk.accept(caller, draft, pictures, counted=counted)
    try:
        job = await while_there(request, desk.wait(caller, accepted.job.id))
    except HungUp:
        job = await desk.cancel(caller, accepted.job.id)
    if job.state is JobState.FAILED and job.error is not None:
        raise JobFailed(job.error.code, **job.error.params)
    return job
