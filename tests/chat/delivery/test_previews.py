"""Previews on the message that follows a job."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import JobFailed
from bot.progress import Progress, Stage
from bot.store import Failure, Job, JobState
from tests.chat.delivery.desk import Desk, until_edited
from tests.chat.delivery.discord_fakes import Call, http_error
from tests.language import TEXTS
from tests.queue.lanes import ORIGINS, queue_of
from tests.store.factories import CANARY, in_channel, origin_of, request

GONE, FORBIDDEN, AWAY = http_error(404, 10008), http_error(403, 50013), http_error(503)
TOO_LARGE, REJECTED = http_error(413, 40005), http_error(400, 50035)
FIRST, SECOND = b"\xff\xd8 the first", b"\xff\xd8 the second"


def step(number: int, preview: bytes | None = None, **fields: Any) -> Progress:
    return Progress(Stage.PAINTING, step=number, steps=10, preview=preview, **fields)


async def followed(desk: Desk, **fields: Any) -> Job:
    ticket = await desk.accepted(in_channel(**fields))
    await desk.delivery.acknowledge(desk.interaction(), ticket)
    return ticket.job


async def shown(desk: Desk, job: Job, progress: Progress) -> Call:
    """The edit that shows `progress`."""
    before = len(desk.world.ways())
    desk.delivery.progressed(job, progress)
    await until_edited(desk, before + 1)
    for _ in range(10):
        await asyncio.sleep(0)
    return desk.world.calls[-1]


def pictures(call: Call) -> list[tuple[str, bytes]]:
    return [(file.filename, file.fp.read()) for file in call.files]


async def test_the_message_shows_it_with_alt_text(desk: Desk) -> None:
    job = await followed(desk)
    edit = await shown(desk, job, step(3, FIRST))
    assert pictures(edit) == [("preview.jpg", FIRST)]
    assert edit.embed.image.url == "attachment://preview.jpg"
    said = TEXTS.speaker()("status.preview", prompt=CANARY)
    assert [file.description for file in edit.files] == [said]
    assert CANARY in said
    assert (edit.embed.fields[0].name or "").startswith("Step 3/10")


def blurred(job: Job) -> Job:
    """As a permit returns it if that was set for its place while it waited."""
    return replace(job, origin=replace(origin_of(job), spoiler=True))


async def test_it_is_blurred_if_that_was_set_while_the_job_waited(desk: Desk) -> None:
    job = await followed(desk)
    await shown(desk, job, Progress(Stage.STARTING))
    edits = [
        await shown(desk, as_told, progress)
        # What was reported before it was asked again comes late.
        for as_told, progress in (
            (blurred(job), step(3, FIRST)),
            (job, step(4)),
            (blurred(job), Progress(Stage.SAVING)),
        )
    ]
    for edit in edits:
        assert pictures(edit) == [("SPOILER_preview.jpg", FIRST)]
        assert edit.embed.image.url is None


async def test_it_stays_blurred_once_a_lost_acknowledgement_is_found(desk: Desk) -> None:
    """The message becomes known by the first edit of it; the job changes meanwhile."""
    desk.world.refuse("ack", AWAY)
    job = await followed(desk)
    on_its_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> None:
        on_its_way.set()
        await go_on.wait()

    desk.world.before = slow
    desk.delivery.progressed(job, step(1))
    await on_its_way.wait()
    desk.delivery.progressed(blurred(job), step(2, FIRST))
    go_on.set()
    await until_edited(desk, 3)
    assert pictures(desk.world.calls[-1]) == [("SPOILER_preview.jpg", FIRST)]
    assert origin_of(await desk.store.job(job.id)).message_id == 400


async def test_alt_text_of_the_longest_prompt_is_within_discords_limit(desk: Desk) -> None:
    job = await followed(desk, request=request(prompt="{x" * 1000))
    [file] = (await shown(desk, job, step(3, FIRST))).files
    assert len(file.description or "") <= 1024


async def test_the_latest_stays_until_there_is_a_newer_one(desk: Desk) -> None:
    job = await followed(desk)
    edits = [
        await shown(desk, job, progress)
        for progress in (step(1), step(2, FIRST), step(3), step(4, SECOND))
    ]
    edits.append(await shown(desk, job, Progress(Stage.DECODING)))
    found = [[data for _, data in pictures(edit)] for edit in edits]
    assert found == [[], [FIRST], [FIRST], [SECOND], [SECOND]]
    assert edits[0].embed.image.url is None


async def test_of_several_images_it_is_the_one_being_painted(desk: Desk) -> None:
    job = await followed(desk)
    await shown(desk, job, step(9, FIRST, image=1, count=2))
    decoding = await shown(desk, job, Progress(Stage.DECODING, image=1, count=2))
    assert pictures(decoding) == [("preview.jpg", FIRST)]
    assert pictures(await shown(desk, job, step(0, image=2, count=2))) == []
    edit = await shown(desk, job, step(4, SECOND, image=2, count=2))
    assert pictures(edit) == [("preview.jpg", SECOND)]


async def test_a_preview_alone_is_no_reason_for_an_edit(desk: Desk) -> None:
    job = await followed(desk)
    await shown(desk, job, step(3, FIRST))
    desk.delivery.progressed(job, step(3, SECOND))
    for _ in range(50):
        await asyncio.sleep(0)
    assert desk.world.ways() == ["ack", "interaction"]


@pytest.mark.parametrize("refused", [FORBIDDEN, TOO_LARGE, REJECTED])
async def test_where_it_is_refused_the_text_goes_on(
    desk: Desk, refused: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job = await followed(desk)
    desk.world.refuse("interaction", refused)
    edit = await shown(desk, job, step(1, FIRST))
    await until_edited(desk, 3)
    for number in (2, 3):
        edit = await shown(desk, job, step(number, SECOND))
        assert pictures(edit) == []
        assert edit.embed.image.url is None
        assert (edit.embed.fields[0].name or "").startswith(f"Step {number}/10")
    # The refused one, its text alone, and two more.
    assert desk.world.ways() == ["ack", *["interaction"] * 4]
    assert len([line for line in caplog.messages if "without previews" in line]) == 1


async def test_a_hiccup_refuses_no_preview(desk: Desk) -> None:
    job = await followed(desk)
    desk.world.refuse("interaction", AWAY)
    await shown(desk, job, step(1, FIRST))
    assert pictures(await shown(desk, job, step(2))) == [("preview.jpg", FIRST)]
    assert desk.world.ways() == ["ack", "interaction", "interaction"]


async def test_a_message_that_is_gone_is_not_tried_without_preview(desk: Desk) -> None:
    job = await followed(desk)
    desk.world.refuse("interaction", GONE)
    await shown(desk, job, step(1, FIRST))
    assert desk.world.ways() == ["ack", "interaction"]
    assert pictures(await shown(desk, job, step(2))) == [("preview.jpg", FIRST)]
    assert desk.world.ways() == ["ack", "interaction", "edit"]


async def test_the_result_replaces_it(desk: Desk) -> None:
    job = await followed(desk)
    await shown(desk, job, step(3, FIRST))
    await desk.delivery.finished(await desk.painted(job.id))
    result = desk.last("interaction")
    assert [file.filename for file in result.files] == ["demo-42.png"]
    assert [item.media.url for item in result.gallery] == ["attachment://demo-42.png"]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_failure_and_a_cancelling_take_it_away(desk: Desk, cancelled: bool) -> None:
    job = await followed(desk)
    await shown(desk, job, step(3, FIRST))
    running = await desk.store.start(job.id)
    assert running is not None
    if cancelled:
        ended = await desk.store.cancel(running)
    else:
        ended = await desk.store.fail(running, Failure.of(JobFailed("job.timeout", seconds=600)))
    assert ended is not None
    await desk.delivery.failed(ended)
    last = desk.last("interaction")
    assert last.sent["attachments"] == []  # Discord keeps the files if an edit does not list any
    assert last.embed.image.url is None


async def test_what_an_earlier_run_left_is_taken_away(desk: Desk) -> None:
    await followed(desk)
    queue = queue_of(desk.store)
    await queue.line_up(await desk.store.jobs_in(JobState.PENDING, ORIGINS))
    await desk.delivery.resume(await queue.standings())
    await until_edited(desk, 2)
    edit = desk.last("edit")
    assert edit.sent["attachments"] == []
    assert edit.embed.image.url is None
