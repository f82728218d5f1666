"""The Forgetter, killed at every step: what it left, the next process does."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.files.images import save_images
from bot.files.inputs import Inputs
from bot.privacy import Forgetter
from bot.request import InitImage
from bot.store import Erasable, Job, JobState, NewJob, Span, Store, now_ms
from bot.store.personal.forgetting import TOLD_WITHIN_MS, TRACES, Forgettings
from tests.files.keeping import png
from tests.parameters import mostly_long
from tests.store.factories import new_job, painting, request, running
from tests.store.test_personal import SECRET, WHO, bytes_of, execute, fill, traces

OTHER = 77
PERSON = f"discord:{WHO}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        yield store


class Killed(BaseException):
    """Ends everything, as a signal would."""


def forgetter_of(store: Store, folder: Path, **parts: Any) -> Forgetter:
    async def withdraw(job_id: str) -> None:
        if (cancelled := await store.cancel(await store.job(job_id))) is not None:
            await store.tell(cancelled)

    given = {"withdraw": withdraw, "idle": lambda: True, **parts}
    return Forgetter(
        store,
        images_dir=folder / "images",
        inputs=Inputs(folder / "inputs"),
        database=store._database.path,
        **given,
    )


async def painted(store: Store, folder: Path, new: NewJob) -> Job:
    job = await running(store, new)
    result = painting(job.request)
    images = save_images(result, job, folder / "images")
    done = await store.finish(job, result.recipe, images, [])
    assert done is not None
    delivered = await store.deliver(done, 20, now_ms() + int(job.id, 36) % 10**9)
    assert delivered is not None
    return delivered


async def live(store: Store, folder: Path) -> None:
    """Files and rows of one person, and of another who has given the same image."""
    inputs = Inputs(folder / "inputs")
    own, shared = [await inputs.keep(png(shade)) for shade in (10, 20)]
    for user_id, word, sha256 in ((WHO, SECRET, own), (WHO, SECRET, shared), (OTHER, "x", shared)):
        asked = request(prompt=word, init_image=InitImage(sha256, 0.5))
        await painted(store, folder, new_job(request=asked, user_id=user_id))
    await fill(store, WHO, SECRET, 2)
    await store.accept(new_job(request=request(prompt=SECRET), user_id=WHO))


STEPS = (
    *((Forgettings, step) for step in ("erase", "finish", "drop_input", "rewrite")),
    (Forgetter, "_end"),
)


@pytest.mark.parametrize("after", mostly_long([False, True], usual=[True]))
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
async def test_a_process_that_dies_leaves_it_to_the_next(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    step: str,
    after: bool,
) -> None:
    await live(store, tmp_path)
    await forgetter_of(store, tmp_path).forget(PERSON, Span.everything(), hand_over=False)
    real = getattr(owner, step)

    async def dies(*given: Any, **named: Any) -> None:
        if after:
            await real(*given, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, dies)
        with suppress(Killed):
            while await forgetter_of(store, tmp_path).catch_up():
                pass
            pytest.fail(f"{step} was not reached")
    while await forgetter_of(store, tmp_path).catch_up():
        pass
    assert traces(tmp_path) == []
    assert len(list((tmp_path / "inputs").iterdir())) == 1
    [folder] = (tmp_path / "images").iterdir()
    assert (await store.job(folder.name)).person == f"discord:{OTHER}"
    assert await store.personal.forgettings.inputs() == []


async def test_whoever_asked_is_told_once_it_is_done(store: Store, tmp_path: Path) -> None:
    await live(store, tmp_path)
    told: list[str] = []
    forgetter = forgetter_of(store, tmp_path)
    forgetter.on_erased(lambda: told.append("messages"))
    work = asyncio.create_task(forgetter.run())
    done = await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    async with asyncio.timeout(30):
        await done.wait()
    work.cancel()
    assert told
    assert not await forgetter.has_traces()
    assert await store.personal.forgettings.waiting() == []


async def test_a_large_database_is_rewritten_when_nobody_waits(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.privacy.forgetter.SMALL", 0)
    busy = True
    forgetter = forgetter_of(store, tmp_path, idle=lambda: not busy)
    await live(store, tmp_path)
    await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    while await forgetter.catch_up():
        pass
    assert await forgetter.has_traces()
    # A day later, it is done even so.
    execute(store, "UPDATE settings SET value = '1' WHERE key = ?", TRACES)
    await forgetter.catch_up()
    assert not await forgetter.has_traces()
    execute(store, "UPDATE settings SET value = ? WHERE key = ?", str(now_ms()), TRACES)
    busy = False
    await forgetter_of(store, tmp_path).catch_up()
    assert not await forgetter.has_traces()


async def test_a_result_that_cannot_be_delivered_is_erased_after_a_while(
    store: Store, tmp_path: Path
) -> None:
    job = await running(store, new_job(user_id=WHO))
    done = await store.finish(job, painting().recipe, [], [])
    assert done is not None
    forgetter = forgetter_of(store, tmp_path)
    await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    assert await forgetter.catch_up()
    assert (await store.job(job.id)).state is JobState.DONE
    late = now_ms() - TOLD_WITHIN_MS - 1_000
    execute(store, "UPDATE jobs SET finished_at = ? WHERE id = ?", late, job.id)
    await forgetter.catch_up()
    assert not await forgetter.catch_up()
    assert await store.find(job.id) is None


async def test_files_outside_the_folder_of_images_are_left_alone(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "mine.png").write_bytes(b"mine")
    job = await painted(store, tmp_path, new_job(user_id=WHO))
    for path in ("../mine.png", str(tmp_path / "mine.png")):
        execute(store, "UPDATE images SET path = ? WHERE job_id = ?", path, job.id)
    forgetter = forgetter_of(store, tmp_path)
    await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    await forgetter.catch_up()
    assert (tmp_path / "mine.png").read_bytes() == b"mine"
    assert not (tmp_path / "images" / job.id).exists()


async def test_what_is_no_longer_kept_goes_with_its_files_unless_it_is_a_favourite(
    store: Store, tmp_path: Path
) -> None:
    jobs = [await painted(store, tmp_path, new_job(user_id=WHO)) for _ in range(3)]
    for n, job in enumerate(jobs):
        execute(store, "UPDATE jobs SET created_at = ? WHERE id = ?", 1_000 + n, job.id)
    execute(store, "INSERT INTO favourites VALUES ('discord:1', ?, 1)", jobs[0].id)
    assert await forgetter_of(store, tmp_path).outdated(1_002) == 1
    left = [await store.find(job.id) is not None for job in jobs]
    assert left == [True, False, True]
    assert {folder.name for folder in (tmp_path / "images").iterdir()} == {jobs[0].id, jobs[2].id}
    assert await store.personal.forgettings.messages(9) == []
    assert jobs[1].id.encode() not in bytes_of(tmp_path / "images")


async def test_a_file_that_cannot_be_deleted_keeps_nobody_elses(
    store: Store, tmp_path: Path
) -> None:
    stuck = await painted(store, tmp_path, new_job(user_id=WHO))
    await painted(store, tmp_path, new_job(user_id=WHO))
    other = await painted(store, tmp_path, new_job(user_id=OTHER))
    [image] = await store.images(stuck.id)
    file = tmp_path / "images" / image.path
    file.unlink()
    file.mkdir()
    forgetter = forgetter_of(store, tmp_path)
    first = await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    second = await forgetter.forget(f"discord:{OTHER}", Span.everything(), hand_over=False)
    assert not await forgetter.catch_up()
    assert await store.find(other.id) is None
    assert (second.is_set(), first.is_set()) == (True, False)
    rows = await store._database.rows("SELECT id FROM jobs")
    assert [row["id"] for row in rows] == [stuck.id]
    file.rmdir()
    while await forgetter.catch_up():
        pass
    assert first.is_set()


async def test_a_request_that_fails_keeps_nobody_else_waiting(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mine = await painted(store, tmp_path, new_job(user_id=WHO))
    other = await painted(store, tmp_path, new_job(user_id=OTHER))
    forgetter = forgetter_of(store, tmp_path)
    first = await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    second = await forgetter.forget(f"discord:{OTHER}", Span.everything(), hand_over=False)
    real = Forgettings.erase

    async def failing(forgettings: Forgettings, jobs: Sequence[Erasable], **how: Any) -> None:
        if jobs[0].job_id == mine.id:
            raise KeyError("adapters")
        await real(forgettings, jobs, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Forgettings, "erase", failing)
        assert not await forgetter.catch_up()
    assert (second.is_set(), first.is_set()) == (True, False)
    assert await store.find(other.id) is None
    [left] = await store.personal.forgettings.waiting()
    assert f"request {left.id}: what is to be forgotten is still there" in caplog.text
    while await forgetter.catch_up():
        pass
    assert first.is_set()
    assert await store.find(mine.id) is None


async def test_a_request_for_an_image_that_cannot_be_read_is_forgotten(
    store: Store, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path / "inputs")
    given = InitImage(await inputs.keep(png(10)), 0.5)
    asked = request(prompt=SECRET, init_image=given)
    mine = await painted(store, tmp_path, new_job(request=asked, user_id=WHO))
    execute(
        store,
        "UPDATE jobs SET request = json_set(request, '$.steps_of_tomorrow', 7) WHERE id = ?",
        mine.id,
    )
    assert (await store.job(mine.id)).poison is not None
    forgetter = forgetter_of(store, tmp_path)
    done = await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    while await forgetter.catch_up():
        pass
    assert done.is_set()
    assert traces(tmp_path) == []
    assert not list((tmp_path / "inputs").iterdir())


async def test_an_image_that_is_given_again_meanwhile_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(tmp_path / "inputs")
    sha256 = await inputs.keep(png(10))
    asked = request(prompt=SECRET, init_image=InitImage(sha256, 0.5))
    await painted(store, tmp_path, new_job(request=asked, user_id=WHO))
    os.utime(inputs.path(sha256), (1, 1))
    forgetter = forgetter_of(store, tmp_path)
    await forgetter.forget(PERSON, Span.everything(), hand_over=False)
    real = Forgettings.is_uploaded

    async def given_again(forgettings: Forgettings, of: str) -> bool:
        found = await real(forgettings, of)
        await asyncio.sleep(0.01)
        await inputs.keep(png(10))
        return found

    monkeypatch.setattr(Forgettings, "is_uploaded", given_again)
    await forgetter.catch_up()
    assert inputs.path(sha256).exists()
